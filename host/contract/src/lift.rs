//! Component values → JSON, in one canonical form.
//!
//! Owns the form that agents, records and later calls read. `lower` converts it back to the same value. Must
//! not know schemas. To add a type: a row in [`lift`].

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Val;
use super::number::shortest;
use super::path::snake;
use super::schema::case;
use super::ty::{Field, Ty};
use airlock_types::shorten::shorten;
use airlock_types::words::GOT_CHARS_MAX;

/// The greatest integer that every JSON client represents exactly: JavaScript's `Number.MAX_SAFE_INTEGER`.
pub(super) const SAFE_INTEGER: u64 = (1 << 53) - 1;

/// A value does not have its type. The engine returns no such value, so type and value were mixed up by the
/// host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a value is no {0}")]
pub struct LiftError(String);

/// How integers beyond 2^53 are written.
#[derive(Clone, Copy)]
enum Wide {
    /// As a decimal string: JavaScript clients would round the number.
    Text,
    /// As a number.
    Number,
}

/// Writes a value as JSON. Infinities and NaN become strings, and an option that is `none` becomes null.
///
/// # Errors
/// When the value does not have the type.
pub fn lift(ty: &Ty, val: &Val) -> Result<Value, LiftError> {
    lift_as(Wide::Text, ty, val)
}

/// The same with every integer as a number, for keywords of JSON Schema, which hold for any string.
///
/// # Errors
/// When the value does not have the type.
pub(crate) fn lift_numbers(ty: &Ty, val: &Val) -> Result<Value, LiftError> {
    lift_as(Wide::Number, ty, val)
}

fn lift_as(wide: Wide, ty: &Ty, val: &Val) -> Result<Value, LiftError> {
    let is_text = |size: u64| matches!(wide, Wide::Text) && size > SAFE_INTEGER;
    Ok(match (ty, val) {
        (Ty::Bool, Val::Bool(b)) => (*b).into(),
        (Ty::S8, Val::S8(n)) => (*n).into(),
        (Ty::U8, Val::U8(n)) => (*n).into(),
        (Ty::S16, Val::S16(n)) => (*n).into(),
        (Ty::U16, Val::U16(n)) => (*n).into(),
        (Ty::S32, Val::S32(n)) => (*n).into(),
        (Ty::U32, Val::U32(n)) => (*n).into(),
        (Ty::S64, Val::S64(n)) if is_text(n.unsigned_abs()) => n.to_string().into(),
        (Ty::S64, Val::S64(n)) => (*n).into(),
        (Ty::U64, Val::U64(n)) if is_text(*n) => n.to_string().into(),
        (Ty::U64, Val::U64(n)) => (*n).into(),
        (Ty::F32, Val::Float32(n)) => float(shortest(*n)),
        (Ty::F64, Val::Float64(n)) => float(*n),
        (Ty::Char, Val::Char(c)) => c.to_string().into(),
        (Ty::String, Val::String(s)) => s.as_str().into(),
        (Ty::List(item), Val::List(items)) if **item == Ty::U8 => STANDARD.encode(bytes(items)?).into(),
        (Ty::List(item), Val::List(items)) => lift_items(wide, item, items)?,
        // Lengths and names are compared here and below, because zipping would drop the rest without an error.
        (Ty::FixedList(item, len), Val::FixedLengthList(items)) if items.len() == *len as usize => {
            lift_items(wide, item, items)?
        }
        (Ty::Map(key, value), Val::Map(entries)) => lift_map(wide, key, value, entries)?,
        (Ty::Record(fields), Val::Record(vals)) if fields.len() == vals.len() => {
            lift_record(wide, fields, vals)?
        }
        (Ty::Tuple(parts), Val::Tuple(vals)) if parts.len() == vals.len() => {
            parts.iter().zip(vals).map(|(ty, val)| lift_as(wide, ty, val)).collect::<Result<_, _>>()?
        }
        (Ty::Variant(_), Val::Variant(tag, payload)) => lift_case(wide, ty, tag, payload.as_deref())?,
        (Ty::Enum(names), Val::Enum(name)) if names.contains(name) => name.as_str().into(),
        (Ty::Option(_), Val::Option(None)) => Value::Null,
        (Ty::Option(inner), Val::Option(Some(val))) if inner.as_option().is_some() => {
            json!({"some": lift_as(wide, inner, val)?})
        }
        (Ty::Option(inner), Val::Option(Some(val))) => lift_as(wide, inner, val)?,
        (Ty::Result(..), Val::Result(Ok(val))) => lift_case(wide, ty, "ok", val.as_deref())?,
        (Ty::Result(..), Val::Result(Err(val))) => lift_case(wide, ty, "err", val.as_deref())?,
        (Ty::Flags(names), Val::Flags(set)) if set.iter().all(|name| names.contains(name)) => {
            // In the declared order, whatever order the guest used: the form is canonical.
            names.iter().filter(|name| set.contains(name)).map(String::as_str).collect()
        }
        _ => return Err(mismatch(ty)),
    })
}

fn mismatch(ty: &Ty) -> LiftError {
    LiftError(shorten(&ty.to_string(), GOT_CHARS_MAX))
}

fn float(n: f64) -> Value {
    // 1000, not 1000.0: a model reads it, and JSON does not tell them apart. A zero keeps its sign, which only the longer
    // form has.
    if n.fract() == 0.0 && n.abs() <= SAFE_INTEGER as f64 && (n != 0.0 || n.is_sign_positive()) {
        return Value::from(n as i64);
    }
    // JSON has no number for these three.
    let name = if n.is_nan() {
        "NaN"
    } else if n > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    serde_json::Number::from_f64(n).map_or_else(|| name.into(), Value::Number)
}

