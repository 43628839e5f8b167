//! Bounds of a schema that no value meets, or that are none: they are left out, so that one of them does not cost its function.

use serde_json::{Map, Value};

/// Bounds of numbers from below and from above.
const NUMBERS: [[&str; 2]; 2] = [["minimum", "exclusiveMinimum"], ["maximum", "exclusiveMaximum"]];

/// Lengths and counts, from below and from above.
const COUNTS: [[&str; 2]; 3] =
    [["minLength", "maxLength"], ["minItems", "maxItems"], ["minProperties", "maxProperties"]];

/// The keywords with sound bounds alone, and what is said of the others.
pub(super) fn sound(mut keywords: Map<String, Value>) -> (Map<String, Value>, Vec<String>) {
    let mut lost = Vec::new();
    let mut leave_out = |keywords: &mut Map<String, Value>, keyword: &str, why: &str| {
        if let Some(value) = keywords.remove(keyword) {
            lost.push(format!("`{keyword}` {value} is left out: {why}"));
        }
    };
    for keyword in NUMBERS.as_flattened() {
        if keywords.get(*keyword).is_some_and(|bound| !bound.is_number()) {
            leave_out(&mut keywords, keyword, "not a number");
        }
    }
    for keyword in COUNTS.as_flattened() {
        if keywords.get(*keyword).is_some_and(|bound| !bound.is_u64()) {
            leave_out(&mut keywords, keyword, "not a whole number");
        }
    }
    let step = keywords.get("multipleOf");
    if step.is_some_and(|step| step.as_f64().is_none_or(|step| step <= 0.0)) {
        leave_out(&mut keywords, "multipleOf", "not a number above 0");
    }
    let pairs = NUMBERS[0].iter().flat_map(|low| NUMBERS[1].iter().map(move |high| [*low, *high]));
    for [low, high] in pairs.chain(COUNTS) {
        if is_empty(&keywords, low, high) {
            let why = format!("no value is left between it and `{high}`");
            leave_out(&mut keywords, low, &why);
            leave_out(&mut keywords, high, &format!("no value is left between it and `{low}`"));
        }
    }
    (keywords, lost)
}

/// Whether no value is within both bounds.
fn is_empty(keywords: &Map<String, Value>, low: &str, high: &str) -> bool {
    let (Some(least), Some(most)) = (keywords.get(low), keywords.get(high)) else { return false };
    let is_exclusive = low.starts_with("exclusive") || high.starts_with("exclusive");
    match (least.as_i64(), most.as_i64(), least.as_f64(), most.as_f64()) {
        (Some(least), Some(most), ..) => least > most || is_exclusive && least == most,
        (_, _, Some(least), Some(most)) => least > most || is_exclusive && least >= most,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: Value, left: Value, lost: usize) {
        let Value::Object(keywords) = schema else { panic!() };
        let (keywords, said) = sound(keywords);
        assert_eq!((Value::Object(keywords), said.len()), (left, lost), "{said:?}");
    }

    #[test]
    fn bounds_that_leave_no_value_are_left_out() {
        check(json!({"minimum": 3, "maximum": 2}), json!({}), 2);
        check(json!({"minimum": 2, "maximum": 2}), json!({"minimum": 2, "maximum": 2}), 0);
        check(json!({"minimum": 2, "exclusiveMaximum": 2}), json!({}), 2);
        check(json!({"exclusiveMinimum": 0.5, "maximum": 0.25}), json!({}), 2);
        check(json!({"minLength": 3, "maxLength": 2, "minItems": 1}), json!({"minItems": 1}), 2);
    }

    #[test]
    fn what_is_no_bound_is_left_out() {
        check(json!({"multipleOf": 0, "minimum": "1", "maxItems": -1}), json!({}), 3);
        check(json!({"multipleOf": 0.5}), json!({"multipleOf": 0.5}), 0);
    }
}
