//! Spellings of earlier drafts and of OpenAPI 3.0 in the keywords of 2020-12.

use serde_json::{Map, Value, json};

/// What describes, and stays outside of a choice with null: agents read it there, and a field has its default there.
const OUTSIDE: [&str; 2] = ["default", "description"];

/// Replaces `const`, `exclusiveMinimum: true` and `nullable`.
pub(super) fn spelling(made: &mut Map<String, Value>) {
    if let Some(value) = made.remove("const") {
        only(made, value);
    }
    for (flag, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        match made.get(flag) {
            Some(Value::Bool(true)) => {
                let value = made.remove(bound).unwrap_or(Value::Null);
                made.remove(flag);
                made.insert(flag.into(), value);
            }
            Some(Value::Bool(false)) => drop(made.remove(flag)),
            _ => {}
        }
    }
    if made.remove("nullable") == Some(Value::Bool(true)) {
        let inner = Value::Object(std::mem::take(made));
        for keyword in OUTSIDE {
            made.extend(inner.get(keyword).map(|value| (keyword.to_owned(), value.clone())));
        }
        made.insert("anyOf".into(), json!([inner, {"type": "null"}]));
    }
}

/// A list of one value. One that is not among those of an `enum` beside it is refused like all others.
fn only(made: &mut Map<String, Value>, value: Value) {
    let is_listed = made.get("enum").and_then(Value::as_array).is_none_or(|values| values.contains(&value));
    if !is_listed {
        made.insert("not".into(), json!({}));
    }
    made.insert("enum".into(), json!([value]));
}
