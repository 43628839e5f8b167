//! YAML 1.2 as JSON, within bounds.
//!
//! Owns what a scalar of the core schema is in JSON, and the bound on what aliases repeat. Must not know forms of documents.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use serde_json::{Map, Value};

use super::DOCUMENT_BYTES_MAX;
use super::rounded::Rounded;
use crate::ImportError;
use airlock_types::words::one_line;

/// Deepest nesting: as deep as JSON is read.
const DEPTH_MAX: usize = 128;

/// Bytes of all values, with what aliases repeat.
const BYTES_MAX: usize = 2 * DOCUMENT_BYTES_MAX;

/// Bytes that a value takes beside its text.
const NODE_BYTES: usize = 32;

/// Characters of an error.
const WHAT_CHARS_MAX: usize = 200;

/// Where the tags of the core schema are.
const CORE: &str = "tag:yaml.org,2002:";

/// Reads one document.
pub(super) fn read(text: &str) -> Result<(Value, Rounded), ImportError> {
    let options = granit_parser::options! {
        block_nesting_limit: DEPTH_MAX,
        flow_nesting_limit: DEPTH_MAX,
    };
    let mut reader = Reader {
        events: Parser::new_from_str_with_options(text, options),
        anchors: BTreeMap::new(),
        bytes_left: BYTES_MAX,
        depth: 0,
        rounded: Rounded::default(),
    };
    Ok((reader.document()?, reader.rounded))
}

/// A value that aliases can repeat.
struct Anchored {
    value: Value,
    bytes: usize,
    depth: usize,
}

struct Reader<'t, E: Iterator<Item = Result<(Event<'t>, Span), ScanError>>> {
    events: E,
    anchors: BTreeMap<usize, Anchored>,
    bytes_left: usize,
    depth: usize,
    rounded: Rounded,
}

impl<'t, E: Iterator<Item = Result<(Event<'t>, Span), ScanError>>> Reader<'t, E> {
    fn document(&mut self) -> Result<Value, ImportError> {
        let mut document = None;
        while let Some((event, line)) = self.next()? {
            match event {
                Event::DocumentStart(..) if document.is_some() => {
                    return Err(wrong(line, "a second document begins; put each into a file of its own"));
                }
                Event::StreamStart | Event::StreamEnd | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => document = Some(self.value(event, line)?),
            }
        }
        document.ok_or_else(|| ImportError::Json("it is empty".to_owned()))
    }

    fn next(&mut self) -> Result<Option<(Event<'t>, usize)>, ImportError> {
        let next = self.events.next().transpose();
        let next = next.map_err(|err| wrong(err.marker().line(), &err.to_string()))?;
        Ok(next.map(|(event, span)| (event, span.start.line())))
    }

    /// The next event where one must follow.
    fn inner(&mut self, line: usize) -> Result<(Event<'t>, usize), ImportError> {
        self.next()?.ok_or_else(|| wrong(line, "it ends within a value"))
    }

    fn value(&mut self, event: Event<'t>, line: usize) -> Result<Value, ImportError> {
        let before = self.bytes_left;
        let (anchor, value) = match event {
            Event::Alias(anchor) => return self.repeated(anchor, line),
            Event::Scalar(text, style, anchor, tag) => {
                self.take(text.len(), line)?;
                let value = scalar(&text, style, tag.as_deref(), line)?;
                if value.is_f64() {
                    self.rounded.add(text.strip_prefix('+').unwrap_or(&text));
                }
                (anchor, value)
            }
            Event::SequenceStart(_, anchor, tag) => {
                collection(tag.as_deref(), "seq", line)?;
                (anchor, self.nested(line, Self::sequence)?)
            }
            Event::MappingStart(_, anchor, tag) => {
                collection(tag.as_deref(), "map", line)?;
                (anchor, self.nested(line, Self::mapping)?)
            }
            _ => return Err(wrong(line, "a value is missing")),
        };
        if anchor != 0 {
            let bytes = before - self.bytes_left;
            // The copy that aliases repeat takes memory, too.
            self.take(bytes, line)?;
            self.anchors.insert(anchor, Anchored { depth: depth(&value), value: value.clone(), bytes });
        }
        Ok(value)
    }

    fn nested(
        &mut self,
        line: usize,
        inside: impl FnOnce(&mut Self, usize) -> Result<Value, ImportError>,
    ) -> Result<Value, ImportError> {
        self.deep(1, line)?;
        self.take(0, line)?;
        self.depth += 1;
        let value = inside(self, line);
        self.depth -= 1;
        value
    }

    fn sequence(&mut self, line: usize) -> Result<Value, ImportError> {
        let mut items = Vec::new();
        loop {
            match self.inner(line)? {
                (Event::SequenceEnd, _) => return Ok(Value::Array(items)),
                (event, line) => items.push(self.value(event, line)?),
            }
        }
    }

    fn mapping(&mut self, line: usize) -> Result<Value, ImportError> {
        let mut members = Map::new();
        loop {
            let key = match self.inner(line)? {
                (Event::MappingEnd, _) => return Ok(Value::Object(members)),
                (event, line) => self.key(event, line)?,
            };
            let (event, line) = self.inner(line)?;
            let value = self.value(event, line)?;
            if members.contains_key(&key) {
                return Err(wrong(line, &format!("the key `{}` is there twice", key.escape_default())));
            }
            members.insert(key, value);
        }
    }

    /// The text of a key, as it is written: status codes of OpenAPI look like numbers.
    fn key(&mut self, event: Event<'t>, line: usize) -> Result<String, ImportError> {
        match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<" => {
                Err(wrong(line, "merge keys (`<<`) are no part of YAML 1.2; write the keys out"))
            }
            Event::Scalar(text, ..) => {
                self.take(text.len(), line)?;
                Ok(text.into_owned())
            }
            _ => Err(wrong(line, "a key is not a text")),
        }
    }

    fn repeated(&mut self, anchor: usize, line: usize) -> Result<Value, ImportError> {
        let known = self.anchors.get(&anchor);
        let known = known.ok_or_else(|| wrong(line, "an alias within its own value"))?;
        let (bytes, depth) = (known.bytes, known.depth);
        self.deep(depth, line)?;
        // Before the value is copied.
        self.take(bytes, line)?;
        Ok(self.anchors.get(&anchor).map(|known| known.value.clone()).unwrap_or_default())
    }

    /// Checks that there is room for a value of this depth.
    fn deep(&self, depth: usize, line: usize) -> Result<(), ImportError> {
        let is_within = self.depth + depth <= DEPTH_MAX;
        is_within.then_some(()).ok_or_else(|| wrong(line, &format!("nested deeper than {DEPTH_MAX}")))
    }

    fn take(&mut self, bytes: usize, line: usize) -> Result<(), ImportError> {
        let left = self.bytes_left.checked_sub(bytes + NODE_BYTES);
        let large = || wrong(line, &format!("with what aliases repeat it has more than {BYTES_MAX} bytes"));
        self.bytes_left = left.ok_or_else(large)?;
        Ok(())
    }
}

