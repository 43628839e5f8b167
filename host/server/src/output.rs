//! The schema of a tool's structured content: the compact envelope around the schema of its result.
//!
//! Owns how the two are put together. Must not know the envelope's fields: they come from its type.

use std::sync::LazyLock;

use serde_json::Value;

use airlock::host::Visible;
use airlock::registry::Tool;
use airlock_contract::schema::share;
use airlock_contract::tool::Contract;
use airlock_types::reply;
use airlock_types::reply::schema::ASSESSMENT;

/// The envelope, generated once: a list has it once for each tool.
static ENVELOPE: LazyLock<Value> = LazyLock::new(reply::schema::compact);

/// The JSON Schema of a tool's structured content.
pub fn output_schema(contract: &Contract) -> Value {
    let (mut schema, result) = (ENVELOPE.clone(), contract.result_schema());
    let has_result = result.is_some();
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.remove("result");
        // A client gets this once for each tool, so what this tool never returns is not in it.
        if !contract.shape.has_assessment() {
            properties.retain(|name, _| !ASSESSMENT.contains(&name.as_str()));
        }
        properties.extend(result.map(|result| ("result".into(), result)));
    }
    if let Some(required) = schema["required"].as_array_mut() {
        required.extend(has_result.then(|| "result".into()));
    }
    share(&mut schema);
    schema
}

/// A visible tool as JSON, for programs.
pub fn describe(visible: &Visible, tool: &Tool) -> Value {
    let mut described = visible.describe(tool);
    described["output_schema"] = output_schema(&tool.contract);
    described
}
