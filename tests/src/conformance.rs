//! The test-only part of the conformance host: requests of the official suite that no tool can answer.
//!
//! Owns a server that passes requests to the product's server and adds prompts, resources, questions to the client and
//! tasks, each in its own file. It never answers a request that the product can answer. It prints a line for each
//! request that it answers, so that `cargo xtask conformance` can tell the two apart.

#![expect(deprecated, reason = "the suite still asks for what newer revisions of the protocol dropped")]

mod ask;
mod input;
mod prompts;
mod resources;
mod tasks;
mod tools;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use airlock::config::ConfigFile;
use airlock::host::Host;
use airlock_server::mcp::Server;
use rmcp::ErrorData;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult,
    CustomRequest, CustomResult, GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, RequestStateCodec, ServerConfig,
    SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
    UpdateTaskParams,
};
use rmcp::service::{NotificationContext, RequestContext, RoleServer, SubscriptionContext};
use rmcp::task_manager::TaskManager;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;

/// The product's server with the suite's fixtures around it.
#[derive(Clone)]
pub struct Fixtures {
    product: Server,
    host: Arc<Host>,
    registry: Arc<ConfigFile>,
    tasks: TaskManager,
    codec: Arc<RequestStateCodec>,
    prompts: Arc<watch::Sender<u64>>,
}

impl Fixtures {
    /// Fixtures around the server of this host, which can be reloaded from this registry.
    pub fn new(host: Arc<Host>, registry: ConfigFile) -> Fixtures {
        Fixtures {
            product: Server::new(host.clone()),
            host,
            registry: Arc::new(registry),
            tasks: TaskManager::new(),
            codec: Arc::new(RequestStateCodec::new(*b"states of the conformance host, not secret")),
            prompts: Arc::new(watch::Sender::new(0)),
        }
    }
}

/// Prints what answered a request: `component` for a tool of the registry through the real call path, `fixture` for
/// this crate.
#[expect(clippy::disallowed_methods, reason = "the suite says when a scenario began, on the same clock")]
fn answered(by: &str, what: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    anstream::println!("{now}\t{by}\t{what}");
}

/// A value of the protocol, parsed from JSON.
fn model<T: DeserializeOwned>(json: Value) -> Result<T, ErrorData> {
    serde_json::from_value(json).map_err(|err| ErrorData::internal_error(format!("a fixture: {err}"), None))
}

impl ServerHandler for Fixtures {
    fn get_info(&self) -> ServerConfig {
        let mut info = self.product.get_info();
        let mut capabilities = serde_json::to_value(&info.capabilities).unwrap_or_default();
        capabilities["prompts"] = json!({"listChanged": true});
        capabilities["resources"] = json!({"subscribe": true});
        capabilities["logging"] = json!({});
        capabilities["completions"] = json!({});
        capabilities["extensions"] = json!({"io.modelcontextprotocol/tasks": {}});
        if let Ok(capabilities) = serde_json::from_value(capabilities) {
            info.capabilities = capabilities;
        }
        info
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.product.get_tool(name).or_else(|| tools::list().into_iter().find(|tool| tool.name == name))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut list = self.product.list_tools(request, context).await?;
        if list.next_cursor.is_none() {
            list.tools.extend(tools::list());
        }
        Ok(list)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let what = format!("tools/call {}", request.name);
        if tools::list().iter().any(|tool| tool.name == request.name) {
            answered("fixture", &what);
            return tools::call(self, request, context).await;
        }
        answered("component", &what);
        self.product.call_tool(request, context).await
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        answered("fixture", "prompts/list");
        prompts::list()
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        answered("fixture", &format!("prompts/get {}", request.name));
        prompts::get(&self.codec, &request, &context)
    }

    async fn complete(
        &self,
        _: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        answered("fixture", "completion/complete");
        Ok(CompleteResult::default())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        answered("fixture", "resources/list");
        resources::list()
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let mut templates = self.product.list_resource_templates(request, context).await?;
        templates.resource_templates.push(resources::template()?);
        Ok(templates)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        match resources::read(&request.uri)? {
            Some(contents) => {
                answered("fixture", &format!("resources/read {}", request.uri));
                Ok(contents.into())
            }
            None => self.product.read_resource(request, context).await,
        }
    }

    async fn set_level(
        &self,
        _: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        answered("fixture", "logging/setLevel");
        Ok(())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        answered("fixture", &format!("resources/subscribe {}", request.uri));
        resources::known(&request.uri)
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        answered("fixture", &format!("resources/unsubscribe {}", request.uri));
        resources::known(&request.uri)
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.product.on_initialized(context).await;
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let mut accepted = self.product.accepted_subscription_filter(requested)?;
        accepted.prompts_list_changed = requested.prompts_list_changed;
        Some(accepted)
    }

    /// A subscription to prompts is served here; every other one by the product.
    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        if context.accepted().prompts_list_changed != Some(true) {
            return self.product.listen(context).await;
        }
        answered("fixture", "subscriptions/listen");
        let mut changes = self.prompts.subscribe();
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                changed = changes.changed() => {
                    if changed.is_err() || context.sink().notify_prompt_list_changed().await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        answered("fixture", "tasks/get");
        Ok(GetTaskResult::new(self.tasks.get_task(&request.task_id)?))
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        answered("fixture", "tasks/update");
        self.tasks.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        answered("fixture", "tasks/cancel");
        self.tasks.cancel_task(&request.task_id)
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        self.product.on_custom_request(request, context).await
    }
}
