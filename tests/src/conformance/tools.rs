//! Tools of the suite that cannot be components: they talk to the client, or change what the server lists.

use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock,
    InputResponses, JsonObject, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::json;

use super::input::{Conversation, Standing, form, roots, sampling};
use super::{Fixtures, ask, model, tasks};

/// Name, description, and the names and types of the arguments.
type Listed = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// All tools of this file. All their arguments are required.
const TOOLS: [Listed; 23] = [
    ("confirm_delete", "A task that asks before it deletes", &[("filename", "string")]),
    ("failing_job", "A task that fails as tools do", &[]),
    ("multi_input", "A task that asks two questions at once", &[]),
    ("protocol_error_job", "A task that fails as requests do", &[]),
    ("slow_compute", "A task that takes its time", &[("seconds", "number"), ("label", "string")]),
    ("test_elicitation", "Asks the user", &[("message", "string")]),
    ("test_elicitation_sep1034_defaults", "Asks the user, with defaults", &[]),
    ("test_elicitation_sep1330_enums", "Asks the user to choose", &[]),
    ("test_input_required_result_capabilities", "Asks what the client can answer", &[]),
    ("test_input_required_result_elicitation", "Asks the user's name first", &[]),
    ("test_input_required_result_list_roots", "Asks for the client's roots first", &[]),
    ("test_input_required_result_multi_round", "Asks in two rounds", &[]),
    ("test_input_required_result_multiple_inputs", "Asks three things at once", &[]),
    ("test_input_required_result_request_state", "Asks, and keeps a state", &[]),
    ("test_input_required_result_sampling", "Asks the client's model first", &[]),
    ("test_input_required_result_tampered_state", "Asks, and keeps a state that is sealed", &[]),
    ("test_missing_capability", "Needs a client that can sample", &[]),
    ("test_sampling", "Asks the client's model", &[("prompt", "string")]),
    ("test_streaming_elicitation", "Asks the user within a stream", &[]),
    ("test_tool_with_logging", "Sends log messages to the client", &[]),
    ("test_tool_with_task", "Asks the user's name, then becomes a task", &[]),
    ("test_trigger_prompt_change", "Says that the prompts changed", &[]),
    ("test_trigger_tool_change", "Reloads the registry", &[]),
];

/// The tools, as clients see them.
pub(super) fn list() -> Vec<Tool> {
    let tool = |(name, description, args): &Listed| Tool::new(*name, *description, Arc::new(schema(args)));
    TOOLS.iter().map(tool).collect()
}

fn schema(args: &[(&str, &str)]) -> JsonObject {
    let properties = args.iter().map(|(name, ty)| ((*name).to_owned(), json!({"type": ty})));
    let required: Vec<&str> = args.iter().map(|(name, _)| *name).collect();
    let schema = json!({
        "type": "object",
        "properties": properties.collect::<JsonObject>(),
        "required": required,
    });
    schema.as_object().cloned().unwrap_or_default()
}

pub(super) fn text(text: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

/// Answers a call of one of these tools.
pub(super) async fn call(
    fixtures: &Fixtures,
    request: CallToolRequestParams,
    context: RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    match request.name.as_ref() {
        "test_trigger_tool_change" => reload(fixtures).await,
        "test_trigger_prompt_change" => {
            fixtures.prompts.send_modify(|count| *count += 1);
            Ok(text("The prompts changed").into())
        }
        "test_missing_capability" => needs_sampling(&context),
        "test_sampling" => ask::sample(&request, &context).await,
        "test_tool_with_logging" => ask::log(&context).await,
        name if ask::form(name, &request).is_some() => ask::elicit(name, &request, &context).await,
        "test_tool_with_task" => match converse(fixtures, &request, &context)? {
            Standing::Asks(asks) => Ok(asks.into()),
            Standing::Done(responses) => tasks::greeting(fixtures, &name(&responses)),
        },
        name if tasks::KNOWN.contains(&name) => tasks::start(fixtures, &request, &context).await,
        _ => match converse(fixtures, &request, &context)? {
            Standing::Asks(asks) => Ok(asks.into()),
            Standing::Done(responses) => Ok(done(&responses).into()),
        },
    }
}

/// A real reload: the product itself notifies its subscribers.
async fn reload(fixtures: &Fixtures) -> Result<CallToolResponse, ErrorData> {
    let reloaded = fixtures.host.reload(&fixtures.registry).await;
    reloaded.map_err(|err| ErrorData::internal_error(err.to_string(), None))?;
    Ok(text("The registry was read again").into())
}

fn needs_sampling(context: &RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
    if context.client_capabilities().is_some_and(|client| client.sampling.is_some()) {
        return Ok(text("The client can sample").into());
    }
    let needed: ClientCapabilities = model(json!({"sampling": {}}))?;
    Err(ErrorData::missing_required_client_capability(needed))
}

fn converse(
    fixtures: &Fixtures,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<Standing, ErrorData> {
    let conversation = conversation(&request.name, context)?;
    conversation.go_on(&fixtures.codec, request.input_responses.as_ref(), request.request_state.as_deref())
}

/// The conversation that a tool has with the client.
fn conversation(tool: &str, context: &RequestContext<RoleServer>) -> Result<Conversation, ErrorData> {
    let who = || ("user_name", form("What is your name?", "name", "string"));
    let capital = || ("capital_question", sampling("What is the capital of France?"));
    let confirm = || ("confirm", form("Please confirm", "ok", "boolean"));
    Ok(match tool {
        "test_input_required_result_elicitation" | "test_streaming_elicitation" | "test_tool_with_task" => {
            Conversation::once(vec![who()])
        }
        "test_input_required_result_sampling" => Conversation::once(vec![capital()]),
        "test_input_required_result_list_roots" => Conversation::once(vec![("client_roots", roots())]),
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
            Conversation { rounds: vec![vec![confirm()]], sealed: true }
        }
        "test_input_required_result_multiple_inputs" => {
            let all = vec![who(), ("greeting", sampling("Generate a greeting")), ("client_roots", roots())];
            Conversation { rounds: vec![all], sealed: true }
        }
        "test_input_required_result_multi_round" => {
            let name = ("step1", form("Step 1: What is your name?", "name", "string"));
            let color = ("step2", form("Step 2: What is your favorite color?", "color", "string"));
            Conversation { rounds: vec![vec![name], vec![color]], sealed: true }
        }
        "test_input_required_result_capabilities" => {
            let client = context.client_capabilities().unwrap_or_default();
            let mut round = Vec::new();
            round.extend(client.elicitation.map(|_| who()));
            round.extend(client.sampling.map(|_| capital()));
            round.extend(client.roots.map(|_| ("client_roots", roots())));
            Conversation::once(round)
        }
        other => return Err(ErrorData::internal_error(format!("no fixture for `{other}`"), None)),
    })
}

/// The name that the user gave.
fn name(responses: &InputResponses) -> String {
    responses.values().find_map(|it| it["content"]["name"].as_str()).unwrap_or("whoever you are").to_owned()
}

fn done(responses: &InputResponses) -> CallToolResult {
    let said = serde_json::to_string(responses).unwrap_or_default();
    text(format!("Hello, {}! state-ok: {said}", name(responses)))
}
