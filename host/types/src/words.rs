//! Words of an error, for an agent or a person to act on: what was got, and which name was probably meant.
//!
//! Owns how a value and a name are shown, and which names are near each other. Every text is bounded and has no hidden
//! characters, whatever a caller sent. Must not know what is wrong.

use serde_json::Value;

use crate::shorten::{clean, shorten};

/// How much of a value an error shows, in characters.
pub const GOT_CHARS_MAX: usize = 60;

/// Most names that an error lists. A longer list is cut and followed by its total.
const NAMES_MAX: usize = 20;

/// Most keys of a caller's object that an error shows.
const KEYS_MAX: usize = 8;

/// Longest key that such an error shows, in characters.
const KEY_CHARS_MAX: usize = 30;

/// Longest name that is compared, in bytes: a longer one is unlikely to be a slip, and comparing takes quadratic time.
const COMPARED_BYTES_MAX: usize = 120;

/// Most known names that are compared with an unknown one. It bounds the work: among more names a guess helps little.
const COMPARED_MAX: usize = 256;

/// One line of text, cleaned and cut. Reads at most `8 * chars_max` characters of a longer text.
pub fn one_line(text: &str, chars_max: usize) -> String {
    // Cleaning removes characters, so more are read than are shown. The factor bounds the work on a long text; a text
    // that mostly consists of hidden characters is shown shorter than it could be.
    let end = text.char_indices().nth(8 * chars_max).map_or(text.len(), |(end, _)| end);
    shorten(&clean(&text[..end]), chars_max)
}

/// The text in double quotes, as JSON writes it, cleaned and cut.
pub fn quoted(text: &str) -> String {
    Value::String(one_line(text, GOT_CHARS_MAX)).to_string()
}

/// What was there, in at most [`GOT_CHARS_MAX`] characters: `string "twelve"`, `array of 3 items`.
pub fn got(value: &Value) -> String {
    let text = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => format!("boolean {value}"),
        Value::Number(number) if number.is_f64() => format!("number {number}"),
        Value::Number(number) => format!("integer {number}"),
        Value::String(text) => return format!("string {}", quoted_within(text, GOT_CHARS_MAX - 9)),
        Value::Array(items) => format!("array of {}", count(items.len() as u64, "item")),
        Value::Object(object) if object.is_empty() => "empty object".to_owned(),
        Value::Object(object) => {
            let keys: Vec<String> =
                object.keys().take(KEYS_MAX).map(|key| one_line(key, KEY_CHARS_MAX)).collect();
            format!("object with {}", keys.join(", "))
        }
    };
    shorten(&text, GOT_CHARS_MAX)
}

/// As [`quoted`], with its quotes within the bound.
fn quoted_within(text: &str, chars_max: usize) -> String {
    let whole = quoted(text);
    if whole.chars().count() <= chars_max { whole } else { format!("{}\"", shorten(&whole, chars_max - 1)) }
}

/// `1 item`, `3 items`.
pub fn count(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// The names, separated by commas; of a long list only the beginning and the number.
pub fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.collect();
    let shown = names[..names.len().min(NAMES_MAX)].join(", ");
    if names.len() > NAMES_MAX { format!("{shown}, … ({} in all)", names.len()) } else { shown }
}

/// As [`list`], each name in backticks.
pub fn quoted_list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    list(names.iter().map(String::as_str))
}

/// The question after the known name that was probably meant, if one is near.
pub fn did_you_mean<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
    nearest(name, known).map(|near| format!("did you mean `{near}`?"))
}

/// The known name that was probably meant, if one is near: names are compared word by word, spelling conventions aside.
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if name.len() > COMPARED_BYTES_MAX {
        return None;
    }
    let meant = words(name);
    let short = known.into_iter().filter(|known| known.len() <= COMPARED_BYTES_MAX).take(COMPARED_MAX);
    let near = short.map(|known| (nearness(&meant, known), known)).filter(|(nearness, _)| *nearness > 0.0);
    // Among equally near names the alphabetically first one, so that the order of `known` does not matter.
    near.max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1))).map(|(_, known)| known)
}

fn nearness(a: &[String], b: &str) -> f64 {
    let b = words(b);
    if a.concat() == b.concat() {
        return 1.0;
    }
    if a.iter().all(|word| b.contains(word)) || b.iter().all(|word| a.contains(word)) {
        // Each kind of likeness has its own rank. One name with all words of the other comes before abbreviations,
        // and these come before mere similarity, which is capped below both.
        return 0.95;
    }
    if a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| abbreviates(a, b) || abbreviates(b, a)) {
        return 0.94;
    }
    let (a, b) = (a.join("_"), b.join("_"));
    let alike = strsim::jaro_winkler(&a, &b);
    // One wrong, missing, additional or swapped character, which the similarity of a short name can miss. A character
    // has up to four bytes, so a larger difference in length is more than one slip.
    let is_slip =
        || a.len() > 3 && a.len().abs_diff(b.len()) <= 4 && strsim::damerau_levenshtein(&a, &b) == 1;
    if alike >= 0.88 || is_slip() { alike.min(0.93) } else { 0.0 }
}

/// `dept` for `departure`; a word is its own abbreviation.
fn abbreviates(short: &str, long: &str) -> bool {
    let mut rest = long.chars();
    let in_order = short.chars().all(|c| rest.any(|other| other == c));
    short == long || (short.len() >= 3 && short.chars().next() == long.chars().next() && in_order)
}

/// `maxItems`, `max-items`, `Max Items` → `max`, `items`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_small = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && after_small) {
            words.push(String::new());
        }
        after_small = c.is_lowercase() || c.is_numeric();
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
    }
    // A name without letters and digits counts as one word. With no words at all it would be near to every name.
    words.retain(|word| !word.is_empty());
    if words.is_empty() { vec![name.to_owned()] } else { words }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn says_what_was_got_within_its_bound() {
        assert_eq!(got(&json!("twelve")), r#"string "twelve""#);
        assert_eq!(got(&json!("a\u{1b}[0m\u{202e}b")), r#"string "ab""#);
        assert_eq!(got(&json!([1])), "array of 1 item");
        assert_eq!(got(&json!({"b": 1, "a": 2})), "object with a, b");
        for long in [json!("é".repeat(10_000)), json!({"é".repeat(10_000): 1, "b".repeat(99): 2, "c": 3})] {
            assert!(got(&long).chars().count() <= GOT_CHARS_MAX, "{}", got(&long));
        }
    }

    #[test]
    fn nearness_is_about_words() {
        let near = |name: &str| nearest(name, ["departure_date", "max_price", "city_name", "limit"]);
        assert_eq!(near("departureDate"), Some("departure_date"));
        assert_eq!(near("dept_date"), Some("departure_date"));
        assert_eq!(near("max-price"), Some("max_price"));
        assert_eq!(near("city"), Some("city_name"));
        assert_eq!(near("limt"), Some("limit"));
        for other in ["min_price", "passengers", "colour"] {
            assert_eq!(near(other), None, "{other}");
        }
    }

    #[test]
    fn names_without_end_are_not_compared() {
        let many: Vec<String> = (0..10_000).map(|n| format!("field_{n}")).collect();
        assert_eq!(nearest("fields_9999", many.iter().map(String::as_str)), Some("field_99"));
        assert_eq!(nearest(&"x".repeat(121), ["x"]), None);
    }
}
