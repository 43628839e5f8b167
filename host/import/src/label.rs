//! Names of WIT for names that were published: kebab-case, unique, and never a keyword.
//!
//! Owns the one way from a published name to a label. Must not know what is named.

use std::collections::{BTreeMap, BTreeSet};

use airlock_contract::path::snake;
use airlock_types::shorten::clean;

/// Characters of the longest label: longer published names are cut, and stay in the contract.
const LABEL_CHARS_MAX: usize = 64;

/// Words that WIT reads as its own. They are written with `%`.
const KEYWORDS: [&str; 39] = [
    "as",
    "async",
    "bool",
    "borrow",
    "char",
    "constructor",
    "enum",
    "error-context",
    "export",
    "f32",
    "f64",
    "flags",
    "from",
    "func",
    "future",
    "import",
    "include",
    "interface",
    "list",
    "map",
    "option",
    "own",
    "package",
    "record",
    "resource",
    "result",
    "s16",
    "s32",
    "s64",
    "s8",
    "static",
    "stream",
    "string",
    "tuple",
    "type",
    "use",
    "variant",
    "with",
    "world",
];

/// More of them.
const KEYWORDS_OF_NUMBERS: [&str; 4] = ["u16", "u32", "u64", "u8"];

/// Labels that are taken, and the number that the next name with the same label gets: names can be many.
#[derive(Debug, Default)]
pub(crate) struct Labels(BTreeSet<String>, BTreeMap<String, u32>);

impl Labels {
    /// Labels for the published names of one record or choice. Names that are their own label get it, so that no other one has
    /// a label that is published.
    pub(crate) fn of<'n>(names: &[&'n str], is_own: impl Fn(&str, &str) -> bool) -> Vec<(String, &'n str)> {
        let mut labels = Labels::default();
        let mut own: BTreeSet<&str> = BTreeSet::new();
        own.extend(names.iter().filter(|name| is_own(&label(name), name)));
        labels.0.extend(own.iter().map(|name| label(name)));
        let labelled = |name: &&'n str| {
            let label = if own.contains(name) { label(name) } else { labels.take(name) };
            (label, *name)
        };
        names.iter().map(labelled).collect()
    }

    /// A label for a published name that no other name has.
    pub(crate) fn take(&mut self, published: &str) -> String {
        let plain = label(published);
        if self.0.insert(plain.clone()) {
            return plain;
        }
        let next = self.1.entry(plain.clone()).or_insert(2);
        loop {
            let label = format!("{plain}-n{next}");
            *next = next.saturating_add(1);
            if self.0.insert(label.clone()) {
                return label;
            }
        }
    }
}

/// As it is written in WIT.
pub(crate) fn written(label: &str) -> String {
    let is_keyword = KEYWORDS.contains(&label) || KEYWORDS_OF_NUMBERS.contains(&label) || label == "_";
    if is_keyword { format!("%{label}") } else { label.to_owned() }
}

/// Whether agents see the published name without a word in the contract.
pub(crate) fn is_plain(label: &str, published: &str) -> bool {
    snake(label) == published
}

/// Whether a contract can give this name to a field.
pub(crate) fn can_be_named(key: &str) -> bool {
    is_shown(key, 64) && !key.contains(['`', '"', '\'', '\\'])
}

/// Whether a contract can give this value to a case.
pub(crate) fn can_be_value(value: &str) -> bool {
    is_shown(value, 256) && !value.contains('`')
}

/// Whether a text is shown as it is: no hidden characters, no space at its ends.
fn is_shown(text: &str, chars_max: usize) -> bool {
    let chars = text.chars().count();
    (1..=chars_max).contains(&chars) && text.trim() == text && clean(text) == text
}

/// The words of a name in lower case, joined by `-`. A word begins with a letter, so that numbers join the word before.
fn label(published: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in words_of(published) {
        match words.last_mut() {
            Some(last) if word.starts_with(|c: char| c.is_ascii_digit()) => last.push_str(&word),
            None if word.starts_with(|c: char| c.is_ascii_digit()) => words.push(format!("n{word}")),
            _ => words.push(word),
        }
    }
    let label = words.join("-");
    let cut = label.get(..LABEL_CHARS_MAX).unwrap_or(&label).trim_end_matches('-');
    if cut.is_empty() { "unnamed".to_owned() } else { cut.to_owned() }
}

/// Words end at other characters than ASCII letters and digits, and before a capital after a small letter.
fn words_of(published: &str) -> Vec<String> {
    let (mut words, mut word, mut was_small) = (Vec::new(), String::new(), false);
    for c in published.chars() {
        let begins = c.is_ascii_uppercase() && was_small;
        if (begins || !c.is_ascii_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_ascii_alphanumeric() {
            word.push(c.to_ascii_lowercase());
        }
        was_small = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_names_become_labels() {
        for (published, wanted) in [
            ("user_id", "user-id"),
            ("departureDate", "departure-date"),
            ("math.factorial", "math-factorial"),
            ("HTTPServer", "httpserver"),
            ("param_1", "param1"),
            ("2fa code", "n2fa-code"),
            ("in progress", "in-progress"),
            ("日本", "unnamed"),
            ("__class", "class"),
        ] {
            assert_eq!(label(published), wanted, "{published}");
        }
        assert_eq!(written("from"), "%from");
        assert!(is_plain("user-id", "user_id") && !is_plain("param1", "param_1"));
    }

    #[test]
    fn a_name_that_is_its_own_label_has_it() {
        let labels = |names: &[&'static str]| Labels::of(names, is_plain);
        let wanted = [("user-id-n2".to_owned(), "userId"), ("user-id".to_owned(), "user_id")];
        assert_eq!(labels(&["userId", "user_id"]), wanted);
        let cases = Labels::of(&["AA", "Aa", "aa"], |label, value| label == value);
        assert_eq!(cases.iter().map(|(label, _)| &**label).collect::<Vec<_>>(), ["aa-n2", "aa-n3", "aa"]);
    }

    #[test]
    fn labels_are_unique() {
        let mut labels = Labels::default();
        let made: Vec<String> = ["a b", "a_b", "aB", "a-b-n2"].iter().map(|name| labels.take(name)).collect();
        assert_eq!(made, ["a-b", "a-b-n2", "a-b-n3", "a-b-n2-n2"]);
    }
}
