//! Bounds on arguments that apply before any other check: size, depth, lengths, duplicate keys.
//!
//! Owns the one parse of a call's arguments. Must not know schemas or tools. To add a bound: a field, its check in
//! `Meter`, its row in the test.

#![expect(clippy::result_large_err, reason = "the first fault ends the call, so its size costs nothing")]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use airlock_types::code::Code;
use airlock_types::place::Place;
use airlock_types::violation::Violation;

/// Bounds on the arguments of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgumentLimits {
    /// Bytes of the whole JSON text. Default: 1 MiB.
    pub bytes_max: usize,
    /// Nesting of arrays and objects; the arguments object is level 1. Default: 64. At most 127, where the JSON parser
    /// stops.
    pub depth_max: usize,
    /// Bytes of one string or key. Default: 256 KiB.
    pub string_bytes_max: usize,
    /// Total number of values. Default: 50,000. Each value is visited several times and exists as JSON and as a
    /// component value at once.
    pub values_max: usize,
}

impl Default for ArgumentLimits {
    fn default() -> Self {
        ArgumentLimits { bytes_max: 1 << 20, depth_max: 64, string_bytes_max: 256 << 10, values_max: 50_000 }
    }
}

/// Parses the text of arguments within the bounds.
///
/// # Errors
/// The first violation, where the parse stops.
pub fn parse(text: &[u8], limits: &ArgumentLimits) -> Result<Map<String, Value>, Violation> {
    // The cheapest check first: no other one looks at more bytes than this bound.
    if text.len() > limits.bytes_max {
        return Err(too_large(limits, text.len()));
    }
    let text = std::str::from_utf8(text).map_err(|error| not_utf8(&error))?;
    match whole(text, limits).map_err(|unread| unread.violation)? {
        Value::Object(args) => Ok(args),
        other => Err(not_an_object(&other)),
    }
}

/// Why a text is not read, and where the parse stopped.
pub(crate) struct Unread {
    pub(crate) violation: Violation,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// Parses the text of any value within the bounds but for that of its size.
pub(crate) fn whole(text: &str, limits: &ArgumentLimits) -> Result<Value, Unread> {
    let meter = Meter::new(limits);
    let mut parser = serde_json::Deserializer::from_str(text);
    let node = Node { meter: &meter, at: &Place::Root, depth: 0 };
    // `end` refuses text after the value, which `serde_json` would otherwise ignore.
    let parsed = node.deserialize(&mut parser).and_then(|value| parser.end().map(|()| value));
    // A violation of a bound surfaces as a parser error, so the recorded one takes precedence.
    parsed.map_err(|error| Unread {
        violation: meter.fault.take().unwrap_or_else(|| syntax(&error)),
        line: error.line(),
        column: error.column(),
    })
}

/// Checks arguments that are already parsed against the same bounds.
///
/// # Errors
/// The first violation.
pub fn admit(args: &Map<String, Value>, limits: &ArgumentLimits) -> Result<(), Violation> {
    let meter = Meter::new(limits);
    walk_object(&meter, args, &Place::Root, 1)?;
    // After the walk: its depth bound keeps the recursive serializer off a deep value.
    let bytes = bytes_of(args);
    if bytes > limits.bytes_max { Err(too_large(limits, bytes)) } else { Ok(()) }
}

/// Size in bytes of parsed arguments as JSON. `usize::MAX`, which exceeds every bound, if they cannot be serialized.
pub fn bytes_of(args: &Map<String, Value>) -> usize {
    let mut size = Size(0);
    serde_json::to_writer(&mut size, args).map_or(usize::MAX, |()| size.0)
}

fn walk_object(
    meter: &Meter<'_>,
    object: &Map<String, Value>,
    at: &Place<'_>,
    depth: usize,
) -> Result<(), Violation> {
    meter.depth(depth, at)?;
    object.iter().try_for_each(|(key, value)| {
        meter.string(key, at)?;
        walk(meter, value, &at.key(key), depth)
    })
}

fn walk(meter: &Meter<'_>, value: &Value, at: &Place<'_>, depth: usize) -> Result<(), Violation> {
    meter.value(at)?;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        Value::String(text) => meter.string(text, at),
        Value::Object(object) => walk_object(meter, object, at, depth + 1),
        Value::Array(items) => {
            meter.depth(depth + 1, at)?;
            items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| walk(meter, item, &at.index(index), depth + 1))
        }
    }
}

/// A writer that counts bytes and discards them.
struct Size(usize);

impl io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The remaining budget, and the violation that ended the parse. It is kept here because serde errors carry only text.
struct Meter<'c> {
    limits: &'c ArgumentLimits,
    values_left: Cell<usize>,
    fault: RefCell<Option<Violation>>,
}

impl<'c> Meter<'c> {
    fn new(limits: &'c ArgumentLimits) -> Self {
        Meter { limits, values_left: Cell::new(limits.values_max), fault: RefCell::default() }
    }

