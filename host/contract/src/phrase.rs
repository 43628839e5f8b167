//! The phrases of an error: what was expected, what was got, which name was probably meant.
//!
//! Owns the words that both gates of the inner door use. Must not know where a value came from, and never
//! prints a whole one. For a new type: a row in [`expected`].

use serde_json::Value;

use super::ty::{Case, Field, Ty};
use airlock_types::shorten::clean;

/// How much of a value an error shows.
const GOT_CHARS: usize = 60;
/// How many names an error lists before it only counts.
const NAMES: usize = 20;
/// How long the parts of a tuple may be, in bytes, to be listed.
const TUPLE_BYTES: usize = 600;
/// Jaro-Winkler similarity below which a suggestion would be noise.
const SIMILAR: f64 = 0.82;
/// Length in bytes of the longest compared name. Comparing takes quadratic time.
const NAME_CHARS: usize = 120;
/// Number of known names that are compared with an unknown one.
const COMPARED_MAX: usize = 256;

/// What would be right: `integer 0–255`.
pub fn expected(ty: &Ty) -> String {
    match ty {
        Ty::Bool => "boolean".into(),
        Ty::S8 | Ty::U8 | Ty::S16 | Ty::U16 | Ty::S32 | Ty::U32 => integer(ty),
        Ty::S64 | Ty::U64 => format!("{}, also as a decimal string", integer(ty)),
        Ty::F32 => format!("number within ±{:e}", f32::MAX),
        Ty::F64 => "number".into(),
        Ty::Char => "string of one character".into(),
        Ty::String => "string".into(),
        Ty::List(item) if **item == Ty::U8 => r#"base64 string or {"utf8": text}"#.into(),
        Ty::List(_) => "array".into(),
        Ty::FixedList(_, len) => format!("array of {}", items(*len as usize)),
        Ty::Map(..) => r#"array of {"key", "value"} objects"#.into(),
        Ty::Record(fields) => record(fields),
        Ty::Tuple(parts) => tuple(parts),
        Ty::Variant(cases) => tag(cases.iter().map(|case: &Case| case.name.as_str())),
        Ty::Enum(names) => format!("one of {}", list(names.iter().map(|name| &**name))),
        Ty::Option(inner) => option(inner),
        Ty::Result(..) => tag(["ok", "err"].into_iter()),
        Ty::Flags(names) => format!("array of names among {}", list(names.iter().map(|name| &**name))),
    }
}

/// What was there, in at most 60 characters: `string "twelve"`.
pub fn got(v: &Value) -> String {
    match v {
        Value::Null => "null".into(),
        Value::Bool(b) => format!("boolean {b}"),
        Value::Number(n) if n.is_f64() => format!("number {n}"),
        Value::Number(n) => format!("integer {n}"),
        Value::String(s) => shorten(&format!("string {}", quoted(s))),
        Value::Array(values) => format!("array of {}", items(values.len())),
        Value::Object(map) if map.is_empty() => "empty object".into(),
        Value::Object(map) => shorten(&format!("object with {}", list(map.keys().map(String::as_str)))),
    }
}

/// The known name that was probably meant, spelling conventions aside.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > NAME_CHARS {
        return None;
    }
    let meant = plain(name);
    known
        .filter(|known| known.len() <= NAME_CHARS)
        .take(COMPARED_MAX)
        .map(|known| (strsim::jaro_winkler(&meant, &plain(known)), known))
        .filter(|(score, _)| *score >= SIMILAR)
        .fold(None, |best: Option<(f64, &str)>, next| best.filter(|best| best.0 >= next.0).or(Some(next)))
        .map(|(_, known)| known)
}

/// The names, separated by commas; of a long list only the beginning and the number.
pub fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.collect();
    let shown = names[..names.len().min(NAMES)].join(", ");
    if names.len() > NAMES { format!("{shown}, … ({} in all)", names.len()) } else { shown }
}

/// As [`list`], each name in backticks.
pub fn quoted_list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    list(names.iter().map(String::as_str))
}

