//! Finds confidential values in texts.
//!
//! Owns which spellings of a value are looked for, and the bounds of the search. A text is a log, a message or a part of a result;
//! it may quote the beginning of a long value. Catches what a tool repeats by accident: short values, and spellings other than those
//! here, are not found.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::AhoCorasick;
use serde_json::Value;

use airlock_types::record::v3::MASK;

/// Bytes of the shortest value that is looked for. A shorter one is in too many texts by chance.
const VALUE_BYTES_MIN: usize = 4;

/// Bytes by which a long value is found, since texts quote the beginning of one: quotes are cut at 60 characters.
const PREFIX_BYTES_MAX: usize = 32;

/// Most bytes of the beginnings of all spellings. Of more values no text is kept: the automaton takes a hundred bytes for each of
/// these.
const BYTES_MAX: usize = 128 << 10;

/// Bytes that are compared for each byte of a text, before it is masked as a whole: a text of one letter matches a value of the same
/// letter at each place.
const WORK_FACTOR: usize = 64;

/// The search for the confidential values of one call.
#[derive(Default)]
pub(super) enum Texts {
    /// There are none.
    #[default]
    Nothing,
    Search(Search),
    /// There are too many.
    TooMany,
}

/// The spellings of all values, by the beginnings of which they are found.
pub(super) struct Search {
    /// The beginnings in order, each with the spellings that begin so, in order.
    groups: Vec<(String, Vec<String>)>,
    automaton: AhoCorasick,
}

impl Texts {
    pub(super) fn of(values: &[Value]) -> Texts {
        let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for spelling in values.iter().flat_map(spellings) {
            groups.entry(beginning(&spelling).to_owned()).or_default().insert(spelling);
        }
        if groups.is_empty() {
            return Texts::Nothing;
        }
        if groups.keys().map(String::len).sum::<usize>() > BYTES_MAX {
            return Texts::TooMany;
        }
        let groups: Vec<(String, Vec<String>)> = groups
            .into_iter()
            .map(|(beginning, spellings)| (beginning, spellings.into_iter().collect()))
            .collect();
        match AhoCorasick::new(groups.iter().map(|(beginning, _)| beginning)) {
            Ok(automaton) => Texts::Search(Search { groups, automaton }),
            // Within the bounds it can be built. What cannot be searched is not kept.
            Err(_) => Texts::TooMany,
        }
    }

    /// The text without the values. None if it has none.
    pub(super) fn masked(&self, text: &str) -> Option<String> {
        match self {
            Texts::Nothing => None,
            Texts::Search(search) => search.masked(text),
            Texts::TooMany => (!text.is_empty()).then(|| MASK.to_owned()),
        }
    }

    /// Whether this is one of the values, as a text spells it, or a number that is one negated.
    pub(super) fn has(&self, text: &str) -> bool {
        match self {
            Texts::Nothing => false,
            Texts::Search(search) => {
                search.has(text) || text.strip_prefix('-').is_some_and(|text| search.has(text))
            }
            Texts::TooMany => true,
        }
    }
}

impl Search {
    fn has(&self, text: &str) -> bool {
        let group = self.groups.binary_search_by(|(of, _)| of.as_str().cmp(beginning(text))).ok();
        let group = group.and_then(|at| self.groups.get(at));
        group.is_some_and(|(_, spellings)| spellings.iter().any(|spelling| spelling == text))
    }

    fn masked(&self, text: &str) -> Option<String> {
        let (mut masked, mut end) = (String::new(), 0);
        for (from, to) in self.found(text) {
            masked.push_str(text.get(end..from)?);
            masked.push_str(MASK);
            end = to;
        }
        let rest = text.get(end..)?;
        // The host cuts texts: what is left of a value at the end of one.
        let (cut, mark) = self.cut(rest);
        if end == 0 && cut == 0 {
            return None;
        }
        masked.push_str(rest.get(..rest.len() - mark - cut)?);
        if cut > 0 {
            masked.push_str(MASK);
        }
        masked.push_str(rest.get(rest.len() - mark..)?);
        Some(masked)
    }

    /// Bytes at the end of a text that a value begins with, and those of the mark of a cut behind them.
    fn cut(&self, whole: &str) -> (usize, usize) {
        let text = whole.strip_suffix('…').unwrap_or(whole);
        let longest = |beginning: &str| {
            let most = beginning.len().min(text.len());
            let mut lengths = (VALUE_BYTES_MIN..=most).rev();
            lengths.find(|length| beginning.get(..*length).is_some_and(|part| text.ends_with(part)))
        };
        let cut = self.groups.iter().filter_map(|(beginning, _)| longest(beginning)).max();
        (cut.unwrap_or(0), whole.len() - text.len())
    }

