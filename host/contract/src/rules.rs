//! Keywords of JSON Schema that an author lays over the arguments of a tool as a whole.
//!
//! Owns which ones: those that hold beside the types and so can only tighten. They are listed as they were
//! written, and held by a validator of their own, since null and absent are the same to a tool and not to JSON
//! Schema. Must not know types. For a new keyword: a name in [`KEYWORDS`].

use serde_json::{Map, Value};

use super::validate::{SchemaError, Validator};
use airlock_types::violation::Violation;

/// The keywords of a tool's `schema`. A choice at the root is written under `allOf`, where every provider's dialect
/// can leave it out.
pub(super) const KEYWORDS: [&str; 8] =
    ["$defs", "$schema", "allOf", "dependentRequired", "else", "if", "not", "then"];

/// What an author's keywords hold of the arguments.
#[derive(Debug)]
pub(super) struct Rules(Option<Validator>);

impl Rules {
    /// Compiles keywords, within the bounds of every schema that was not made here.
    pub(super) fn new(keywords: &Map<String, Value>) -> Result<Rules, SchemaError> {
        if keywords.is_empty() {
            return Ok(Rules(None));
        }
        Validator::new(&Value::Object(keywords.clone())).map(|validator| Rules(Some(validator)))
    }

    /// Steps that a check takes for each value, at most.
    pub(super) fn cost(&self) -> usize {
        self.0.as_ref().map_or(0, Validator::cost)
    }

    /// What is wrong with arguments whose types are right.
    pub(super) fn violations(&self, args: &Value) -> Vec<Violation> {
        self.0.as_ref().map_or_else(Vec::new, |rules| rules.violations(&present(args)))
    }
}

/// The arguments that are there: null is as good as absent.
fn present(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let there = fields.iter().filter(|(_, field)| !field.is_null());
            there.map(|(name, field)| (name.clone(), present(field))).collect()
        }
        Value::Array(items) => items.iter().map(present).collect(),
        plain => plain.clone(),
    }
}

/// Lays the keywords over a schema that this crate made; definitions are put beside its own.
///
/// # Errors
/// With the name of a definition that both have.
pub(super) fn lay(schema: &mut Value, keywords: &Map<String, Value>) -> Result<(), String> {
    for (keyword, value) in keywords {
        match (schema.get_mut(keyword), value) {
            (Some(Value::Object(ours)), Value::Object(theirs)) if keyword == "$defs" => {
                if let Some(name) = theirs.keys().find(|name| ours.contains_key(*name)) {
                    return Err(format!("there is a definition `{name}` already: call yours something else"));
                }
                ours.extend(theirs.clone());
            }
            _ => schema[keyword.as_str()] = value.clone(),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(keywords: Value, args: Value, holds: bool) {
        let rules = Rules::new(keywords.as_object().unwrap()).unwrap();
        assert_eq!(rules.violations(&args).is_empty(), holds, "{keywords} {args}");
    }

    #[test]
    fn what_is_null_is_not_there() {
        let either = json!({"allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}]});
        check(either.clone(), json!({"email": "a@b"}), true);
        check(either.clone(), json!({"email": null, "name": "Ada"}), false);
        check(either, json!({}), false);
    }

    #[test]
    fn a_condition_holds_its_branch() {
        let call = json!({"required": ["method"], "properties": {"method": {"enum": ["phone"]}}});
        let rules = json!({"if": call, "then": {"required": ["phone"]}, "else": {"required": ["email"]}});
        check(rules.clone(), json!({"method": "phone", "phone": "1"}), true);
        check(rules.clone(), json!({"method": "phone", "email": "a@b"}), false);
        check(rules, json!({"email": "a@b"}), true);
    }

    #[test]
    fn hostile_keywords_are_refused() {
        let refused = |keywords: Value| Rules::new(keywords.as_object().unwrap()).unwrap_err().to_string();
        let endless =
            json!({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}, "allOf": [{"$ref": "#/$defs/a"}]});
        assert!(refused(endless).contains("recursive"));
        let outside = json!({"allOf": [{"$ref": "https://example.com/schema"}]});
        assert!(refused(outside).contains("outside"));
        assert!(
            refused(json!({"$schema": "http://json-schema.org/draft-07/schema"})).contains("unsupported")
        );
    }

    #[test]
    fn definitions_stand_beside_those_of_the_types() {
        let theirs = json!({"$defs": {"b": {}}, "not": {}});
        let mut schema = json!({"type": "object", "$defs": {"a": {}}});
        lay(&mut schema, theirs.as_object().unwrap()).unwrap();
        assert_eq!(schema, json!({"type": "object", "$defs": {"a": {}, "b": {}}, "not": {}}));
        assert!(lay(&mut schema, theirs.as_object().unwrap()).is_err());
    }
}