/// The least and the greatest value of an integer type.
pub fn bounds(ty: &Ty) -> Option<(i64, u64)> {
    let narrow = |min: i64, max: u32| Some((min, u64::from(max)));
    match ty {
        Ty::S8 => narrow(i8::MIN.into(), i8::MAX as u32),
        Ty::U8 => narrow(0, u8::MAX.into()),
        Ty::S16 => narrow(i16::MIN.into(), i16::MAX as u32),
        Ty::U16 => narrow(0, u16::MAX.into()),
        Ty::S32 => narrow(i32::MIN.into(), i32::MAX as u32),
        Ty::U32 => narrow(0, u32::MAX),
        Ty::S64 => Some((i64::MIN, i64::MAX as u64)),
        Ty::U64 => Some((0, u64::MAX)),
        _ => None,
    }
}

/// `integer 0–255`, without mention of a decimal string.
pub(super) fn integer(ty: &Ty) -> String {
    bounds(ty).map_or("integer".into(), |(min, max)| format!("integer {min}–{max}"))
}

/// Cuts a text to what an error shows.
pub fn shorten(text: &str) -> String {
    if text.chars().count() <= GOT_CHARS {
        return text.to_owned();
    }
    text.chars().take(GOT_CHARS - 1).chain(['…']).collect()
}

/// A string as JSON writes it; of a long one the beginning.
fn quoted(s: &str) -> String {
    let start: String = s.chars().take(GOT_CHARS).collect();
    Value::String(clean(&start)).to_string()
}

fn items(n: usize) -> String {
    if n == 1 { "1 item".into() } else { format!("{n} items") }
}

fn record(fields: &[Field]) -> String {
    let names: Vec<_> = fields.iter().map(|field| super::ty::snake(&field.name)).collect();
    format!("object with {}", list(names.iter().map(|name| &**name)))
}

/// With what each part is, unless that is too long: a tuple of tuples would repeat it at every level.
fn tuple(parts: &[Ty]) -> String {
    let whole = format!("array of {}", items(parts.len()));
    let mut text = whole.clone();
    for (i, part) in parts.iter().enumerate() {
        text += if i == 0 { ": " } else { "; " };
        text += &expected(part);
        if text.len() > TUPLE_BYTES {
            return whole;
        }
    }
    text
}

fn option(inner: &Ty) -> String {
    if inner.as_option().is_some() {
        return format!(r#"null or {{"some": {}}}"#, expected(inner));
    }
    format!("{} or null", expected(inner))
}

fn tag<'a>(names: impl Iterator<Item = &'a str>) -> String {
    format!("object with `tag` one of {}", list(names))
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn says_what_was_expected() {
        assert_eq!(expected(&Ty::U8), "integer 0–255");
        assert_eq!(expected(&Ty::S16), "integer -32768–32767");
        assert_eq!(expected(&Ty::Option(Box::new(Ty::Bool))), "boolean or null");
        assert_eq!(expected(&Ty::Enum(vec!["a".into(), "b-c".into()])), "one of a, b-c");
    }

    #[test]
    fn says_what_was_got_in_sixty_characters() {
        assert_eq!(got(&json!("twelve")), r#"string "twelve""#);
        assert_eq!(got(&json!("a\u{1b}[0m\u{202e}b")), r#"string "ab""#);
        assert_eq!(got(&json!([1])), "array of 1 item");
        assert_eq!(got(&json!({"b": 1, "a": 2})), "object with a, b");
        assert_eq!(got(&json!("é".repeat(10_000))).chars().count(), 60);
    }

    #[test]
    fn finds_the_name_that_was_meant() {
        let known = ["departure_date", "max_items", "passengers"];
        let near = |name| nearest(name, known.into_iter());
        assert_eq!(near("dept_date"), Some("departure_date"));
        assert_eq!(near("maxItems"), Some("max_items"));
        assert_eq!(near("max-items"), Some("max_items"));
        assert_eq!(near("colour"), None);
    }
}
