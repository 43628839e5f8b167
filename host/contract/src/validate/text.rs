//! Lists and objects that were sent as text: JSON, Python's spelling of it, or values with commas between them.
//!
//! Owns how such a text is read. Must not know schemas.

use serde_json::{Map, Number, Value};

use crate::lossless::{self, Loss};

/// Longer texts are not read for a hint: what came of them would be held beside the arguments.
const READ_BYTES_MAX: usize = 64 << 10;

/// Lists within each other are read down to here: arguments are no deeper.
const DEPTH_MAX: usize = 64;

/// The list or object that a text spells.
pub(super) fn structured(text: &str) -> Option<Value> {
    let text = text.trim();
    if text.len() > READ_BYTES_MAX || !text.starts_with(['[', '{', '(']) {
        return None;
    }
    let read = match lossless::value(text) {
        Ok(value) => Some(value),
        Err(Loss::NoJson { .. }) => Python { rest: text }.whole(),
        // JSON of which a part would be gone.
        Err(Loss::Deep | Loss::Twice { .. } | Loss::Digits) => None,
    };
    read.filter(|value| value.is_array() || value.is_object())
}

/// The parts of a text with commas, semicolons or line ends between them; nothing for a text of one part.
pub(super) fn parts(text: &str) -> Option<Vec<&str>> {
    if text.len() > READ_BYTES_MAX || !text.contains(SEPARATORS) || text.contains(BRACKETS) {
        return None;
    }
    let parts: Vec<&str> = text.split(SEPARATORS).map(str::trim).collect();
    parts.iter().all(|part| !part.is_empty()).then_some(parts)
}

/// Whether a text may stand for several values, or spell a list that cannot be read.
pub(super) fn may_be_several(text: &str) -> bool {
    text.contains(SEPARATORS) || text.contains(" and ") || text.trim().starts_with(BRACKETS)
}

const SEPARATORS: [char; 4] = [',', ';', '|', '\n'];
const BRACKETS: [char; 3] = ['[', '{', '('];

/// A reader of Python's literals: as JSON, with single quotes, tuples, `True`, `False` and `None`.
struct Python<'t> {
    rest: &'t str,
}

impl Python<'_> {
    fn whole(mut self) -> Option<Value> {
        let value = self.value(0)?;
        self.rest.trim().is_empty().then_some(value)
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.rest = self.rest.trim_start();
        let first = self.rest.chars().next().filter(|_| depth < DEPTH_MAX)?;
        match first {
            '[' => self.items(']', depth).map(Value::Array),
            '(' => self.items(')', depth).map(Value::Array),
            '{' => self.members(depth).map(Value::Object),
            '\'' | '"' => self.text(first).map(Value::String),
            _ => self.word(),
        }
    }

    fn items(&mut self, end: char, depth: usize) -> Option<Vec<Value>> {
        let mut items = Vec::new();
        self.rest = &self.rest[1..];
        while !self.eats(end) {
            items.push(self.value(depth + 1)?);
            if !self.eats(',') {
                return self.eats(end).then_some(items);
            }
        }
        Some(items)
    }

    fn members(&mut self, depth: usize) -> Option<Map<String, Value>> {
        let mut members = Map::new();
        self.rest = &self.rest[1..];
        while !self.eats('}') {
            let Value::String(key) = self.value(depth + 1)? else { return None };
            let value = if self.eats(':') { self.value(depth + 1)? } else { return None };
            // Which of two was meant cannot be told.
            if members.insert(key, value).is_some() {
                return None;
            }
            if !self.eats(',') {
                return self.eats('}').then_some(members);
            }
        }
        Some(members)
    }

    /// A text in quotes. Escapes beyond those of a quote and a backslash are not read.
    fn text(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest[1..].chars();
        loop {
            match chars.next()? {
                '\\' => text.push(chars.next().filter(|c| matches!(c, '\\' | '\'' | '"'))?),
                c if c == quote => break,
                c => text.push(c),
            }
        }
        self.rest = chars.as_str();
        Some(text)
    }

    fn word(&mut self) -> Option<Value> {
        let end = self.rest.find([',', ']', ')', '}', ':']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word.trim() {
            "True" | "true" => Some(Value::Bool(true)),
            "False" | "false" => Some(Value::Bool(false)),
            "None" | "null" => Some(Value::Null),
            number => {
                // An integer of more digits than a number holds is read as another one.
                lossless::value(number).ok()?;
                number.parse::<Number>().ok().map(Value::Number)
            }
        }
    }

    fn eats(&mut self, wanted: char) -> bool {
        self.rest = self.rest.trim_start();
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(text: &str, expect: Option<Value>) {
        assert_eq!(structured(text), expect, "{text}");
    }

    #[test]
    fn reads_lists_and_objects_of_json_and_of_python() {
        check("['a', 'b']", Some(json!(["a", "b"])));
        check(" [1, 2.5, -3] ", Some(json!([1, 2.5, -3])));
        check("('it\\'s', True, None,)", Some(json!(["it's", true, null])));
        check("{'a': [1], 'b': {'c': False}}", Some(json!({"a": [1], "b": {"c": false}})));
        check("[]", Some(json!([])));
    }

    #[test]
    fn reads_nothing_else() {
        for text in ["a, b", "[a, b]", "['a'", "['a'] x", "{'a': 1, 'a': 2}", "{1: 2}", "7", "\"x\"", "[1 2]"]
        {
            check(text, None);
        }
        check(&format!("{}{}", "[".repeat(5_000), "]".repeat(5_000)), None);
        check(&format!("['{}']", "x".repeat(READ_BYTES_MAX)), None);
    }

    #[test]
    fn parts_are_between_commas() {
        assert_eq!(parts("a, b"), Some(vec!["a", "b"]));
        for text in ["a", "a,", "[a, b]"] {
            assert_eq!(parts(text), None, "{text}");
        }
    }
}
