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

/// Keywords whose value is a table by names that the document chose: none of them is a keyword.
const TABLES: [&str; 4] = ["dependentRequired", "dependentSchemas", "patternProperties", "properties"];

/// A schema in which no null is written, since TOML has none. A null among the values of an `enum` becomes a branch.
pub(super) fn without_nulls(schema: &Value, lost: &mut bool) -> Value {
    match schema {
        Value::Object(keywords) => {
            let mut made = Map::new();
            let mut is_nullable = false;
            for (keyword, value) in keywords {
                match (keyword.as_str(), value) {
                    ("default" | "examples", _) => {}
                    ("enum", Value::Array(values)) => {
                        is_nullable = values.contains(&Value::Null);
                        let others = values.iter().filter(|value| !value.is_null());
                        made.insert("enum".into(), others.map(|value| data(value, lost)).collect());
                    }
                    (name, Value::Object(table)) if TABLES.contains(&name) => {
                        let parts = table.iter().map(|(key, part)| (key.clone(), without_nulls(part, lost)));
                        made.insert(name.to_owned(), Value::Object(parts.collect()));
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

/// A value that is no schema, without nulls.
fn data(value: &Value, lost: &mut bool) -> Value {
    match value {
        Value::Object(fields) => {
            *lost |= fields.values().any(Value::is_null);
            let others = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(others.map(|(key, value)| (key.clone(), data(value, lost))).collect())
        }
        Value::Array(items) => {
            *lost |= items.contains(&Value::Null);
            items.iter().filter(|item| !item.is_null()).map(|item| data(item, lost)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_not_read_as_keywords() {
        let schema = json!({
            "properties": {"default": {"type": "string"}, "examples": {"default": 1}},
            "enum": [{"default": {"examples": 1}}],
        });
        let wanted = json!({
            "properties": {"default": {"type": "string"}, "examples": {}},
            "enum": [{"default": {"examples": 1}}],
        });
        let mut lost = false;
        assert_eq!((without_nulls(&schema, &mut lost), lost), (wanted, false));
        let with_null = json!({"enum": [[{"a": null}, 1]]});
        assert_eq!((without_nulls(&with_null, &mut lost), lost), (json!({"enum": [[{}, 1]]}), true));
    }
}
