//! Prompts of the suite. The product has none.

use rmcp::ErrorData;
use rmcp::model::{GetPromptRequestParams, GetPromptResponse, ListPromptsResult, RequestStateCodec};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Value, json};

use super::input::{Conversation, Standing, form};
use super::model;
use super::resources::PIXEL;

pub(super) fn list() -> Result<ListPromptsResult, ErrorData> {
    let prompt = |name: &str, arguments: &[&str]| {
        let arguments: Vec<Value> =
            arguments.iter().map(|name| json!({"name": name, "required": true})).collect();
        json!({"name": name, "description": format!("The suite's prompt {name}"), "arguments": arguments})
    };
    model(json!({"prompts": [
        prompt("test_input_required_result_prompt", &[]),
        prompt("test_prompt_with_arguments", &["arg1", "arg2"]),
        prompt("test_prompt_with_embedded_resource", &["resourceUri"]),
        prompt("test_prompt_with_image", &[]),
        prompt("test_simple_prompt", &[]),
    ], "resultType": "complete"}))
}

pub(super) fn get(
    codec: &RequestStateCodec,
    request: &GetPromptRequestParams,
    _: &RequestContext<RoleServer>,
) -> Result<GetPromptResponse, ErrorData> {
    let argument = |name: &str| {
        let value = request.arguments.as_ref().and_then(|args| args.get(name)).and_then(Value::as_str);
        value.ok_or_else(|| ErrorData::invalid_params(format!("the argument `{name}` is missing"), None))
    };
    match request.name.as_str() {
        "test_simple_prompt" => messages(&[text("This is a simple prompt for testing.")]),
        "test_prompt_with_arguments" => messages(&[text(&format!(
            "Prompt with arguments: arg1='{}', arg2='{}'",
            argument("arg1")?,
            argument("arg2")?
        ))]),
        "test_prompt_with_embedded_resource" => {
            let resource = json!({
                "uri": argument("resourceUri")?,
                "mimeType": "text/plain",
                "text": "Embedded resource content for testing.",
            });
            let embedded = json!({"type": "resource", "resource": resource});
            messages(&[embedded, text("Please process the embedded resource above.")])
        }
        "test_prompt_with_image" => {
            let image = json!({"type": "image", "data": PIXEL, "mimeType": "image/png"});
            messages(&[image, text("Please analyze the image above.")])
        }
        "test_input_required_result_prompt" => asks_first(codec, request),
        other => Err(ErrorData::invalid_params(format!("there is no prompt `{other}`"), None)),
    }
}

fn asks_first(
    codec: &RequestStateCodec,
    request: &GetPromptRequestParams,
) -> Result<GetPromptResponse, ErrorData> {
    let question = form("What context should the prompt use?", "context", "string");
    let conversation = Conversation::once(vec![("user_context", question)]);
    match conversation.go_on(codec, request.input_responses.as_ref(), request.request_state.as_deref())? {
        Standing::Asks(asks) => Ok(asks.into()),
        Standing::Done(responses) => {
            let context = &responses["user_context"]["content"]["context"];
            messages(&[text(&format!("Use this context: {context}"))])
        }
    }
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn messages(contents: &[Value]) -> Result<GetPromptResponse, ErrorData> {
    let messages: Vec<Value> =
        contents.iter().map(|content| json!({"role": "user", "content": content})).collect();
    Ok(GetPromptResponse::Complete(model(json!({"messages": messages, "resultType": "complete"}))?))
}