fn bytes(items: &[Val]) -> Result<Vec<u8>, LiftError> {
    let byte = |val: &Val| if let Val::U8(byte) = val { Ok(*byte) } else { Err(mismatch(&Ty::U8)) };
    items.iter().map(byte).collect()
}

fn lift_items(wide: Wide, ty: &Ty, items: &[Val]) -> Result<Value, LiftError> {
    items.iter().map(|val| lift_as(wide, ty, val)).collect()
}

/// Entries of a map, as an array of objects. Of entries with the same key the last one is kept.
fn lift_map(wide: Wide, key: &Ty, value: &Ty, entries: &[(Val, Val)]) -> Result<Value, LiftError> {
    let mut places = BTreeMap::new();
    let mut lifted: Vec<Value> = Vec::with_capacity(entries.len());
    for (k, v) in entries {
        let k = lift_as(wide, key, k)?;
        // `Val` has no order, so keys are compared by their canonical text.
        let text = k.to_string();
        let entry = json!({"key": k, "value": lift_as(wide, value, v)?});
        match places.get(&text) {
            Some(place) => lifted[*place] = entry,
            None => {
                places.insert(text, lifted.len());
                lifted.push(entry);
            }
        }
    }
    Ok(lifted.into())
}

fn lift_record(wide: Wide, fields: &[Field], vals: &[(String, Val)]) -> Result<Value, LiftError> {
    let member = |(field, (name, val)): (&Field, &(String, Val))| match *name == field.name {
        true => Ok((snake(name).into_owned(), lift_as(wide, &field.ty, val)?)),
        false => Err(LiftError(format!("field `{}`", field.name))),
    };
    Ok(Value::Object(fields.iter().zip(vals).map(member).collect::<Result<Map<_, _>, _>>()?))
}

fn lift_case(wide: Wide, ty: &Ty, tag: &str, payload: Option<&Val>) -> Result<Value, LiftError> {
    match (case(ty, tag), payload) {
        (Some(None), None) => Ok(json!({"tag": tag})),
        (Some(Some(ty)), Some(val)) => Ok(json!({"tag": tag, "val": lift_as(wide, ty, val)?})),
        _ => Err(mismatch(ty)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ty: Ty, val: Val, expect: Value) {
        assert_eq!(lift(&ty, &val).unwrap(), expect, "{ty}");
    }

    fn some(val: Val) -> Val {
        Val::Option(Some(Box::new(val)))
    }

    #[test]
    fn writes_integers_that_clients_cannot_hold_as_strings() {
        check(Ty::U64, Val::U64(SAFE_INTEGER), json!(9_007_199_254_740_991_u64));
        check(Ty::U64, Val::U64(SAFE_INTEGER + 1), json!("9007199254740992"));
        check(Ty::S64, Val::S64(i64::MIN), json!("-9223372036854775808"));
        check(Ty::S64, Val::S64(-9_007_199_254_740_991), json!(-9_007_199_254_740_991_i64));
    }

    #[test]
    fn names_what_json_has_no_number_for() {
        check(Ty::F64, Val::Float64(f64::NAN), json!("NaN"));
        check(Ty::F32, Val::Float32(f32::INFINITY), json!("Infinity"));
        check(Ty::F64, Val::Float64(f64::NEG_INFINITY), json!("-Infinity"));
    }

    #[test]
    fn writes_floats_in_their_shortest_form() {
        check(Ty::F64, Val::Float64(1000.0), json!(1000));
        check(Ty::F64, Val::Float64(-3.0), json!(-3));
        check(Ty::F64, Val::Float64(0.0), json!(0));
        check(Ty::F64, Val::Float64(-0.0), json!(-0.0));
        check(Ty::F64, Val::Float64(1e21), json!(1e21));
    }

    #[test]
    fn writes_f32_in_its_own_digits() {
        check(Ty::F32, Val::Float32(0.1), json!(0.1));
    }

    #[test]
    fn writes_none_as_null_and_keeps_some_none_apart() {
        let twice = || Ty::Option(Box::new(Ty::Option(Box::new(Ty::U8))));
        check(twice(), Val::Option(None), json!(null));
        check(twice(), some(Val::Option(None)), json!({"some": null}));
        check(twice(), some(some(Val::U8(1))), json!({"some": 1}));
        let record = Ty::Record(vec![Field { name: "max-items".into(), ty: Ty::Option(Box::new(Ty::U8)) }]);
        check(record, Val::Record(vec![("max-items".into(), Val::Option(None))]), json!({"max_items": null}));
    }

    #[test]
    fn keeps_the_last_of_equal_keys() {
        let ty = Ty::Map(Box::new(Ty::U8), Box::new(Ty::Bool));
        let entries = vec![(Val::U8(1), Val::Bool(false)), (Val::U8(1), Val::Bool(true))];
        check(ty, Val::Map(entries), json!([{"key": 1, "value": true}]));
    }

    #[test]
    fn writes_flags_in_declared_order() {
        let ty = Ty::Flags(vec!["read".into(), "write".into()]);
        check(ty, Val::Flags(vec!["write".into(), "read".into()]), json!(["read", "write"]));
    }

    #[test]
    fn refuses_a_value_of_another_type() {
        let error = lift(&Ty::Bool, &Val::U8(1)).unwrap_err();
        assert_eq!(error.to_string(), "a value is no bool");
    }
}