    // Runs before the contents are parsed, so deep input cannot exhaust the stack.
    fn depth(&self, depth: usize, at: &Place<'_>) -> Result<(), Violation> {
        let max = self.limits.depth_max;
        let expected = || format!("at most {max} levels of arrays and objects");
        if depth <= max {
            Ok(())
        } else {
            Err(size(at, "depth", expected(), "more".into(), "send a flatter value"))
        }
    }

    fn string(&self, text: &str, at: &Place<'_>) -> Result<(), Violation> {
        let (max, len) = (self.limits.string_bytes_max, text.len());
        let fault =
            || size(at, "string", format!("at most {max} bytes of text"), bytes(len), "send a shorter text");
        if len <= max { Ok(()) } else { Err(fault()) }
    }

    fn value(&self, at: &Place<'_>) -> Result<(), Violation> {
        let max = self.limits.values_max;
        let fault = || size(at, "values", format!("at most {max} values in all"), "more".into(), SEND_LESS);
        self.values_left.get().checked_sub(1).map(|left| self.values_left.set(left)).ok_or_else(fault)
    }

    fn or_stop<E: serde::de::Error>(&self, checked: Result<(), Violation>) -> Result<(), E> {
        checked.map_err(|violation| {
            self.fault.replace(Some(violation));
            E::custom("refused by a limit")
        })
    }
}

const SEND_LESS: &str = "send less data, in several calls if needed";

/// A value that is about to be parsed. It is the seed and the visitor of the parser in one.
struct Node<'a> {
    meter: &'a Meter<'a>,
    at: &'a Place<'a>,
    depth: usize,
}

impl Node<'_> {
    fn enter<E: serde::de::Error>(&self) -> Result<usize, E> {
        self.meter.or_stop(self.meter.depth(self.depth + 1, self.at))?;
        Ok(self.depth + 1)
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<Value, D::Error> {
        self.meter.or_stop(self.meter.value(self.at))?;
        parser.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
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

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.meter.or_stop(self.meter.string(text, self.at))?;
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let depth = self.enter()?;
        let mut out = Vec::new();
        loop {
            let at = self.at.index(out.len());
            match items.next_element_seed(Node { meter: self.meter, at: &at, depth })? {
                Some(item) => out.push(item),
                None => return Ok(Value::Array(out)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let depth = self.enter()?;
        let mut out = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.meter.or_stop(self.meter.string(&key, self.at))?;
            let at = self.at.key(&key);
            // serde_json's map keeps the last duplicate silently. Other readers may keep the first, so duplicates are
            // rejected.
            if out.contains_key(&key) {
                self.meter.or_stop::<A::Error>(Err(duplicate(&at)))?;
            }
            let value = entries.next_value_seed(Node { meter: self.meter, at: &at, depth })?;
            out.insert(key, value);
        }
        Ok(Value::Object(out))
    }
}

fn violation(
    code: Code,
    at: &Place<'_>,
    keyword: &str,
    expected: String,
    got: String,
    hint: &str,
) -> Violation {
    Violation {
        code,
        path: at.path(),
        pointer: at.pointer(),
        keyword: keyword.to_owned(),
        expected,
        got,
        hint: Some(hint.to_owned()),
    }
}

fn size(at: &Place<'_>, keyword: &str, expected: String, got: String, hint: &str) -> Violation {
    violation(Code::ArgsSize, at, keyword, expected, got, hint)
}

fn too_large(limits: &ArgumentLimits, len: usize) -> Violation {
    size(&Place::Root, "bytes", format!("at most {}", bytes(limits.bytes_max)), bytes(len), SEND_LESS)
}

fn bytes(len: usize) -> String {
    format!("{len} bytes")
}

fn duplicate(at: &Place<'_>) -> Violation {
    let expected = "each key once".to_owned();
    violation(Code::ArgsSyntax, at, "duplicate", expected, "it twice".into(), "keep one of the two")
}

fn not_utf8(error: &std::str::Utf8Error) -> Violation {
    let got = format!("an invalid byte at offset {}", error.valid_up_to());
    violation(
        Code::ArgsSyntax,
        &Place::Root,
        "utf-8",
        "JSON in UTF-8".into(),
        got,
        "encode the text as UTF-8",
    )
}

/// Converts a parser error. Its message has a position and never contains the input text.
fn syntax(error: &serde_json::Error) -> Violation {
    let said = error.to_string();
    // The parser tells a number that no double holds only in its text.
    if said.starts_with("number out of range") {
        let expected = "numbers of at most 1.8e308".to_owned();
        let hint = "send a number that a double can hold";
        return violation(Code::ArgsSyntax, &Place::Root, "range", expected, said, hint);
    }
    let hint = "send one JSON object, for example {} when there are no arguments";
    violation(Code::ArgsSyntax, &Place::Root, "syntax", "one JSON object".into(), said, hint)
}

fn not_an_object(value: &Value) -> Violation {
    let got = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let hint = "send the arguments by name, in one object";
    violation(Code::ArgsType, &Place::Root, "type", "one JSON object".into(), got.into(), hint)
}

#[cfg(test)]
mod tests;