/// Levels of lists and objects.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn wrong(line: usize, what: &str) -> ImportError {
    // It may quote the document, of which one value can have megabytes.
    ImportError::Yaml { line, what: one_line(what, WHAT_CHARS_MAX) }
}

/// The name of a tag of the core schema; empty for the tag `!`, which leaves a scalar a text.
fn core(tag: &Tag, line: usize) -> Result<String, ImportError> {
    let tag = format!("{}{}", tag.handle(), tag.suffix());
    let tag = tag.strip_prefix(CORE).or((tag == "!").then_some(""));
    tag.map(str::to_owned).ok_or_else(|| wrong(line, "a tag that JSON has no value for"))
}

fn collection(tag: Option<&Tag>, wanted: &str, line: usize) -> Result<(), ImportError> {
    match tag.map(|tag| core(tag, line)).transpose()? {
        Some(tag) if tag != wanted && !tag.is_empty() => {
            Err(wrong(line, "a tag that does not fit its value"))
        }
        _ => Ok(()),
    }
}

/// A scalar in the core schema of YAML 1.2, where `no` and `2020-01-01` are texts.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, line: usize) -> Result<Value, ImportError> {
    let tag = tag.map(|tag| core(tag, line)).transpose()?;
    let resolved = || resolved(text).ok_or_else(|| wrong(line, &format!("`{text}` is no number of JSON")));
    let fits = |value: &Value, tag: &str| match tag {
        "null" => value.is_null(),
        "bool" => value.is_boolean(),
        "int" => value.is_i64() || value.is_u64(),
        "float" => value.is_number(),
        _ => false,
    };
    match tag.as_deref() {
        Some("str" | "") => Ok(text.into()),
        Some(tag) => {
            let value = resolved()?;
            let fits = fits(&value, tag);
            fits.then_some(value).ok_or_else(|| wrong(line, "a tag that does not fit its value"))
        }
        None if style == ScalarStyle::Plain => resolved(),
        None => Ok(text.into()),
    }
}

