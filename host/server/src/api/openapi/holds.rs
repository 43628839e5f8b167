//! The paths of `/v1/holds` in the OpenAPI document.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::super::holds::{Approve, Edit, Reject, Respond, WAIT_S_MAX};
use super::{SCHEMAS, UNAVAILABLE, before, body, outcomes, problem, success};
use airlock_types::hold::{HOLD_ID_CHARS, Hold};
use airlock_types::reply::Reply;
use airlock_types::schema::generator;

/// Each path with its operation.
pub(super) fn paths() -> Vec<(String, Value)> {
    let decisions = [
        (
            "approve",
            "Approves a held call, which runs, or the delivery of a held result.",
            schema::<Approve>(),
        ),
        ("edit", "Approves a held call with other arguments.", schema::<Edit<'_>>()),
        ("reject", "Rejects a held call: it is `policy.denied`, with this reason.", schema::<Reject>()),
        (
            "respond",
            "Answers a held call instead of the tool: it is `refused`, with this text.",
            schema::<Respond>(),
        ),
    ];
    let decisions = decisions.map(|(word, summary, schema)| {
        (format!("/v1/holds/{{id}}/{word}"), json!({"post": decision(word, summary, &schema)}))
    });
    let gets = [
        ("/v1/holds", list()),
        ("/v1/holds/{id}", one()),
        ("/v1/holds/{id}/result", result()),
        ("/v1/holds/{id}/reply", reply()),
    ];
    gets.map(|(path, get)| (path.to_owned(), json!({"get": get}))).into_iter().chain(decisions).collect()
}

fn reference<T: JsonSchema>() -> Value {
    json!({"$ref": format!("#{SCHEMAS}/{}", T::schema_name())})
}

fn schema<T: JsonSchema>() -> Value {
    let mut schema = generator(SCHEMAS).into_root_schema_for::<T>();
    // The document states its dialect once.
    schema.remove("$schema");
    schema.to_value()
}

fn id() -> Value {
    json!({
        "name": "id", "in": "path", "required": true, "description": "The hold's id, whole",
        "schema": {"type": "string", "minLength": HOLD_ID_CHARS, "maxLength": HOLD_ID_CHARS},
    })
}

/// Responses of every path.
fn responses() -> BTreeMap<String, Value> {
    let mut responses = before();
    responses
        .insert("403".into(), problem("The caller may not decide this hold, or may not send this request"));
    responses.insert("404".into(), problem("This caller has no hold of this id"));
    responses.insert("503".into(), problem(&format!("Holds cannot be kept. {UNAVAILABLE}")));
    responses
}

fn list() -> Value {
    let mut responses = responses();
    let holds = json!({
        "type": "object", "required": ["holds", "more"],
        "properties": {
            "holds": {"type": "array", "items": reference::<Hold>()},
            "more": {"type": "boolean", "description": "Whether there are more, which are older"},
        },
    });
    responses.insert("200".into(), success("The holds, the newest first", &holds));
    responses.insert("400".into(), problem("The query is not valid"));
    json!({
        "operationId": "list_holds",
        "summary": "Lists the calls that wait for a person. For callers that may decide holds.",
        "parameters": [{
            "name": "all", "in": "query", "required": false, "schema": {"enum": ["true", "false"]},
            "description": "Also those that have ended",
        }],
        "responses": responses,
    })
}

fn one() -> Value {
    let mut responses = responses();
    responses.insert("200".into(), success("The hold", &reference::<Hold>()));
    json!({
        "operationId": "get_hold",
        "summary": "Shows a hold. For callers that may decide holds.",
        "parameters": [id()],
        "responses": responses,
    })
}

fn result() -> Value {
    let mut responses = responses();
    responses.insert("200".into(), success("The reply that waits", &reference::<Reply>()));
    responses
        .insert("404".into(), problem("There is no such hold, or no result waits in it that can be shown"));
    json!({
        "operationId": "get_held_result",
        "summary": "Shows the result that waits to be delivered. For callers that may decide holds.",
        "parameters": [id()],
        "responses": responses,
    })
}

fn reply() -> Value {
    // A held call can have every outcome of a call.
    let mut responses: Map<String, Value> = outcomes().into_iter().chain(responses()).collect();
    responses.insert("200".into(), success("An answer", &reference::<Reply>()));
    responses.insert("202".into(), problem("The call still waits, or its result does"));
    responses.insert("400".into(), problem("The query is not valid"));
    json!({
        "operationId": "get_held_reply",
        "summary": "Fetches the reply of a held call. For the caller of that call.",
        "parameters": [id(), {
            "name": "wait", "in": "query", "required": false,
            "schema": {"type": "integer", "minimum": 0, "maximum": WAIT_S_MAX},
            "description": "Seconds to wait for the end of the hold",
        }],
        "responses": responses,
    })
}

fn decision(word: &str, summary: &str, schema: &Value) -> Value {
    let mut responses = responses();
    responses.insert("200".into(), success("The hold as it stands now", &reference::<Hold>()));
    let conflict = "The hold has ended, was edited since it was seen, or is of a result and cannot be edited";
    responses.insert("409".into(), problem(conflict));
    responses.insert("415".into(), problem("The body is not JSON"));
    responses.insert("422".into(), problem("The body is no such decision, or the arguments are not valid"));
    json!({
        "operationId": format!("{word}_hold"),
        "summary": format!("{summary} For callers that may decide holds."),
        "parameters": [id()],
        "requestBody": body(schema),
        "responses": responses,
    })
}
