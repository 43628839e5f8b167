//! `allOf`, and keywords beside a reference, as one schema, where that accepts the same: of objects with properties of their own, of
//! one schema with notes, and of keywords that are not those of the target.

use serde_json::{Map, Value};

/// Keywords of an object that can be joined.
const OF_OBJECTS: [&str; 4] = ["additionalProperties", "properties", "required", "type"];

/// Keywords that describe, and constrain nothing.
const NOTES: [&str; 5] = ["default", "description", "examples", "nullable", "title"];

/// Replaces `allOf` by what its parts say together; leaves it where they are of other kinds.
pub(super) fn join(made: &mut Map<String, Value>) {
    let Some(Value::Array(parts)) = made.get("allOf") else { return };
    let mut whole = made.clone();
    whole.remove("allOf");
    let joined = match parts.as_slice() {
        [Value::Object(one)] if whole.keys().all(|keyword| NOTES.contains(&keyword.as_str())) => {
            let mut one = one.clone();
            one.extend(whole);
            Some(one)
        }
        parts => objects(whole, parts),
    };
    if let Some(joined) = joined {
        *made = joined;
    }
}

/// Adds the keywords that stand beside a reference to those of its target. Both apply: where both have a keyword, the two are
/// parts of a whole.
pub(super) fn beside(target: &mut Map<String, Value>, mut more: Map<String, Value>) {
    let is_note = |keyword: &String| NOTES.contains(&keyword.as_str());
    let is_other = |(keyword, value): (&String, &Value)| {
        !is_note(keyword) && target.get(keyword).is_some_and(|other| other != value)
    };
    if more.iter().any(is_other) {
        let notes: Vec<String> = more.keys().filter(|keyword| is_note(keyword)).cloned().collect();
        let mut whole: Map<String, Value> =
            notes.iter().filter_map(|keyword| more.remove_entry(keyword)).collect();
        let parts = [std::mem::take(target), more].map(Value::Object);
        whole.insert("allOf".into(), parts.into_iter().collect());
        more = whole;
    }
    target.extend(more);
}

/// The object that has the properties of all parts. None if one part constrains those of another.
fn objects(mut whole: Map<String, Value>, parts: &[Value]) -> Option<Map<String, Value>> {
    let is_object = |keywords: &Map<String, Value>| {
        let is_known =
            |keyword: &String| OF_OBJECTS.contains(&keyword.as_str()) || NOTES.contains(&keyword.as_str());
        // A closed part refuses the properties of the others.
        let is_open =
            keywords.get("additionalProperties").is_none_or(|more| more == &Value::Object(Map::new()));
        let ty = keywords.get("type").is_none_or(|ty| ty == "object");
        ty && is_open && keywords.keys().all(is_known)
    };
    if !is_object(&whole) {
        return None;
    }
    for part in parts {
        let part = part.as_object().filter(|part| is_object(part))?;
        part.iter().try_for_each(|(keyword, value)| add(&mut whole, keyword, value))?;
    }
    whole.contains_key("properties").then_some(whole)
}

fn add(whole: &mut Map<String, Value>, keyword: &str, value: &Value) -> Option<()> {
    match (keyword, value) {
        // The name of a part is not that of the whole.
        ("title", _) => {}
        ("properties", Value::Object(more)) => {
            let all = whole.entry(keyword).or_insert_with(|| Value::Object(Map::new())).as_object_mut()?;
            for (name, schema) in more {
                if all.get(name).is_some_and(|other| other != schema) {
                    return None;
                }
                all.insert(name.clone(), schema.clone());
            }
        }
        ("required", Value::Array(more)) => {
            let all = whole.entry(keyword).or_insert_with(|| Value::Array(Vec::new())).as_array_mut()?;
            all.extend(more.iter().cloned());
        }
        _ => drop(whole.entry(keyword).or_insert_with(|| value.clone())),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: Value, wanted: Option<Value>) {
        let Value::Object(mut made) = schema.clone() else { panic!("{schema}") };
        join(&mut made);
        assert_eq!(Value::Object(made), wanted.unwrap_or(schema));
    }

    #[test]
    fn objects_with_properties_of_their_own_are_one() {
        let a = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "title": "A"});
        let b = json!({"properties": {"b": {}}, "required": ["b"], "description": "B.", "additionalProperties": {}});
        let wanted = json!({
            "type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a", "b"],
            "description": "B.", "additionalProperties": {},
        });
        check(json!({"allOf": [a, b]}), Some(wanted));
    }

    #[test]
    fn one_schema_with_notes_is_that_schema() {
        let wanted = json!({"type": "string", "description": "It.", "nullable": true});
        check(json!({"allOf": [{"type": "string"}], "description": "It.", "nullable": true}), Some(wanted));
    }

    #[test]
    fn keywords_beside_a_reference_apply_with_those_of_its_target() {
        let beside = |target: Value, more: Value, wanted: Value| {
            let (Value::Object(mut target), Value::Object(more)) = (target, more) else { panic!() };
            super::beside(&mut target, more);
            assert_eq!(Value::Object(target), wanted);
        };
        let text = json!({"type": "string", "maxLength": 5, "description": "A."});
        let wanted = json!({"type": "string", "maxLength": 5, "minLength": 1, "description": "B."});
        beside(text.clone(), json!({"minLength": 1, "description": "B."}), wanted);
        let more = json!({"maxLength": 10, "description": "B."});
        beside(text.clone(), more, json!({"allOf": [text, {"maxLength": 10}], "description": "B."}));
    }

    #[test]
    fn parts_that_constrain_each_other_stay() {
        let a = json!({"properties": {"a": {"type": "string"}}});
        check(json!({"allOf": [a, {"properties": {"a": {"type": "number"}}}]}), None);
        check(json!({"allOf": [a, {"additionalProperties": {"not": {}}}]}), None);
        check(json!({"allOf": [a, {"minProperties": 1}]}), None);
        check(json!({"allOf": [a, {"type": "string"}]}), None);
        check(json!({"allOf": [{"type": "string"}], "minLength": 1}), None);
        check(json!({"allOf": [{"required": ["a"]}, {"required": ["b"]}]}), None);
    }
}
