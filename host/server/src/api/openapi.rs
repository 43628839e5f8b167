//! The OpenAPI document: the fixed paths, and one path for each tool with its exact schemas.
//!
//! Generated for one caller, from the tools that this caller may call. Must not define schemas: those of tools come from
//! contracts, all others from types.

mod holds;

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema as _;
use serde_json::{Map, Value, json};

use super::problem::Problem;
use airlock::config::OauthConfig;
use airlock::host::Visible;
use airlock::registry::Tool;
use airlock_contract::tool::Contract;
use airlock_types::call::{IDEMPOTENCY_HEADER, IDEMPOTENCY_KEY_CHARS_MAX};
use airlock_types::code::Code;
use airlock_types::hold::Hold;
use airlock_types::reply::{self, Reply};
use airlock_types::schema::generator;
use airlock_types::session::SESSION_HEADER;

/// The version of the OpenAPI specification, in which schemas are those of JSON Schema.
const OPENAPI: &str = "3.1.0";

/// Where the document has its schemas.
const SCHEMAS: &str = "/components/schemas";

/// When every path can give 503.
const UNAVAILABLE: &str = "Tokens cannot be checked now, or all callers together have or send too much";

/// Generates the document for one caller.
pub(super) fn document(visible: &Visible, oauth: Option<&OauthConfig>, anonymous: bool) -> Value {
    let mut bearer = json!({"type": "http", "scheme": "bearer"});
    if let Some(oauth) = oauth {
        bearer["description"] = json!(format!("a static token, or one of {}", oauth.issuer));
    }
    let names: Vec<&str> = visible.offered().map(|tool| &*tool.name).collect();
    let mut paths = fixed_paths(&names);
    // Each tool has its own path, with exact schemas.
    let calls =
        |tool: &Arc<Tool>| (format!("/v1/tools/{}/calls", tool.name), json!({"post": operation(tool)}));
    paths.extend(visible.offered().map(calls));
    json!({
        "openapi": OPENAPI,
        "info": {
            "title": "Airlock",
            "description": "Tools in a sandbox; every call ends in one envelope.",
            "license": {"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")},
            "version": env!("CARGO_PKG_VERSION"),
        },
        "paths": paths,
        "components": {"schemas": schemas(), "securitySchemes": {"bearer": bearer}},
        // The empty requirement declares that the token is optional.
        "security": if anonymous { json!([{"bearer": []}, {}]) } else { json!([{"bearer": []}]) },
    })
}

/// The schemas of all responses that are not a tool's own, each under the name of its type.
fn schemas() -> Map<String, Value> {
    let mut generator = generator(SCHEMAS);
    // A problem refers to the reply, and thereby to everything that a reply refers to.
    generator.subschema_for::<Problem>();
    generator.subschema_for::<Hold>();
    generator.take_definitions(true)
}

/// The paths that are the same for every registry.
fn fixed_paths(tools: &[&str]) -> Map<String, Value> {
    let tool = json!([{
        "name": "tool", "in": "path", "required": true, "description": "Its public name",
        "schema": {"type": "string", "enum": tools},
    }]);
    let paths = [
        (
            "/v1/tools",
            "list_tools",
            "Lists the tools that the caller may call.",
            json!([]),
            "The tools, in the order of their names",
        ),
        ("/v1/tools/{tool}", "get_tool", "Describes a tool.", tool, "The tool"),
        ("/v1/openapi.json", "openapi", "This document.", json!([]), "This document"),
    ];
    let get = |(path, id, summary, parameters, answer): (&str, &str, &str, Value, &str)| {
        let mut responses = before();
        responses.insert("200".into(), success(answer, &json!({"type": "object"})));
        let operation = json!({
            "operationId": id, "summary": summary, "parameters": parameters, "responses": responses,
        });
        (path.to_owned(), json!({"get": operation}))
    };
    let grade = ("/v1/calls/{id}/grade".to_owned(), json!({"post": grading()}));
    paths.map(get).into_iter().chain([grade]).chain(holds::paths()).collect()
}

/// Grading a call.
fn grading() -> Value {
    let mut responses = before();
    responses.insert("204".into(), json!({"description": "The grade is in the journal"}));
    responses.insert("409".into(), problem("The call has all the grades that it can have"));
    responses.insert("415".into(), problem("The body is not JSON"));
    responses.insert("422".into(), problem("The body is not a grade"));
    responses.insert("503".into(), problem(&format!("The journal cannot be written. {UNAVAILABLE}")));
    json!({
        "operationId": "grade_call",
        "summary": "Says whether the answer of a call was right. Grades are appended; of several the last one counts.",
        "parameters": [{
            "name": "id", "in": "path", "required": true, "schema": {"type": "string"},
            "description": "The `record` of its reply, whole",
        }],
        "requestBody": body(&super::grade::schema()),
        "responses": responses,
    })
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
        ("429", "The caller has its share of connections, or sends too much at once"),
        ("503", UNAVAILABLE),
    ];
    statuses.into_iter().map(|(status, text)| (status.to_owned(), problem(text))).collect()
}

fn problem(text: &str) -> Value {
    let schema = json!({"$ref": format!("#{SCHEMAS}/{}", Problem::schema_name())});
    json!({"description": text, "content": {"application/problem+json": {"schema": schema}}})
}

fn success(text: &str, schema: &Value) -> Value {
    json!({"description": text, "content": {"application/json": {"schema": schema}}})
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
    let held = responses.entry("202".into()).or_insert_with(|| problem("A person must approve"));
    held["headers"] = json!({"Location": {
        "schema": {"type": "string"}, "description": "Where the reply is fetched once the hold has ended",
    }});
    responses
}

/// The schema of an answer: the envelope, with what is known about this tool's.
fn answer(contract: &Contract) -> Value {
    let mut known = json!({"properties": {"status": reply::schema::answered()}});
    // Written out: references of a schema begin at the root of the document, and `$defs` of a tool are not there.
    if let Some(result) = contract.result_schema() {
        known["properties"]["result"] = result;
        known["required"] = json!(["result"]);
    }
    json!({"allOf": [{"$ref": format!("#{SCHEMAS}/{}", Reply::schema_name())}, known]})
}

fn operation(tool: &Tool) -> Value {
    let contract = &tool.contract;
    let mut responses: Map<String, Value> = outcomes().into_iter().collect();
    responses.insert("200".into(), success("An answer", &answer(contract)));
    let mut body = body(&contract.input_schema());
    if !contract.examples.is_empty() {
        let example = |(i, example): (usize, &airlock_contract::manifest::Example)| {
            (format!("example{}", i + 1), json!({"value": example.args}))
        };
        let examples: Map<String, Value> = contract.examples.iter().enumerate().map(example).collect();
        body["content"]["application/json"]["examples"] = Value::Object(examples);
    }
    json!({
        "operationId": format!("call_{}", tool.name),
        // A summary is a text: a tool without a title has its name for one.
        "summary": contract.title.as_deref().unwrap_or(&tool.name),
        "description": contract.description,
        "parameters": [{
            "name": SESSION_HEADER, "in": "header", "required": false, "schema": {"type": "string"},
            "description": "The handle of a session, or `new` to open one; without it only repeated failures are compared, with those of the caller's other calls",
        }, {
            "name": IDEMPOTENCY_HEADER, "in": "header", "required": false,
            "schema": {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_CHARS_MAX, "pattern": "^[!-~]+$"},
            "description": "The same call with the same key is made once in a day: then its reply is given again. Another call with it is refused",
        }],
        "requestBody": body,
        "responses": responses,
    })
}