    /// The parts of a text that repeat a value, in order and apart from each other.
    fn found(&self, text: &str) -> Vec<(usize, usize)> {
        let mut work = text.len().saturating_mul(WORK_FACTOR);
        let mut found: Vec<(usize, usize)> = Vec::new();
        for at in self.automaton.find_overlapping_iter(text) {
            let length = self.length(at.pattern().as_usize(), text.get(at.start()..).unwrap_or_default());
            let (mut from, mut to) = (at.start(), at.start() + length);
            work = work.saturating_sub(length);
            if work == 0 {
                return vec![(0, text.len())];
            }
            // Matches come in the order of their ends, so that one overlaps the last ones or none.
            while let Some((first, last)) = found.pop_if(|(_, last)| from <= *last) {
                (from, to) = (from.min(first), to.max(last));
            }
            found.push((from, to));
        }
        found
    }

    /// How much of a text, which begins like the spellings of a group, is the beginning of one of them.
    fn length(&self, group: usize, text: &str) -> usize {
        let Some((beginning, spellings)) = self.groups.get(group) else { return 0 };
        // In the order of texts, the nearest ones have the most in common.
        let next = spellings.partition_point(|spelling| spelling.as_str() < text);
        let near = [next.checked_sub(1), Some(next)].into_iter().flatten().filter_map(|at| spellings.get(at));
        near.map(|spelling| common(text, spelling)).max().unwrap_or(beginning.len())
    }
}

/// The spellings of a value in texts: as it is, within a JSON text, and within a URL.
fn spellings(value: &Value) -> Vec<String> {
    let mut spellings = match value {
        Value::String(text) => {
            let quoted = value.to_string();
            let inside = quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned();
            vec![text.clone(), inside, percent(text, "%20"), percent(text, "+")]
        }
        // Without its sign, too: a debit is the negated credit.
        Value::Number(number) => {
            let number = number.to_string();
            let absolute = number.strip_prefix('-').map(str::to_owned);
            absolute.into_iter().chain([number]).collect()
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Vec::new(),
    };
    spellings.retain(|spelling| spelling.len() >= VALUE_BYTES_MIN);
    spellings
}

/// A text as a URL has it.
fn percent(text: &str, space: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            b' ' => space.to_owned(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn beginning(spelling: &str) -> &str {
    spelling.get(..spelling.floor_char_boundary(PREFIX_BYTES_MAX)).unwrap_or(spelling)
}

/// How many bytes two texts have in common at their beginnings.
fn common(text: &str, spelling: &str) -> usize {
    let same = text.bytes().zip(spelling.bytes()).take_while(|(one, other)| one == other).count();
    text.floor_char_boundary(same)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn masked(values: &[Value], text: &str) -> String {
        Texts::of(values).masked(text).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn a_value_is_masked_in_its_spellings() {
        let values =
            [json!("+49 170 555"), json!(48_213), json!(-7_512.25), json!("a\"b\\c"), json!("ab"), json!(12)];
        for (text, becomes) in [
            ("call +49 170 555 now", "call [confidential] now"),
            ("/p?n=%2B49%20170%20555&m=%2B49+170+555", "/p?n=[confidential]&m=[confidential]"),
            ("balance 48213.", "balance [confidential]."),
            ("balance -48213, debit 7512.25", "balance -[confidential], debit [confidential]"),
            ("{\"x\": \"a\\\"b\\\\c\"}", "{\"x\": \"[confidential]\"}"),
            ("ab 12", "ab 12"),
            ("", ""),
        ] {
            assert_eq!(masked(&values, text), becomes);
        }
    }

    #[test]
    fn a_negated_number_is_one_of_the_values() {
        let texts = Texts::of(&[json!(48_213), json!(-7_512.25)]);
        for text in ["48213", "-48213", "7512.25", "-7512.25"] {
            assert!(texts.has(text), "{text}");
        }
        assert!(!texts.has("4821"));
    }

    #[test]
    fn the_beginning_of_a_long_value_is_masked() {
        let long = "x".repeat(20) + &"y".repeat(100);
        let cut = format!("got {}… then", &long[..60]);
        assert_eq!(masked(&[json!(long)], &cut), "got [confidential]… then");
        let two = [json!(format!("{long}1")), json!(format!("{long}2"))];
        assert_eq!(masked(&two, &format!("{long}2!")), "[confidential]!");
    }

    #[test]
    fn of_too_many_values_no_text_is_kept() {
        let many = |values: u32| (0..values).map(|n| json!(n + 100_000)).collect::<Vec<_>>();
        assert_eq!(masked(&many(20_000), "anything 100007"), "anything [confidential]");
        assert_eq!(masked(&many(30_000), "anything"), "[confidential]");
        assert!(Texts::of(&many(30_000)).masked("").is_none());
    }

    #[test]
    fn a_text_that_repeats_a_value_at_each_place_costs_bounded_work() {
        let letters = "a".repeat(1 << 16);
        assert_eq!(masked(&[json!(letters)], &letters), "[confidential]");
    }

    proptest! {
        #[test]
        fn no_text_keeps_a_value(
            values in proptest::collection::vec("[a-c é]{4,50}", 1..6),
            between in "[a-c é]{0,20}",
        ) {
            let text = values.join(&between);
            let kept = masked(&values.iter().map(|value| json!(value)).collect::<Vec<_>>(), &text);
            let kept = kept.replace(MASK, "|");
            for value in &values {
                prop_assert!(!kept.contains(value), "{value:?} in {kept:?}");
            }
        }
    }
}
