//! Exact comparison of JSON numbers: two integers are never compared as floats.
//!
//! Owns the check of 64-bit integers that a schema cannot make. Must not know types or paths.

use serde_json::{Map, Value};

use crate::Val;
use crate::number::whole;

pub(crate) fn less(a: &Value, b: &Value) -> bool {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a < b,
        _ => a.as_f64() < b.as_f64(),
    }
}

/// The integer that a number is, however it is written. `i128` holds every `i64` and every `u64`, so both compare without rounding;
/// as a double, 2^64 would also be the largest `u64`.
fn integer(n: &Value) -> Option<i128> {
    let exact = n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from));
    exact.or_else(|| n.as_f64().filter(|n| n.fract() == 0.0).and_then(whole))
}

/// The first keyword that a 64-bit integer breaks, with its value. `None` for other values.
///
/// A schema cannot compare a decimal string, and the validator compares 64-bit integers as floats.
pub fn broken<'k>(keywords: &'k Map<String, Value>, val: &Val) -> Option<(&'k str, &'k Value)> {
    let n = if let Val::S64(n) = val {
        Value::from(*n)
    } else {
        let Val::U64(n) = val else { return None };
        Value::from(*n)
    };
    let breaks = |keyword: &str, limit: &Value| match keyword {
        "minimum" => less(&n, limit),
        "maximum" => less(limit, &n),
        "exclusiveMinimum" => !less(limit, &n),
        "exclusiveMaximum" => !less(&n, limit),
        "multipleOf" => !divides(limit, &n),
        // By value: `1.0` in the contract is 1.
        "enum" => !limit.as_array().is_some_and(|all| all.iter().any(|one| integer(one) == integer(&n))),
        _ => false,
    };
    keywords.iter().find(|(keyword, limit)| breaks(keyword, limit)).map(|(k, v)| (k.as_str(), v))
}

fn divides(step: &Value, n: &Value) -> bool {
    // Overlays refuse a step with a fraction for an integer.
    match (integer(step), integer(n)) {
        // The contract refuses a step of zero, but `%` by zero would panic.
        (Some(step), Some(n)) if step != 0 => n % step == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn compares_64_bit_integers_exactly() {
        let check = |keywords: Value, val, expect: Option<&str>| {
            let keywords = keywords.as_object().unwrap().clone();
            assert_eq!(broken(&keywords, &val).map(|(keyword, _)| keyword), expect);
        };
        check(json!({"maximum": u64::MAX - 1}), Val::U64(u64::MAX), Some("maximum"));
        check(json!({"maximum": u64::MAX}), Val::U64(u64::MAX), None);
        check(json!({"minimum": 1}), Val::S64(0), Some("minimum"));
        check(json!({"multipleOf": 10}), Val::S64(i64::MAX), Some("multipleOf"));
        check(json!({"enum": [1, 2]}), Val::U64(3), Some("enum"));
        check(json!({"enum": [1.0, 2.0]}), Val::S64(1), None);
        check(json!({"enum": [1.5, 9_007_199_254_740_992.0]}), Val::U64((1 << 53) + 1), Some("enum"));
        check(json!({"multipleOf": 2.0}), Val::U64(u64::MAX), Some("multipleOf"));
        check(json!({"multipleOf": 2.0}), Val::U64(u64::MAX - 1), None);
    }
}
