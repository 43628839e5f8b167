//! JSON Schemas of serialized types, generated from the types.
//!
//! Owns what holds for each of them: objects are closed, and what may be absent is never null or empty. Must not know
//! the types. A type gets its schema by `derive(JsonSchema)`, and its attributes state what the Rust type does not.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value};

/// Makes a generator. References in its schemas begin with `#`, then `definitions`: the place of the definitions in the
/// document.
pub fn generator(definitions: &'static str) -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(Serialized);
    settings.with(|settings| settings.definitions_path = definitions.into()).into_generator()
}

/// Restates what schemars derives in terms of the serialized form.
#[derive(Clone)]
struct Serialized;

impl Transform for Serialized {
    fn transform(&mut self, schema: &mut Schema) {
        // `uint64` and the like are not formats of JSON Schema, and strict validators warn about them.
        schema.remove("format");
        if let Some(object) = schema.as_object_mut()
            && object.get("type").is_some_and(|ty| ty == "object")
            && object.contains_key("properties")
        {
            close(object);
        }
        transform_subschemas(self, schema);
    }
}

/// Closes an object. Of its properties those that may be absent are absent when they have no value.
fn close(object: &mut Map<String, Value>) {
    object.entry("additionalProperties").or_insert(false.into());
    let required = object.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let properties = object.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        if let Some(property) = property.as_object_mut()
            && !required.iter().any(|known| known == name)
        {
            forbid_null(property);
            if property.get("type").is_some_and(|ty| ty == "array") {
                property.entry("minItems").or_insert(1.into());
            }
        }
    }
}

/// Removes the null of an `Option`, which is a type beside others or a choice beside another.
fn forbid_null(property: &mut Map<String, Value>) {
    if let Some(types) = property.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|ty| ty != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            property.insert("type".into(), one);
        }
    }
    let Some(choices) = property.get_mut("anyOf").and_then(Value::as_array_mut) else { return };
    choices.retain(|choice| choice["type"] != "null");
    if let [Value::Object(one)] = choices.as_slice() {
        let one = one.clone();
        property.remove("anyOf");
        property.extend(one);
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde_json::json;

    use super::*;

    #[derive(Serialize, schemars::JsonSchema)]
    struct Inner {
        number: u32,
    }

    #[derive(Serialize, schemars::JsonSchema)]
    struct Outer {
        always: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        inner: Vec<Inner>,
        #[serde(skip_serializing_if = "Option::is_none")]
        one: Option<Inner>,
    }

    #[test]
    fn what_may_be_absent_is_never_null_or_empty() {
        let inner = json!({"$ref": "#/$defs/Inner"});
        let schema = generator("/$defs").into_root_schema_for::<Outer>().to_value();
        assert_eq!(
            schema["properties"],
            json!({
                "always": {"type": ["string", "null"]},
                "text": {"type": "string"},
                "inner": {"type": "array", "items": inner, "minItems": 1},
                "one": inner,
            })
        );
        assert_eq!(
            (&schema["required"], &schema["additionalProperties"]),
            (&json!(["always"]), &json!(false))
        );
        let number = json!({"number": {"type": "integer", "minimum": 0}});
        assert_eq!(schema["$defs"]["Inner"]["properties"], number);
    }
}
