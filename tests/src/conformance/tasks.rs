//! Tools that become tasks, as in the protocol's extension for tasks.

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock,
    CreateTaskResult, InputRequest,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::task_manager::{TaskContext, TaskExit, TaskFuture, TaskOptions};
use serde_json::Value;

use super::input::form;
use super::tools::text;
use super::{Fixtures, model};

/// The tools that start tasks.
pub(super) const KNOWN: [&str; 5] =
    ["confirm_delete", "failing_job", "multi_input", "protocol_error_job", "slow_compute"];

/// Time until a failing task fails.
const A_WHILE: Duration = Duration::from_millis(500);

/// Starts a task. A client without support for tasks gets the answer directly if the tool has one.
pub(super) async fn start(
    fixtures: &Fixtures,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let seconds = request.arguments.as_ref().and_then(|args| args.get("seconds")).and_then(Value::as_f64);
    let pause = Duration::from_secs_f64(seconds.unwrap_or_default().clamp(0.0, 120.0));
    if !context.client_capabilities().is_some_and(|client| client.supports_tasks()) {
        if request.name != "slow_compute" {
            return Err(ErrorData::missing_required_client_capability(
                ClientCapabilities::builder().enable_tasks().build(),
            ));
        }
        tokio::time::sleep(pause).await;
        return Ok(text("Computed").into());
    }
    let name = request.name.clone();
    let make = move |task: TaskContext| -> TaskFuture {
        match name.as_ref() {
            "confirm_delete" => Box::pin(questions(task, &["confirm"])),
            "multi_input" => Box::pin(questions(task, &["first", "second"])),
            "failing_job" => Box::pin(failing()),
            "protocol_error_job" => Box::pin(broken()),
            _ => Box::pin(computing(task, pause)),
        }
    };
    Ok(spawn(fixtures, make))
}

/// A task whose result greets a person by name.
pub(super) fn greeting(fixtures: &Fixtures, name: &str) -> Result<CallToolResponse, ErrorData> {
    let greeting = text(format!("Hello, {name}!"));
    Ok(spawn(fixtures, move |_| Box::pin(async move { Ok(greeting) })))
}

fn spawn(fixtures: &Fixtures, make: impl FnOnce(TaskContext) -> TaskFuture) -> CallToolResponse {
    let options = TaskOptions::new().with_poll_interval_ms(100);
    CreateTaskResult::new(fixtures.tasks.spawn(options, make)).into()
}

async fn computing(task: TaskContext, pause: Duration) -> Result<CallToolResult, TaskExit> {
    tokio::select! {
        () = task.cancelled() => Err(TaskExit::Cancelled),
        () = tokio::time::sleep(pause) => Ok(text("Computed")),
    }
}

async fn failing() -> Result<CallToolResult, TaskExit> {
    tokio::time::sleep(A_WHILE).await;
    Ok(CallToolResult::error(vec![ContentBlock::text("The job failed")]))
}

async fn broken() -> Result<CallToolResult, TaskExit> {
    tokio::time::sleep(A_WHILE).await;
    Err(ErrorData::internal_error("the job broke", None).into())
}

/// Asks all questions at once, and ends when all are answered.
async fn questions(task: TaskContext, keys: &[&str]) -> Result<CallToolResult, TaskExit> {
    let (first, second) = (keys.first().copied(), keys.get(1).copied());
    tokio::try_join!(question(&task, first), question(&task, second))?;
    Ok(text("Everything was answered"))
}

async fn question(task: &TaskContext, key: Option<&str>) -> Result<(), TaskExit> {
    let Some(key) = key else { return Ok(()) };
    let asked: InputRequest = model(form("Shall it be done?", "confirm", "boolean"))?;
    task.request_input(key, asked).await.map(|_: Value| ())
}
