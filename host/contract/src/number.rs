//! Numbers of values and contracts, compared exactly: an integer is never rounded to a float.
//!
//! Owns their order, sum and distance. Must not know types or places.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Val;

/// An integer of any width, or a float.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// An integer. `i128` holds every `i64` and every `u64`.
    Int(i128),
    /// A float.
    Float(f64),
}

impl Number {
    /// The number of a component value. `None` for values of other types.
    pub(crate) fn of(val: &Val) -> Option<Number> {
        Some(match val {
            Val::S8(n) => Number::Int((*n).into()),
            Val::U8(n) => Number::Int((*n).into()),
            Val::S16(n) => Number::Int((*n).into()),
            Val::U16(n) => Number::Int((*n).into()),
            Val::S32(n) => Number::Int((*n).into()),
            Val::U32(n) => Number::Int((*n).into()),
            Val::S64(n) => Number::Int((*n).into()),
            Val::U64(n) => Number::Int((*n).into()),
            // As agents see it and contracts write it: 0.1, which widened is 0.10000000149.
            Val::Float32(n) => Number::Float(shortest(*n)),
            Val::Float64(n) => Number::Float(*n),
            _ => return None,
        })
    }

    /// The nearest float.
    pub(crate) fn float(self) -> f64 {
        match self {
            Number::Int(n) => n as f64,
            Number::Float(n) => n,
        }
    }

    pub(crate) fn is_finite(self) -> bool {
        self.float().is_finite()
    }

    /// The sum, exact unless one of the two is a float.
    pub(crate) fn plus(self, other: Number) -> Number {
        match (self, other) {
            // Saturating, which no list that fits into memory reaches.
            (Number::Int(a), Number::Int(b)) => Number::Int(a.saturating_add(b)),
            (a, b) => Number::Float(a.float() + b.float()),
        }
    }

    /// How far the two are apart, exact unless one of them is a float.
    pub(crate) fn distance(self, other: Number) -> Number {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => Number::Int(a.saturating_sub(b).saturating_abs()),
            (a, b) => Number::Float((a.float() - b.float()).abs()),
        }
    }

    /// Whether the two are the same number. An integer is the float that is nearest to it: a float cannot repeat it better.
    pub(crate) fn repeats(self, other: Number) -> bool {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => a == b,
            (a, b) => a.float() == b.float(),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => Some(a.cmp(b)),
            (Number::Float(a), Number::Float(b)) => a.partial_cmp(b),
            (Number::Int(a), Number::Float(b)) => int_to_float(*a, *b),
            (Number::Float(a), Number::Int(b)) => int_to_float(*b, *a).map(Ordering::reverse),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Int(n) => n.fmt(f),
            Number::Float(n) => n.fmt(f),
        }
    }
}

/// The integer part of a float, or `None` where `i128` cannot represent it.
pub(crate) fn whole(float: f64) -> Option<i128> {
    // From -2^127 to below 2^127: both are floats themselves, so that the bounds are exact.
    let bound = 2f64.powi(127);
    #[expect(clippy::cast_possible_truncation, reason = "the float is within the range of i128")]
    (-bound..bound).contains(&float).then(|| float.trunc() as i128)
}

/// Compares an integer with a float exactly. A conversion of the integer would round above 2^53.
pub(crate) fn int_to_float(int: i128, float: f64) -> Option<Ordering> {
    match whole(float) {
        Some(whole) => Some(int.cmp(&whole).then(0.0.partial_cmp(&float.fract())?)),
        None if float.is_nan() => None,
        // A float outside of `i128` is greater or less than every integer here.
        None if float > 0.0 => Some(Ordering::Less),
        None => Some(Ordering::Greater),
    }
}

/// Written as it was read, so that an integer beyond 2^53 stays exact.
impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Number::Int(n) => serializer.serialize_i128(*n),
            Number::Float(n) => serializer.serialize_f64(*n),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_i64<E>(self, n: i64) -> Result<Number, E> {
                Ok(Number::Int(n.into()))
            }
            fn visit_u64<E>(self, n: u64) -> Result<Number, E> {
                Ok(Number::Int(n.into()))
            }
            fn visit_f64<E>(self, n: f64) -> Result<Number, E> {
                Ok(Number::Float(n))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The `f64` with the digits of the `f32`: 0.1 rather than 0.10000000149011612. Used only if it narrows to the
/// same `f32`.
pub(crate) fn shortest(n: f32) -> f64 {
    n.to_string().parse().ok().filter(|wide| *wide as f32 == n).unwrap_or_else(|| n.into())
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;

    const WIDE: i128 = 9_007_199_254_740_993;

    #[test]
    fn an_integer_is_compared_without_rounding() {
        assert!(Number::Int(WIDE) > Number::Int(WIDE - 1));
        assert!(Number::Int(WIDE) > Number::Float(9_007_199_254_740_992.0));
        assert!(Number::Float(1.5) > Number::Int(1) && Number::Int(2) == Number::Float(2.0));
        assert_eq!(Number::Int(1).partial_cmp(&Number::Float(f64::NAN)), None);
        assert_eq!(Number::Int(WIDE).distance(Number::Int(WIDE - 1)), Number::Int(1));
    }

    #[test]
    fn a_number_is_written_as_it_was_read() {
        for text in ["9007199254740993", "-5", "1.0", "0.1"] {
            let written = serde_json::from_str::<serde_json::Value>(text).unwrap();
            let read: Number = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(to_value(read).unwrap(), written, "{text}");
        }
        assert!(serde_json::from_value::<Number>(json!("1")).is_err());
    }

    /// A contract's bound is written in decimal digits, and so is the `f32` that an agent is shown.
    #[test]
    fn a_narrow_float_is_compared_by_its_digits() {
        assert_eq!(Number::of(&Val::Float32(0.1)), Some(Number::Float(0.1)));
        assert_eq!(Number::of(&Val::Float32(f32::INFINITY)), Some(Number::Float(f64::INFINITY)));
    }
}
