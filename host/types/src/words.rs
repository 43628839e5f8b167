//! Words of an error, for an agent or a person to act on: what was got, and which name was probably meant.
//!
//! Owns how a value and a name are shown, and which names are near each other. Every text is bounded and has no hidden
//! characters, whatever a caller sent. Must not know what is wrong.

mod near;

use serde_json::Value;

pub use self::near::{Likeness, Match, doubles, nearest, nearest_match, pair};
use crate::shorten::{clean, shorten};

/// How much of a value an error shows, in characters.
pub const GOT_CHARS_MAX: usize = 60;

/// Most names that an error lists. A longer list is cut and followed by its total.
const NAMES_MAX: usize = 20;

/// Most keys of a caller's object that an error shows.
const KEYS_MAX: usize = 8;

/// Longest key that such an error shows, in characters.
const KEY_CHARS_MAX: usize = 30;

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

/// Whether two names differ by one character that is another, missing, added, or swapped with the next.
pub fn one_edit_apart(one: &str, other: &str) -> bool {
    // Most pairs differ by more in length, which is looked at first: the comparison takes quadratic time.
    one != other && one.len().abs_diff(other.len()) <= 4 && strsim::osa_distance(one, other) == 1
}

/// The question after the known name that was probably meant, if one is near.
pub fn did_you_mean<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
    nearest(name, known).map(|near| format!("did you mean `{near}`?"))
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
}
