//! Lowers values without parts: numbers, characters, text, names, bytes.
//!
//! Owns exactness at the edges. A value that does not fit is returned with the keyword that it breaks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

use crate::Val;
use crate::lift::SAFE_INTEGER;
use crate::phrase;
use crate::ty::Ty;

type Broken = (&'static str, Value);

pub(super) fn lower(ty: &Ty, value: Value) -> Result<Val, Broken> {
    match (ty, value) {
        (Ty::Bool, Value::Bool(b)) => Ok(Val::Bool(b)),
        (Ty::F64, Value::Number(n)) => n.as_f64().map(Val::Float64).ok_or(("type", Value::Number(n))),
        (Ty::F32, Value::Number(n)) => float32(n),
        (Ty::Char, Value::String(s)) => character(s),
        (Ty::String, Value::String(s)) => Ok(Val::String(s)),
        (Ty::Enum(names), Value::String(s)) if names.contains(&s) => Ok(Val::Enum(s)),
        (Ty::Enum(_), value @ Value::String(_)) => Err(("enum", value)),
        (Ty::List(_), Value::String(s)) => base64(s),
        (Ty::List(_), Value::Object(map)) => utf8(map),
        (ty, value) => match integer(ty, &value) {
            Ok(n) => integer_val(ty, n).ok_or(("type", value)),
            Err(keyword) => Err((keyword, value)),
        },
    }
}

fn float32(n: Number) -> Result<Val, Broken> {
    // Narrowing rounds to the nearest `f32`. It gives an infinity only beyond the range of `f32`.
    match n.as_f64().map(|wide| wide as f32).filter(|narrow| narrow.is_finite()) {
        Some(narrow) => Ok(Val::Float32(narrow)),
        None => Err(("range", Value::Number(n))),
    }
}

fn character(s: String) -> Result<Val, Broken> {
    let mut chars = s.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(Val::Char(c)),
        (None, _) => Err(("minLength", Value::String(s))),
        (Some(_), Some(_)) => Err(("maxLength", Value::String(s))),
    }
}

fn base64(s: String) -> Result<Val, Broken> {
    STANDARD.decode(&s).map(bytes).map_err(|_| ("contentEncoding", Value::String(s)))
}

fn utf8(map: Map<String, Value>) -> Result<Val, Broken> {
    match map.get("utf8").and_then(Value::as_str) {
        Some(text) if map.len() == 1 => Ok(bytes(text.as_bytes().to_vec())),
        _ => Err(("anyOf", Value::Object(map))),
    }
}

fn bytes(bytes: Vec<u8>) -> Val {
    Val::List(bytes.into_iter().map(Val::U8).collect())
}

/// The integer that a JSON value means, within the bounds of its type. `i128` holds every intermediate value of both
/// signs.
fn integer(ty: &Ty, value: &Value) -> Result<i128, &'static str> {
    let Some((min, max)) = phrase::bounds(ty) else { return Err("type") };
    let wide = matches!(ty, Ty::S64 | Ty::U64);
    let (n, written) = match value.as_str() {
        // Only 64-bit integers have the form of a decimal string: narrower ones are exact in every JSON reader.
        Some(text) if wide => (decimal(text, min < 0).ok_or("pattern")?, true),
        _ => (whole(value, wide)?, false),
    };
    match (n < i128::from(min), n > i128::from(max)) {
        (false, false) => Ok(n),
        // `minimum` and `maximum` of the schema apply to numbers only, and its pattern only limits the digits.
        _ if written => Err("range"),
        (true, _) => Err("minimum"),
        (false, true) => Err("maximum"),
    }
}

/// The integer of a number without a fraction, such as `3.0`. Beyond ±(2^53−1) a float can mean several integers and is
/// refused for 64-bit types.
fn whole(value: &Value, wide: bool) -> Result<i128, &'static str> {
    if let Some(n) = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from)) {
        return Ok(n);
    }
    let n = value.as_f64().filter(|n| n.fract() == 0.0).ok_or("type")?;
    if wide && n.abs() > SAFE_INTEGER as f64 { Err("precision") } else { Ok(n as i128) }
}

/// A decimal integer as the schema's pattern permits it: no plus sign, no leading zeros.
fn decimal(text: &str, signed: bool) -> Option<i128> {
    let digits = if signed { text.strip_prefix('-').unwrap_or(text) } else { text };
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    // The digits of `i64::MIN` and of `u64::MAX`.
    let longest = if signed { 19 } else { 20 };
    if !plain || leading_zero || digits.len() > longest {
        return None;
    }
    text.parse().ok()
}

/// The value of an integer that is within the bounds of its type.
fn integer_val(ty: &Ty, n: i128) -> Option<Val> {
    match ty {
        Ty::S8 => n.try_into().ok().map(Val::S8),
        Ty::U8 => n.try_into().ok().map(Val::U8),
        Ty::S16 => n.try_into().ok().map(Val::S16),
        Ty::U16 => n.try_into().ok().map(Val::U16),
        Ty::S32 => n.try_into().ok().map(Val::S32),
        Ty::U32 => n.try_into().ok().map(Val::U32),
        Ty::S64 => n.try_into().ok().map(Val::S64),
        Ty::U64 => n.try_into().ok().map(Val::U64),
        _ => None,
    }
}
