//! Keywords of JSON Schema that an author adds to the arguments of a tool as a whole.
//!
//! Owns the list of these keywords. They apply beside the types and can only tighten them. The input schema lists them
//! as they were written, but a validator of their own enforces them, because null and absent are the same to a tool and
//! not to JSON Schema. Must not know types. For a new keyword: a name in [`KEYWORDS`].

use serde_json::{Map, Value};

use super::validate::{SchemaError, VIOLATIONS_MAX, Validator};
use airlock_types::violation::Violation;

/// The keywords that a tool's `schema` accepts. A choice at the root is written under `allOf`, which the dialects of
/// all providers can leave out.
pub(super) const KEYWORDS: [&str; 8] =
    ["$defs", "$schema", "allOf", "dependentRequired", "else", "if", "not", "then"];

/// The compiled keywords. `None` if the author wrote none.
#[derive(Debug)]
pub(super) struct Rules(Option<Validator>);

impl Rules {
    /// Compiles keywords, within the bounds that apply to every foreign schema.
    pub(super) fn new(keywords: &Map<String, Value>) -> Result<Rules, SchemaError> {
        if keywords.is_empty() {
            return Ok(Rules(None));
        }
        Validator::new(&Value::Object(keywords.clone())).map(|validator| Rules(Some(validator)))
    }

    /// As [`Validator::known`].
    pub(super) fn known(keywords: &Map<String, Value>) -> Rules {
        let is_there = !keywords.is_empty();
        Rules(is_there.then(|| Validator::known(&Value::Object(keywords.clone()))))
    }

    /// Largest number of steps that the check of one value takes.
    pub(super) fn cost(&self) -> usize {
        self.0.as_ref().map_or(0, Validator::cost)
    }

    /// As [`Validator::rest`].
    pub(super) fn rest(&mut self) {
        self.0.iter_mut().for_each(Validator::rest);
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The violations of arguments whose types are right: as they were written, and in the one form of their values, in which
    /// each integer is a number and bytes are base64. A keyword for numbers holds for any string, and a decimal string is the
    /// same integer.
    pub(super) fn violations(&self, written: &Value, values: Value) -> Vec<Violation> {
        let Some(rules) = &self.0 else { return Vec::new() };
        let (as_written, judged) = (judged(written, written.clone()), judged(written, values));
        let mut found = rules.violations(&as_written);
        if judged != as_written {
            // The type is that of what was written.
            let is_new = |new: &Violation| {
                let is_same = |old: &Violation| old.pointer == new.pointer && old.keyword == new.keyword;
                new.keyword != "type" && !found.iter().any(is_same)
            };
            let more: Vec<Violation> = rules.violations(&judged).into_iter().filter(is_new).collect();
            found.extend(more);
            found.truncate(VIOLATIONS_MAX);
        }
        found
    }
}

/// What was written, with each part in the form of its value. Without nulls, at any depth: a null is the same as an absent
/// argument.
fn judged(written: &Value, values: Value) -> Value {
    match (written, values) {
        (Value::Object(written), Value::Object(mut values)) => {
            let there = written.iter().filter(|(_, field)| !field.is_null());
            // A default was not written. What an open record ignores has no value.
            let one = |(name, field): (&String, &Value)| {
                let value = values.remove(name).unwrap_or_else(|| field.clone());
                (name.clone(), judged(field, value))
            };
            there.map(one).collect()
        }
        (Value::Array(written), Value::Array(values)) if written.len() == values.len() => {
            written.iter().zip(values).map(|(written, value)| judged(written, value)).collect()
        }
        (_, value) => value,
    }
}

/// Adds the keywords to a schema that this crate made. Definitions are added to those that are there.
///
/// # Errors
/// With a text that names a definition that exists already.
pub(super) fn lay(schema: &mut Value, keywords: &Map<String, Value>) -> Result<(), String> {
    for (keyword, value) in keywords {
        match (schema.get_mut(keyword), value) {
            (Some(Value::Object(ours)), Value::Object(theirs)) if keyword == "$defs" => {
                // A definition of the types must not be replaced: their `$ref` would then lead to the author's.
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
        assert_eq!(rules.violations(&args, args.clone()).is_empty(), holds, "{keywords} {args}");
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
