//! Definitions as former formats of the lock store them.

use serde_json::{Map, Value};

use crate::registry::Definition;

/// Reads a definition. Up to format 2 it has the schema of the whole structured content, `output_schema`, of which the
/// result is the tool's part.
pub(super) fn definition(text: &str) -> serde_json::Result<Definition> {
    let mut definition: Map<String, Value> = serde_json::from_str(text)?;
    if let Some(result) = definition.remove("output_schema").and_then(result) {
        definition.insert("result_schema".into(), result);
    }
    serde_json::from_value(definition.into())
}

/// The schema of the result, with the definitions that it refers to at its root.
fn result(mut envelope: Value) -> Option<Value> {
    let mut result = envelope.get_mut("properties")?.get_mut("result")?.take();
    if let (Some(definitions), Some(result)) = (envelope.get_mut("$defs"), result.as_object_mut()) {
        result.insert("$defs".into(), definitions.take());
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(envelope: &Value, expected: Option<Value>) {
        let mut old = serde_json::to_value(Definition::bare("adds")).unwrap();
        old["output_schema"] = envelope.clone();
        let read = definition(&old.to_string()).unwrap();
        assert_eq!(read, Definition { result_schema: expected, ..Definition::bare("adds") });
    }

    #[test]
    fn takes_the_result_out_of_the_envelope() {
        let status = json!({"type": "string"});
        check(&json!({"properties": {"status": status}}), None);
        check(
            &json!({"properties": {"status": status, "result": {"type": "null"}}}),
            Some(json!({"type": "null"})),
        );
        let (part, definitions) = (json!({"$ref": "#/$defs/part_1"}), json!({"part_1": {"type": "string"}}));
        check(
            &json!({"properties": {"result": {"items": part}}, "$defs": definitions}),
            Some(json!({"items": part, "$defs": definitions})),
        );
    }
}
