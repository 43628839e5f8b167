//! JSON whose keys come once.
//!
//! Owns the reading of a value that begins with `{` or `[`, alone or one a line, and the search for integers that are rounded. Must
//! not know forms of documents.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::rounded::Rounded;
use crate::ImportError;
use airlock_types::words::one_line;

/// Characters of a key in an error.
const KEY_CHARS_MAX: usize = 60;

/// Reads one value, or one a line.
pub(super) fn read(text: &str) -> Result<(Value, Rounded), ImportError> {
    let rounded = integers(text);
    let whole = match value(text, 0) {
        Err(ImportError::Json(why)) => why,
        read => return Ok((read?, rounded)),
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    match lines.map(|(above, line)| value(line, above)).collect::<Result<Vec<Value>, _>>() {
        Ok(lines) if lines.len() > 1 => Ok((Value::Array(lines), rounded)),
        Err(twice @ ImportError::Twice { .. }) => Err(twice),
        _ => Err(ImportError::Json(whole)),
    }
}

/// The value of a text with this many lines above it.
fn value(text: &str, above: usize) -> Result<Value, ImportError> {
    let doubled = RefCell::new(None);
    let mut parser = serde_json::Deserializer::from_str(text);
    let read = Once { doubled: &doubled }.deserialize(&mut parser);
    let read = read.and_then(|value| parser.end().map(|()| value));
    read.map_err(|err| match doubled.take() {
        Some(key) => ImportError::Twice { line: above + err.line(), column: err.column(), key },
        None => ImportError::Json(err.to_string()),
    })
}

/// Reads a value whose objects have each key once: the map of serde_json keeps the last of two without a word, and what was meant
/// may be the first.
#[derive(Clone, Copy)]
struct Once<'k> {
    /// The key that comes twice, once it is found.
    doubled: &'k RefCell<Option<String>>,
}

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<Value, D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            read.push(item);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if read.contains_key(&key) {
                *self.doubled.borrow_mut() = Some(one_line(&key, KEY_CHARS_MAX));
                return Err(A::Error::custom("a key is there twice"));
            }
            let value = members.next_value_seed(self)?;
            read.insert(key, value);
        }
        Ok(Value::Object(read))
    }
}

/// The integers of a JSON text that are rounded. The parser does not say how a number was written.
fn integers(text: &str) -> Rounded {
    let mut rounded = Rounded::default();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        rest = &rest[at..];
        let len = if rest.starts_with('"') { string_len(rest) } else { number_len(rest) };
        let (token, after) = rest.split_at(len);
        rounded.add(token);
        rest = after;
    }
    rounded
}

/// Bytes of the string that a text begins with, with its quotes.
fn string_len(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Bytes of the number that a text begins with.
fn number_len(text: &str) -> usize {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check_refused(text: &str, says: &str) {
        let refused = read(text).unwrap_err().to_string();
        assert_eq!(refused, says);
    }

    #[test]
    fn a_key_that_comes_twice_is_refused_with_its_place() {
        check_refused(
            "{\"a\": 1,\n \"b\": [{\"c\": 1,\n  \"c\": 2}]}",
            "line 3, column 5: the key `c` is there twice; keep one of the two",
        );
        // One value a line.
        check_refused(
            "{\"a\": 1}\n\n{\"a\": 1, \"a\": 1}",
            "line 3, column 12: the key `a` is there twice; keep one of the two",
        );
        check_refused(
            "{\"\\u0061\": 1, \"a\": 1}\n{}",
            "line 1, column 17: the key `a` is there twice; keep one of the two",
        );
        let long = "k".repeat(100_000);
        assert!(read(&format!("{{\"{long}\": 1, \"{long}\": 2}}")).unwrap_err().to_string().len() < 300);
    }

    #[test]
    fn values_are_read_as_they_are_written() {
        let text = r#"{"a": [null, true, -1, 18446744073709551615, 1.5, "x\n", {}], "b": {"a": []}}"#;
        let wanted = json!({"a": [null, true, -1, u64::MAX, 1.5, "x\n", {}], "b": {"a": []}});
        assert_eq!(read(text).unwrap().0, wanted);
        assert_eq!(read("{}\n\n[1]\n").unwrap().0, json!([{}, [1]]));
        check_refused("{\"a\": 1e400}", "it is not JSON: number out of range at line 1 column 11");
        check_refused("{\"a\"", "it is not JSON: EOF while parsing an object at line 1 column 4");
        let deep = read(&format!("{}{}", "[".repeat(1_000), "]".repeat(1_000))).unwrap_err().to_string();
        assert!(deep.contains("recursion limit"), "{deep}");
    }

    #[test]
    fn integers_that_are_rounded_are_found_outside_of_texts() {
        let large = "12345678901234567890123";
        let found = |text: &str| {
            let (value, rounded) = read(text).unwrap();
            rounded.of(&value["a"]).map(str::to_owned)
        };
        assert_eq!(found(&format!(r#"{{"a": {large}}}"#)).as_deref(), Some(large));
        assert_eq!(
            found(&format!(r#"{{"b": "\"", "a": -{large}}}"#)).as_deref(),
            Some("-12345678901234567890123")
        );
        assert_eq!(found(&format!(r#"{{"a": "{large}"}}"#)), None);
        // As it was written, or as near as a double is.
        assert_eq!(found(r#"{"a": 1e30, "b": 1.00000000000000000000001}"#), None);
        assert_eq!(found(r#"{"a": 18446744073709551616}"#), None);
    }
}
