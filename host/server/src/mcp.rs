//! The only place that knows MCP: tools, calls and errors as its clients expect them.
//!
//! Owns the mapping between the host's own words and the protocol's, for both of its eras (rmcp keeps them
//! apart). Must not know sockets or the engine. To add a capability of the protocol: a file here, and its
//! arm in [`Server`].

pub(crate) mod arguments;
pub(crate) mod context;
mod listing;
mod meta_key;
mod progress_notice;
mod resource;
mod result;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rmcp::ErrorData;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ClientRequest, CustomRequest, CustomResult, ErrorCode,
    Implementation, ListResourceTemplatesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig, ServerResult,
    SubscriptionFilter, Tool,
};
use rmcp::service::{NotificationContext, RequestContext, RoleServer, Service as _, SubscriptionContext};
use serde::{Serialize, Serializer};
use tokio_util::sync::CancellationToken;

use airlock::host::Host;
use airlock_types::call::Call;
use airlock_types::code::Code;
use airlock_types::reply::Reply;
use airlock_types::shorten::{clean, shorten};
use result::{Meta, ToolResult};

const INSTRUCTIONS: &str = "Every result has a `status`. `degraded` means: an answer with a flag on it; read \
`findings`, `provenance` and `uncertainty` and pass them on. An error says whether repeating the call can \
help. Never present a failed call as an answer.";

/// The host, as an MCP server.
#[derive(Clone)]
pub struct Server {
    host: Arc<Host>,
    listener: Arc<Listener>,
}

/// The task that tells a client of the handshake era of changed lists. There is one, however often the client says
/// that it is initialized, and it ends with the client's server.
struct Listener {
    is_there: AtomicBool,
    ends: CancellationToken,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.ends.cancel();
    }
}

impl Server {
    /// A server of this host's tools.
    pub fn new(host: Arc<Host>) -> Server {
        let (is_there, ends) = Default::default();
        Server { host, listener: Arc::new(Listener { is_there, ends }) }
    }

    /// Answers a request from a transport that writes results itself; `None` once it is cancelled.
    pub(crate) async fn answer(
        &self,
        request: ClientRequest,
        context: RequestContext<RoleServer>,
    ) -> Option<Result<Answer, ErrorData>> {
        let cancelled = context.ct.clone();
        match request {
            ClientRequest::CallToolRequest(call) if is_plain(&context) => {
                let reply = unless_cancelled(&cancelled, self.reply(call.params, context)).await?;
                Some(reply.map(|reply| Answer::Reply(Box::new(reply))))
            }
            // In a box, as it has room for every request that there is.
            request => {
                let handled = Box::pin(self.handle_request(request, context));
                let result = unless_cancelled(&cancelled, handled).await?;
                Some(result.map(|result| Answer::Other(Box::new(result))))
            }
        }
    }

    /// Makes a call.
    async fn reply(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<Reply, ErrorData> {
        let mut raw = Call::new(&request.name, arguments::of(request.arguments, &context.extensions));
        raw.caller = context::who(&context.extensions);
        raw.session = context::session(&context);
        raw.trace = context::trace(&context);
        let (mut observer, mut told) = (None, None);
        if let Some(token) = context.meta.get_progress_token() {
            let (notes, forwarding) = progress_notice::forward(context.peer.clone(), token);
            (observer, told) = (Some(notes), Some(forwarding));
        }
        let reply = self.host.call_observed(raw, observer).await;
        // Progress comes before the answer, or not at all. A task that was lost has nothing more to say.
        if let Some(told) = told {
            let _ = told.await;
        }
        // The one outcome that the protocol wants as an error of its own.
        if reply.code == Code::Unknown {
            let data = serde_json::to_value(Meta(&reply)).ok();
            return Err(ErrorData::invalid_params(result::message(&reply).into_owned(), data));
        }
        Ok(reply)
    }
}

/// What a request comes to, unless its client cancels it: then its work is dropped, which stops a guest and seals its
/// record as cancelled, and there is no answer.
async fn unless_cancelled<T>(cancelled: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    let done = cancelled.run_until_cancelled(work).await;
    done.filter(|_| !cancelled.is_cancelled())
}

/// Whether a call is of the handshake's era and asks for no other: then rmcp's handler has nothing to check of it, and
/// changes nothing of its result.
fn is_plain(context: &RequestContext<RoleServer>) -> bool {
    let handshake = || context.peer.peer_info().is_some_and(|peer| peer.protocol_version.has_initialize());
    context.meta.protocol_version().is_none() && handshake()
}

/// What a request is answered with, as it is written.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The result of a call.
    Reply(Box<Reply>),
    /// What rmcp made of it.
    Other(Box<ServerResult>),
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Answer::Reply(reply) => ToolResult(reply).serialize(serializer),
            Answer::Other(result) => result.serialize(serializer),
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_resources()
            .build();
        let mut info = ServerConfig::new(capabilities);
        info.server_info = Implementation::new("airlock", env!("CARGO_PKG_VERSION"));
        info.instructions = Some(INSTRUCTIONS.into());
        info
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        // Asked for the check of headers, before any handler: a tool that the caller may not see is checked as one
        // that does not exist.
        let visible = self.host.visible(&context::served()?);
        visible.resolve(name).ok().map(|tool| listing::tool(tool))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let cursor = request.and_then(|request| request.cursor);
        listing::page(&self.host.visible(&context::who(&context.extensions)), cursor.as_deref())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let cancelled = context.ct.clone();
        // In a box, as the protocol's library moves what it is given about, and a call is large.
        let reply = unless_cancelled(&cancelled, Box::pin(self.reply(request, context))).await;
        // rmcp sends no answer to a request that was cancelled, and asks for one all the same.
        let gone = || ErrorData::new(ErrorCode(-32_800), "the call was cancelled", None);
        let reply = reply.ok_or_else(gone)??;
        let result = result::tree(&reply).map_err(|err| ErrorData::internal_error(err.to_string(), None))?;
        Ok(CallToolResponse::Complete(result))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(resource::templates())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resource::read(self.host.clone(), context::who(&context.extensions), request.uri).await
    }

    /// Clients of the handshake era are told of a changed list for as long as they are there.
    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        if self.listener.is_there.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut generations = self.host.generations();
        let ends = self.listener.ends.clone();
        tokio::spawn(ends.run_until_cancelled_owned(async move {
            while generations.changed().await.is_ok() {
                if context.peer.notify_tool_list_changed().await.is_err() {
                    return;
                }
            }
        }));
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let mut accepted = SubscriptionFilter::default();
        accepted.tools_list_changed = requested.tools_list_changed;
        Some(accepted)
    }

    /// Clients of the stateless era listen for as long as they want to be told.
    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut generations = self.host.generations();
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                changed = generations.changed() => {
                    if changed.is_err() || context.sink().notify_tool_list_changed().await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(ErrorData::new(
            ErrorCode::METHOD_NOT_FOUND,
            format!("there is no method `{}`", shorten(&clean(&request.method), 80)),
            None,
        ))
    }
}
