//! Summarizes a document by its own sentences: those with most of its frequent words.

use std::collections::BTreeMap;

use airlock_sdk::Refusal;

airlock_sdk::tool!(TextDigest);

/// Stop words, sorted for a binary search. Words with fewer than three letters are skipped without a list.
const STOP: [&str; 111] = [
    "about", "above", "after", "again", "against", "all", "also", "although", "always", "among", "and",
    "any", "are", "because", "been", "before", "being", "between", "both", "but", "can", "cannot", "could",
    "did", "does", "down", "during", "each", "even", "every", "few", "for", "from", "further", "had", "has",
    "have", "having", "her", "here", "him", "his", "how", "however", "into", "its", "itself", "just", "less",
    "made", "make", "many", "may", "might", "more", "most", "much", "must", "not", "now", "off", "one",
    "only", "other", "our", "out", "over", "own", "same", "she", "should", "since", "some", "still", "such",
    "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "through",
    "thus", "too", "two", "under", "until", "upon", "very", "was", "were", "what", "when", "where", "which",
    "while", "who", "whom", "why", "will", "with", "within", "without", "would", "you", "your",
];

struct TextDigest;

impl Guest for TextDigest {
    fn text_digest(text: String, sentences: Option<u8>, terms: Option<u8>) -> Result<Digest, Failure> {
        refuse_other_scripts(&text)?;
        let split = split(&text);
        let counts = count(&text);
        if counts.is_empty() {
            return Err(Refusal::new(
                "nothing-to-digest",
                "The document has no words that a summary could rest on.",
            )
            .need("a `text` of at least one English sentence")
            .into());
        }
        Ok(Digest {
            summary: summary(&split, &counts, usize::from(sentences.unwrap_or(3))),
            key_terms: key_terms(&counts, usize::from(terms.unwrap_or(8))),
            sentences: split.len() as u32,
            words: text.split_whitespace().count() as u32,
            characters: text.chars().count() as u32,
        })
    }
}

/// Refuses a text of which more than a quarter of the letters are not Latin: words and sentences of other scripts end
/// otherwise, or at nothing, and no list of stop words fits. A quarter leaves room for names and quotations.
fn refuse_other_scripts(text: &str) -> Result<(), Refusal> {
    let letters = text.chars().filter(|c| c.is_alphabetic());
    let (all, other) =
        letters.fold((0usize, 0usize), |(all, other), c| (all + 1, other + usize::from(!is_latin(c))));
    if 4 * other <= all {
        return Ok(());
    }
    Err(Refusal::new(
        "script-unknown",
        "The document is in a script whose words and sentences cannot be told apart here.",
    )
    .need("a `text` in English")
    .alternative("translate the document first")
    .retry_after_change("text"))
}

/// Whether a letter is Latin, with its marks, ligatures and wide forms.
fn is_latin(c: char) -> bool {
    matches!(u32::from(c),
        0x41..=0x24F | 0x250..=0x2AF | 0x1E00..=0x1EFF | 0x2C60..=0x2C7F | 0xA720..=0xA7FF | 0xFB00..=0xFB06
        | 0xFF21..=0xFF5A)
}

/// Splits a text into sentences, which end at `.`, `!` or `?` before white space, or at an empty line.
fn split(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        // White space must follow, so that `3.5` does not end a sentence.
        let ends = matches!(c, '.' | '!' | '?') && next.is_none_or(char::is_whitespace);
        if ends || (c == '\n' && next == Some('\n')) {
            sentences.push(text[start..at + c.len_utf8()].trim());
            start = at + c.len_utf8();
        }
    }
    sentences.push(text[start..].trim());
    sentences.retain(|sentence| !sentence.is_empty());
    sentences
}

/// The words that count: in lower case, without short words and stop words.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .map(str::to_lowercase)
        .filter(|word| word.chars().count() > 2 && STOP.binary_search(&word.as_str()).is_err())
}

fn count(text: &str) -> BTreeMap<String, u32> {
    words(text).fold(BTreeMap::new(), |mut counts, word| {
        *counts.entry(word).or_default() += 1;
        counts
    })
}

/// The best sentences, in the order of the document. Scores are relative to the best one.
fn summary(sentences: &[&str], counts: &BTreeMap<String, u32>, limit: usize) -> Vec<Sentence> {
    let scores: Vec<f64> = sentences.iter().map(|sentence| weight(sentence, counts)).collect();
    // Never zero, because it is a divisor.
    let best = scores.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let mut order: Vec<usize> = (0..sentences.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    order.truncate(limit);
    // Back to the order of the document after the choice by score.
    order.sort_unstable();
    let sentence = |index: usize| Sentence {
        index: index as u32,
        text: sentences[index].to_owned(),
        score: scores[index] / best,
    };
    order.into_iter().map(sentence).collect()
}

/// The score of a sentence: the summed frequency of its words over the square root of their number. Dividing by the
/// number itself would let short sentences win with one frequent word.
fn weight(sentence: &str, counts: &BTreeMap<String, u32>) -> f64 {
    let found: Vec<f64> =
        words(sentence).filter_map(|word| counts.get(&word)).map(|n| f64::from(*n)).collect();
    found.iter().sum::<f64>() / (found.len().max(1) as f64).sqrt()
}

/// The most frequent words. The alphabet breaks ties, so the order is stable.
fn key_terms(counts: &BTreeMap<String, u32>, limit: usize) -> Vec<Term> {
    let mut terms: Vec<Term> =
        counts.iter().map(|(term, count)| Term { term: term.clone(), count: *count }).collect();
    terms.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.term.cmp(&b.term)));
    terms.truncate(limit);
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_words_are_sorted() {
        assert!(STOP.is_sorted());
    }

    #[test]
    fn refuses_scripts_that_it_cannot_split() {
        let refused = |text: &str| match TextDigest::text_digest(text.to_owned(), None, None) {
            Ok(_) => None,
            Err(Failure::Refused(refusal)) => Some(refusal.code),
            Err(other) => panic!("{other:?}"),
        };
        for text in [
            "就业人数在十月下降。建筑业失业最多。",
            "10月の雇用は減少した。建設業が最も多くの職を失った。",
            "การจ้างงานลดลงในเดือนตุลาคม",
            "अक्टूबर में रोज़गार घटा। निर्माण में सबसे अधिक।",
            "Занятость упала в октябре. Строительство потеряло больше всего.",
            "انخفضت العمالة في أكتوبر. فقد البناء أكثر الوظائف؟",
        ] {
            assert_eq!(refused(text).as_deref(), Some("script-unknown"), "{text}");
        }
        assert_eq!(refused("The word 就业 means employment. It fell in October."), None);
        assert_eq!(refused("Café owners naïvely hired more. Jobs rose."), None);
    }

    #[test]
    fn ranks_the_sentence_with_the_frequent_words() {
        let text = "Jobs fell. Construction jobs fell most, as construction does. Weather was fine.";
        let digest = TextDigest::text_digest(text.to_owned(), Some(1), Some(2)).unwrap();
        assert_eq!(digest.summary[0].index, 1);
        assert_eq!((digest.sentences, digest.words), (3, 12));
        assert_eq!(digest.key_terms[0].term, "construction");
    }
}
