//! Null, which an `option` is in WIT.

use serde_json::{Map, Value};

/// Keywords that describe, and constrain nothing.
const NOTES: [&str; 4] = ["default", "description", "examples", "title"];

/// A schema without its null, and whether it accepts one: each keyword that is about null has to.
pub(super) fn present(keywords: &Map<String, Value>) -> (Map<String, Value>, bool) {
    let mut made = keywords.clone();
    let (mut accepts, mut refuses) = (false, false);
    let mut said = |is_accepted: bool| {
        accepts |= is_accepted;
        refuses |= !is_accepted;
    };
    match keywords.get("type") {
        Some(Value::Array(types)) => {
            let others: Vec<Value> = types.iter().filter(|one| *one != "null").cloned().collect();
            said(others.len() < types.len());
            match others.as_slice() {
                [one] => made.insert("type".into(), one.clone()),
                _ => made.insert("type".into(), Value::Array(others)),
            };
        }
        Some(one) if one != "null" => said(false),
        _ => {}
    }
    for choice in ["anyOf", "oneOf"] {
        if branches(&mut made, choice) {
            said(true);
        }
    }
    if let Some(Value::Array(values)) = made.get("enum") {
        let others: Vec<Value> = values.iter().filter(|value| !value.is_null()).cloned().collect();
        said(others.len() < values.len());
        made.insert("enum".into(), Value::Array(others));
    }
    (made, accepts && !refuses)
}

/// Removes the branch of null from a choice. Returns whether it had one.
fn branches(made: &mut Map<String, Value>, choice: &str) -> bool {
    let Some(Value::Array(branches)) = made.get(choice) else { return false };
    let is_null = |branch: &&Value| branch.get("type").is_some_and(|ty| ty == "null");
    let others: Vec<Value> = branches.iter().filter(|branch| !is_null(branch)).cloned().collect();
    if others.len() == branches.len() {
        return false;
    }
    made.remove(choice);
    match others.as_slice() {
        [Value::Object(one)] => only(made, choice, one),
        _ => drop(made.insert(choice.into(), Value::Array(others))),
    }
    true
}

/// The only branch that is left is a part of the whole. It stays a branch where both have a keyword: both apply.
fn only(made: &mut Map<String, Value>, choice: &str, branch: &Map<String, Value>) {
    let (branch, _) = present(branch);
    let is_other = |(keyword, value): (&String, &Value)| {
        !NOTES.contains(&keyword.as_str()) && made.get(keyword).is_some_and(|other| other != value)
    };
    if branch.iter().any(is_other) {
        made.insert(choice.into(), Value::Array(vec![Value::Object(branch)]));
        return;
    }
    for (keyword, value) in branch {
        made.entry(keyword).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: Value, wanted: Value, is_nullable: bool) {
        let Value::Object(keywords) = schema else { panic!() };
        let (made, found) = present(&keywords);
        assert_eq!((Value::Object(made), found), (wanted, is_nullable));
    }

    #[test]
    fn null_is_accepted_where_each_keyword_accepts_it() {
        let text = json!({"type": "string"});
        check(json!({"type": ["string", "null"]}), text.clone(), true);
        check(json!({"anyOf": [text, {"type": "null"}]}), text.clone(), true);
        check(json!({"enum": ["a", null]}), json!({"enum": ["a"]}), true);
        let listed = json!({"type": "string", "enum": ["a"]});
        check(json!({"type": ["string", "null"], "enum": ["a", null]}), listed.clone(), true);
        check(json!({"type": ["string", "null"], "enum": ["a"]}), listed.clone(), false);
        check(json!({"type": "string", "enum": ["a", null]}), listed, false);
        check(json!({"type": "string", "anyOf": [text, {"type": "null"}]}), text, false);
        check(json!({"type": "null"}), json!({"type": "null"}), false);
    }

    #[test]
    fn bounds_of_the_whole_and_of_the_only_branch_both_apply() {
        let branch = json!({"type": "string", "maxLength": 5});
        let none = json!({"type": "null"});
        check(
            json!({"minLength": 1, "anyOf": [branch, none]}),
            json!({"minLength": 1, "type": "string", "maxLength": 5}),
            true,
        );
        check(
            json!({"maxLength": 10, "anyOf": [branch, none]}),
            json!({"maxLength": 10, "anyOf": [branch]}),
            true,
        );
    }
}
