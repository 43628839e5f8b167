//! The OpenAPI document: the fixed paths from the code, and one path for each tool with its exact schemas.
//!
//! Generated for one caller, from the tools that this caller may call. Must not define schemas of tools: contracts do.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::OpenApi as _;

use super::problem::Problem;
use airlock::config::OauthConfig;
use airlock::host::Visible;
use airlock::registry::Tool;
use airlock_types::code::Code;

/// The envelope's schema. Tests validate every reply against it.
const REPLY: &str = include_str!("../../../../schemas/reply.schema.json");

const PROBLEM: &str = "#/components/schemas/Problem";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Airlock", description = "Tools in a sandbox; every call ends in one envelope."),
    paths(super::tools, super::tool, super::call, super::document),
    components(schemas(Problem))
)]
struct Document;

/// Generates the document for one caller.
pub(super) fn document(visible: &Visible, oauth: Option<&OauthConfig>, anonymous: bool) -> Value {
    let mut document = serde_json::to_value(Document::openapi()).unwrap_or_default();
    let reply: Value = serde_json::from_str(REPLY).unwrap_or_default();
    document["components"]["schemas"]["Reply"] = inlined(reply);
    document["components"]["schemas"]["Problem"]["properties"]["reply"] =
        json!({"$ref": "#/components/schemas/Reply"});
    document["components"]["securitySchemes"] = json!({"bearer": {"type": "http", "scheme": "bearer"}});
    if let Some(oauth) = oauth {
        document["components"]["securitySchemes"]["bearer"]["description"] =
            json!(format!("a static token, or one of {}", oauth.issuer));
    }
    // The empty requirement declares that the token is optional.
    document["security"] = if anonymous { json!([{"bearer": []}, {}]) } else { json!([{"bearer": []}]) };
    describe_fixed(&mut document["paths"]);
    let names: Vec<&str> = visible.tools().map(|tool| &*tool.name).collect();
    document["paths"]["/v1/tools/{tool}"]["get"]["parameters"][0]["schema"]["enum"] = json!(names);
    // The generic call path is removed: each tool has its own path below, with exact schemas.
    let for_all = document["paths"].as_object_mut().and_then(|paths| paths.remove("/v1/tools/{tool}/calls"));
    let session = for_all.map_or(json!([]), |path| json!([path["post"]["parameters"][1]]));
    for tool in visible.tools() {
        let mut operation = operation(tool);
        operation["parameters"] = session.clone();
        document["paths"][format!("/v1/tools/{}/calls", tool.name)] = json!({"post": operation});
    }
    document
}

/// Replaces the references of a schema by their definitions. Its `$defs` would not be at the root of the whole
/// document, where `#/$defs/` points.
fn inlined(mut schema: Value) -> Value {
    let Some(object) = schema.as_object_mut() else { return schema };
    object.remove("$schema");
    object.remove("$id");
    let definitions = object.remove("$defs").unwrap_or_default();
    let mut schema = schema;
    resolve(&mut schema, &definitions);
    schema
}

/// Replaces each reference by its definition. Terminates because the envelope's schema is not recursive.
fn resolve(schema: &mut Value, definitions: &Value) {
    let referred = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/"));
    if let Some(name) = referred {
        *schema = definitions[name].clone();
    }
    match schema {
        Value::Object(object) => object.values_mut().for_each(|value| resolve(value, definitions)),
        Value::Array(items) => items.iter_mut().for_each(|item| resolve(item, definitions)),
        _ => {}
    }
}

/// Responses that every path can give before a call exists.
fn before() -> BTreeMap<String, Value> {
    let statuses = [
        ("400", "The body broke off"),
        ("401", "The caller is not known"),
        ("403", "The host, the page or the token's scope is not allowed"),
        ("404", "There is nothing of this name"),
        ("405", "The path does not know this method"),
        ("408", "The body came too slowly"),
        ("413", "The body is too large"),
        ("503", "Tokens cannot be checked now"),
    ];
    statuses.into_iter().map(|(status, text)| (status.to_owned(), problem(text))).collect()
}

fn problem(text: &str) -> Value {
    json!({"description": text, "content": {"application/problem+json": {"schema": {"$ref": PROBLEM}}}})
}

fn describe_fixed(paths: &mut Value) {
    let Some(paths) = paths.as_object_mut() else { return };
    for item in paths.values_mut() {
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            let answer = json!({"application/json": {"schema": {"type": "object"}}});
            operation["responses"]["200"]["content"] = answer;
            for (status, response) in before() {
                operation["responses"][status] = response;
            }
        }
    }
}

fn body(schema: &Value) -> Value {
    json!({"required": true, "content": {"application/json": {"schema": schema}}})
}

/// Responses of a call: one for each status, with the outcome codes that map to it.
fn outcomes() -> BTreeMap<String, Value> {
    let mut named: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    // Generated from the table of codes, so that the document lists a new code without a change here.
    for code in Code::ALL.iter().filter(|code| !code.has_result()) {
        named.entry(code.facts().http.to_string()).or_default().push(code.as_str());
    }
    let mut responses = before();
    responses.insert("415".into(), problem("The body is not JSON"));
    for (status, codes) in named {
        responses.insert(status, problem(&format!("Outcomes: {}", codes.join(", "))));
    }
    responses
}

fn operation(tool: &Tool) -> Value {
    let contract = &tool.contract;
    let mut responses: Map<String, Value> = outcomes().into_iter().collect();
    let mut envelope = contract.output_schema();
    if let Some(envelope) = envelope.as_object_mut() {
        // The document describes the whole envelope. Only the compact envelope for agents is closed.
        envelope.remove("additionalProperties");
    }
    let answer = json!({"allOf": [{"$ref": "#/components/schemas/Reply"}, envelope]});
    responses.insert(
        "200".into(),
        json!({"description": "An answer", "content": {"application/json": {"schema": answer}}}),
    );
    let mut body = body(&contract.input_schema);
    if !contract.examples.is_empty() {
        let example = |(i, example): (usize, &airlock_contract::manifest::Example)| {
            (format!("example{}", i + 1), json!({"value": example.args}))
        };
        let examples: Map<String, Value> = contract.examples.iter().enumerate().map(example).collect();
        body["content"]["application/json"]["examples"] = Value::Object(examples);
    }
    json!({
        "operationId": format!("call_{}", tool.name),
        "summary": contract.title,
        "description": contract.description,
        "requestBody": body,
        "responses": responses,
    })
}
