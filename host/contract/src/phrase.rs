//! Phrases for types, for what was expected.
//!
//! Owns how errors and schemas describe a type. For a new type: a row in [`expected`].

use super::ty::{Case, Field, Ty};
use airlock_types::words::{count, list};

/// Length in bytes up to which the phrase of a tuple describes its parts.
const TUPLE_BYTES: usize = 600;

/// Describes the values of a type: `integer 0–255`.
pub fn expected(ty: &Ty) -> String {
    match ty {
        Ty::Bool => "boolean".into(),
        Ty::S8 | Ty::U8 | Ty::S16 | Ty::U16 | Ty::S32 | Ty::U32 => integer(ty),
        // Also as a string: a JSON reader that stores numbers as floats loses digits of large ones.
        Ty::S64 | Ty::U64 => format!("{}, also as a decimal string", integer(ty)),
        Ty::F32 => format!("number within ±{:e}", f32::MAX),
        Ty::F64 => "number".into(),
        Ty::Char => "string of one character".into(),
        Ty::String => "string".into(),
        // Before `List`: bytes are a string in JSON.
        Ty::List(item) if **item == Ty::U8 => r#"base64 string or {"utf8": text}"#.into(),
        Ty::List(_) => "array".into(),
        Ty::FixedList(_, len) => format!("array of {}", count((*len).into(), "item")),
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

/// The least and the greatest value of an integer type. Their types cover both `s64` and `u64`.
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

/// As [`expected`], but a 64-bit integer is described without its decimal string.
pub(super) fn integer(ty: &Ty) -> String {
    bounds(ty).map_or("integer".into(), |(min, max)| format!("integer {min}–{max}"))
}

fn record(fields: &[Field]) -> String {
    let names: Vec<_> = fields.iter().map(|field| super::ty::snake(&field.name)).collect();
    format!("object with {}", list(names.iter().map(|name| &**name)))
}

/// Lists the phrase of each part, unless that is too long: the phrase of nested tuples would grow at each level.
fn tuple(parts: &[Ty]) -> String {
    let whole = format!("array of {}", count(parts.len() as u64, "item"));
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
    // For nested options null alone would be ambiguous, so the inner one is wrapped.
    if inner.as_option().is_some() {
        return format!(r#"null or {{"some": {}}}"#, expected(inner));
    }
    format!("{} or null", expected(inner))
}

fn tag<'a>(names: impl Iterator<Item = &'a str>) -> String {
    format!("object with `tag` one of {}", list(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_expected() {
        assert_eq!(expected(&Ty::U8), "integer 0–255");
        assert_eq!(expected(&Ty::S16), "integer -32768–32767");
        assert_eq!(expected(&Ty::Option(Box::new(Ty::Bool))), "boolean or null");
        assert_eq!(expected(&Ty::Enum(vec!["a".into(), "b-c".into()])), "one of a, b-c");
    }
}
