//! Tools that ask the client during a call, as in revisions up to 2025-11-25.

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CreateMessageRequestParams,
    ElicitRequestParams, LoggingLevel, LoggingMessageNotificationParam, SamplingMessage,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Value, json};

use super::model;
use super::tools::text;

/// Pause between two log messages, so that a client sees them arrive separately.
const PAUSE: Duration = Duration::from_millis(50);

fn failed(message: String) -> CallToolResponse {
    CallToolResult::error(vec![ContentBlock::text(message)]).into()
}

pub(super) async fn sample(
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let prompt = argument(request, "prompt");
    let asked = CreateMessageRequestParams::new(vec![SamplingMessage::user_text(prompt)], 100);
    Ok(match context.peer.create_message(asked).await {
        Ok(said) => {
            let said = serde_json::to_value(&said.message.content).unwrap_or_default();
            text(format!("LLM response: {said}")).into()
        }
        Err(err) => failed(format!("the client did not sample: {err}")),
    })
}

pub(super) async fn log(context: &RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
    for message in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        let note = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(message));
        let sent = context.peer.notify_logging_message(note).await;
        sent.map_err(|err| ErrorData::internal_error(err.to_string(), None))?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(text("Three messages were logged").into())
}

fn argument(request: &CallToolRequestParams, name: &str) -> String {
    let value = request.arguments.as_ref().and_then(|args| args.get(name)).and_then(Value::as_str);
    value.unwrap_or_default().to_owned()
}

/// The form that a tool shows: its message and its fields. None for a tool without a form.
pub(super) fn form(tool: &str, request: &CallToolRequestParams) -> Option<(String, Value)> {
    Some(match tool {
        "test_elicitation" => (
            argument(request, "message"),
            json!({
                "type": "object",
                "properties": {
                    "username": {"type": "string", "description": "User's response"},
                    "email": {"type": "string", "description": "User's email address"},
                },
                "required": ["username", "email"],
            }),
        ),
        "test_elicitation_sep1034_defaults" => ("Everything has a default".into(), defaults()),
        "test_elicitation_sep1330_enums" => ("Choose".into(), choices()),
        _ => return None,
    })
}

fn defaults() -> Value {
    json!({"type": "object", "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": true},
    }})
}

fn choices() -> Value {
    let plain = ["option1", "option2", "option3"];
    let titled = |word: &str| {
        json!([
            {"const": "value1", "title": format!("First {word}")},
            {"const": "value2", "title": format!("Second {word}")},
            {"const": "value3", "title": format!("Third {word}")},
        ])
    };
    json!({"type": "object", "properties": {
        "untitledSingle": {"type": "string", "enum": plain},
        "titledSingle": {"type": "string", "oneOf": titled("Option")},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled("Choice")}},
    }})
}

pub(super) async fn elicit(
    tool: &str,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let (message, schema) = form(tool, request).unwrap_or_default();
    let asked: ElicitRequestParams =
        model(json!({"mode": "form", "message": message, "requestedSchema": schema}))?;
    Ok(match context.peer.create_elicitation(asked).await {
        Ok(said) => {
            let said = serde_json::to_value(&said).unwrap_or_default();
            text(format!("User response: action={}, content={}", said["action"], said["content"])).into()
        }
        Err(err) => failed(format!("the client did not ask: {err}")),
    })
}