/// None for numbers that JSON does not have.
fn resolved(text: &str) -> Option<Value> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let radix = |digits: &str, radix| i64::from_str_radix(digits, radix).ok().map(Value::from);
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "true" | "True" | "TRUE" => return Some(true.into()),
        "false" | "False" | "FALSE" => return Some(false.into()),
        _ => {}
    }
    if let Some(octal) = text.strip_prefix("0o").filter(|rest| rest.bytes().all(|b| b.is_ascii_digit())) {
        return radix(octal, 8);
    }
    if let Some(hex) = text.strip_prefix("0x").filter(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit())) {
        return radix(hex, 16);
    }
    match digits {
        ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN" => None,
        _ if is_number(digits) => number(text),
        _ => Some(text.into()),
    }
}

/// Whether this is a number in the core schema: digits, a fraction, an exponent.
fn is_number(digits: &str) -> bool {
    let (mantissa, exponent) = digits
        .split_once(['e', 'E'])
        .map_or((digits, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_exponent = |text: &str| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        !digits.is_empty() && all(digits)
    };
    all(whole) && all(part) && !(whole.is_empty() && part.is_empty()) && exponent.is_none_or(is_exponent)
}

fn number(text: &str) -> Option<Value> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if let Ok(value) = text.parse::<i64>() {
        return Some(value.into());
    }
    if let Ok(value) = text.parse::<u64>() {
        return Some(value.into());
    }
    serde_json::Number::from_f64(text.parse().ok()?).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check_refused(text: &str, says: &str) {
        let refused = read(text).unwrap_err().to_string();
        assert!(refused.contains(says), "{says:?} is not in {refused:?}");
    }

    #[test]
    fn scalars_are_those_of_the_core_schema() {
        let text = "a: no\nb: 2020-01-01\nc: 1.50\nd: '1'\ne: ~\nf: 0x1f\ng: +7\nh: 1.2.3\ni: !!str 5\nj: .5e1\nk: 0o17\n\
                    l: True\nm: |\n  x\n  y\nn: 12345678901234567890\no: -\np:\n200: \"\\u202e\"\n";
        let wanted = json!({
            "a": "no", "b": "2020-01-01", "c": 1.5, "d": "1", "e": null, "f": 31, "g": 7, "h": "1.2.3", "i": "5", "j": 5.0,
            "k": 15, "l": true, "m": "x\ny\n", "n": 12_345_678_901_234_567_890_u64, "o": [null], "p": null, "200": "\u{202e}",
        });
        assert_eq!(read(&text.replace("o: -", "o: [~]")).unwrap().0, wanted);
    }

    #[test]
    fn integers_that_are_rounded_are_found() {
        let (value, rounded) =
            read("a: +12345678901234567890123\nb: '12345678901234567890123'\nc: 1e30\n").unwrap();
        assert_eq!(rounded.of(&value["a"]), Some("12345678901234567890123"));
        assert_eq!((rounded.of(&value["b"]), rounded.of(&value["c"])), (None, None));
    }

    #[test]
    fn aliases_repeat_their_value() {
        let text = "a: &one {b: [1]}\nc: *one\n";
        assert_eq!(read(text).unwrap().0, json!({"a": {"b": [1]}, "c": {"b": [1]}}));
    }

    #[test]
    fn what_json_has_no_value_for_is_refused_with_its_line() {
        check_refused("a: 1\nb: .nan\n", "line 2: `.nan`");
        check_refused("a: 1\na: 2\n", "line 2: the key `a` is there twice");
        check_refused("a: 1\nb:\n  <<: {c: 1}\n", "line 3: merge keys");
        check_refused("a: 1\n---\nb: 2\n", "line 2: a second document");
        check_refused("[a]: 1\n", "a key is not a text");
        check_refused("a: !mine 1\n", "line 1: a tag");
        check_refused("a: !!int x\n", "line 1: a tag that does not fit");
        check_refused("a: &a [*a]\n", "line 1: an alias within its own value");
        check_refused("a: *b\n", "line 1: ");
        check_refused("a: [1\n", "line ");
        check_refused("# nothing\n", "it is empty");
        for long in
            [format!("a: {}\n", "9".repeat(100_000)), format!("{0}: 1\n{0}: 2\n", "k".repeat(100_000))]
        {
            assert!(read(&long).unwrap_err().to_string().len() < 1_000);
        }
    }

    #[test]
    fn what_aliases_repeat_is_bounded() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..20 {
            let repeats = vec![format!("*a{}", n - 1); 10].join(", ");
            text.push_str(&format!("a{n}: &a{n} [{repeats}]\n"));
        }
        check_refused(&text, "with what aliases repeat");
        let chain: String = (1..2_000).map(|n| format!("- &a{n} [*a{}]\n", n - 1)).collect();
        check_refused(&format!("- &a0 []\n{chain}"), "nested deeper");
        check_refused(&"[".repeat(1_000), "line 1: ");
    }
}
