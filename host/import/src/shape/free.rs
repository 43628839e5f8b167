//! The schema of free JSON, as a contract can write it.

use serde_json::{Map, Value, json};

use airlock_contract::validate::Validator;

/// The schema without what only describes, and what of it is lost. None if it accepts everything.
pub(super) fn schema(keywords: &Map<String, Value>) -> (Option<Value>, Vec<String>) {
    let mut kept = keywords.clone();
    ["default", "description", "examples", "title"].iter().for_each(|note| drop(kept.remove(*note)));
    let (mut lost, mut found) = (Vec::new(), false);
    let schema = without_nulls(&Value::Object(kept), &mut found);
    if found {
        lost.push("a null in its schema is left out".to_owned());
    }
    let is_all = schema.as_object().is_none_or(Map::is_empty);
    if is_all {
        return (None, lost);
    }
    match Validator::new(&schema) {
        Ok(_) => (Some(schema), lost),
        Err(err) => {
            lost.push(format!("its schema is left out: {err}"));
            (None, lost)
        }
    }
}

/// A schema in which no null is written, since TOML has none. A null among the values of an `enum` becomes a branch.
pub(super) fn without_nulls(schema: &Value, lost: &mut bool) -> Value {
    match schema {
        Value::Object(keywords) => {
            let mut made = Map::new();
            let mut is_nullable = false;
            for (keyword, value) in keywords {
                match (keyword.as_str(), value) {
                    ("default" | "examples", _) => {}
                    ("enum", Value::Array(values)) if values.contains(&Value::Null) => {
                        is_nullable = true;
                        let others = values.iter().filter(|value| !value.is_null()).cloned().collect();
                        made.insert("enum".into(), Value::Array(others));
                    }
                    (_, Value::Null) => *lost = true,
                    _ => drop(made.insert(keyword.clone(), without_nulls(value, lost))),
                }
            }
            let made = Value::Object(made);
            if is_nullable { json!({"anyOf": [made, {"type": "null"}]}) } else { made }
        }
        Value::Array(items) => {
            *lost |= items.contains(&Value::Null);
            items.iter().filter(|item| !item.is_null()).map(|item| without_nulls(item, lost)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema.clone(),
    }
}
