//! The only module that knows MCP: tools, calls and errors in the form that MCP clients expect.
//!
//! Owns the mapping between the host's terms and the protocol's, for both eras of the protocol, which rmcp keeps apart.
//! Must not know sockets or the engine. To add a feature of the protocol: a file here, and its method in [`Server`].

pub(crate) mod arguments;
pub(crate) mod context;
mod held;
mod list_changes;
mod listing;
pub(crate) mod message;
mod meta_key;
mod not_served;
pub(crate) mod ordered;
pub(crate) mod params;
pub(crate) mod plain;
mod progress_notice;
mod resource;
pub(crate) mod response;
mod result;
pub(crate) mod written_id;

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rmcp::ErrorData;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ClientRequest, CustomRequest, CustomResult, ErrorCode,
    Implementation, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse,
    ServerCapabilities, ServerConfig, ServerResult, SubscriptionFilter, Tool,
};
use rmcp::service::{NotificationContext, RequestContext, RoleServer, Service as _, SubscriptionContext};
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use airlock::host::Host;
use airlock_types::call::Call;
use airlock_types::reply::Reply;
use held::Turn;
use list_changes::ListChanges;
use not_served::not_served;
use ordered::Ordered;
use result::ToolResult;

// Short, because clients truncate it: one known client keeps 2 KB.
const INSTRUCTIONS: &str = "Every answer has a `status`:\n\
- ok: use the result.\n\
- degraded: a result with a flaw. Read `notice` and `findings`, and tell your user about them.\n\
- invalid: the arguments do not fit and nothing was done. Mend what the text names, and call again.\n\
- clarify: nothing was done. Choose one of the options, or ask your user.\n\
- refused: the tool cannot help with this. Do not repeat the call.\n\
- denied: this call is not allowed. Do not repeat it.\n\
- held: a human must approve this call first. Tell your user, and send the same call again to ask.\n\
- failed: there is no result. The text says whether to repeat the call, and how to mend it.\n\
Never present anything but ok or degraded as an answer.";

/// The host as an MCP server. Clones share one client's state.
#[derive(Clone)]
pub struct Server {
    host: Arc<Host>,
    listener: Arc<Listener>,
}

/// State of the task that notifies a client of the handshake era when the list of tools changes. At most one such task
/// runs for a client, and dropping this value ends it.
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
    /// An MCP server for one client of the host.
    pub fn new(host: Arc<Host>) -> Server {
        let (is_there, ends) = Default::default();
        Server { host, listener: Arc::new(Listener { is_there, ends }) }
    }

    /// Answers a request from a transport that serializes results itself. `None` if the client cancelled the request.
    pub(crate) async fn answer(
        &self,
        request: ClientRequest,
        context: RequestContext<RoleServer>,
    ) -> Option<Result<Answer, ErrorData>> {
        let cancelled = context.ct.clone();
        match request {
            ClientRequest::CallToolRequest(call) if is_plain(&context) => {
                let turn = pin!(self.turn(call.params, context));
                let turn = unless_cancelled(&cancelled, turn).await?;
                Some(turn.map(Answer::from))
            }
            // Boxed: rmcp's future has room for the state of every kind of request.
            request => {
                let mut context = context;
                let ordered = Ordered::default();
                context.extensions.insert(ordered.clone());
                let handled = Box::pin(self.handle_request(request, context));
                let result = unless_cancelled(&cancelled, handled).await?;
                Some(result.map(|result| Answer::Other(Box::new(result), ordered)))
            }
        }
    }

    /// Makes a call, or goes on with one that waits for a person.
    async fn turn(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<Turn, ErrorData> {
        let mut raw = Call::new(&request.name, arguments::of(request.arguments, &context.extensions));
        // The caller comes from the transport's authentication, never from the message.
        raw.caller = context::who(&context.extensions);
        context::fill(&mut raw, &context.meta, context::headers(&context));
        if let Some(state) = request.request_state {
            let said = request.input_responses;
            return Box::pin(held::resume(&self.host, &context, &raw, &state, said.as_ref())).await;
        }
        // Without a token the protocol allows no progress notifications, and the call costs no task.
        let (mut observer, mut told) = (None, None);
        if let Some(token) = context.meta.get_progress_token() {
            let (notes, forwarding) = progress_notice::forward(context.peer.clone(), token);
            (observer, told) = (Some(notes), Some(forwarding));
        }
        let reply = self.host.call_observed(raw, observer).await;
        // The protocol allows progress only before the response, so the task sends what is queued first. The call has
        // dropped the observer by now, which ends the task. The error means that the task panicked: nothing is left to
        // send.
        if let Some(told) = told {
            let _ = told.await;
        }
        let reply = Box::new(result::reply_of(reply)?);
        if reply.hold.is_none() {
            return Ok(Turn::Ended(reply));
        }
        // Boxed, as above: both are rare, and their state would enlarge the future of every call.
        Ok(Box::pin(held::begin(&self.host, &context, reply)).await)
    }
}

/// Runs the work of a request until it ends or the client cancels it. Cancelling drops the work, which stops the guest
/// and seals the record as cancelled, and returns `None`.
///
/// `Unpin`, so that callers pin the work and pass a pointer: each function that a future is passed through by value has room
/// for copies of it, which would be made for every call.
async fn unless_cancelled<T>(
    cancelled: &CancellationToken,
    work: impl Future<Output = T> + Unpin,
) -> Option<T> {
    let done = cancelled.run_until_cancelled(work).await;
    // A cancelled request gets no response, even if its work ended at the same moment.
    done.filter(|_| !cancelled.is_cancelled())
}

/// Whether rmcp's handler can be bypassed: the client made a handshake, and this call names no other protocol version.
/// In that case the handler checks nothing and changes nothing in the result.
fn is_plain(context: &RequestContext<RoleServer>) -> bool {
    let handshake = || context.peer.peer_info().is_some_and(|peer| peer.protocol_version.has_initialize());
    context.meta.protocol_version().is_none() && handshake()
}

/// The result of a request, ready to be serialized. Variants are boxed, because both types are large.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The result of a call.
    Reply(Box<Reply>),
    /// The result of any other request, from rmcp's handler, and its structured content if it has any.
    Other(Box<ServerResult>, Ordered),
}

impl From<Turn> for Answer {
    fn from(turn: Turn) -> Answer {
        match turn {
            Turn::Ended(reply) => Answer::Reply(reply),
            Turn::Asks(asks) => {
                Answer::Other(Box::new(ServerResult::InputRequiredResult(*asks)), Ordered::default())
            }
        }
    }
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Answer::Reply(reply) => ToolResult(reply).serialize(serializer),
            Answer::Other(result, ordered) if ordered.is_filled() => {
                let sorted = serde_json::to_string(result).map_err(S::Error::custom)?;
                let text = ordered.in_result(&sorted).unwrap_or(sorted);
                RawValue::from_string(text).map_err(S::Error::custom)?.serialize(serializer)
            }
            Answer::Other(result, _) => result.serialize(serializer),
        }
    }
}

/// The revisions of the protocol that are not offered. 2025-03-26 has batches, which were removed from the protocol
/// three months later, and this server has none.
const NOT_OFFERED: [ProtocolVersion; 1] = [ProtocolVersion::V_2025_03_26];

fn offered() -> Vec<ProtocolVersion> {
    let known = ProtocolVersion::KNOWN_VERSIONS.iter();
    known.filter(|version| !NOT_OFFERED.contains(version)).cloned().collect()
}

/// Whether this server serves a revision of the protocol.
pub(crate) fn serves(version: &ProtocolVersion) -> bool {
    offered().contains(version)
}

impl ServerHandler for Server {
    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        offered().into()
    }

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
        // rmcp calls this before any handler, to check headers against the tool's schema. For a tool that the caller
        // may not see the answer must be the same as for one that does not exist.
        let visible = self.host.visible(&context::served()?);
        visible.resolve(name).ok().map(|tool| listing::tool(tool))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        params::ListFault::check(&context.extensions)?;
        let cursor = request.and_then(|request| request.cursor);
        listing::page(&self.host.visible(&context::who(&context.extensions)), cursor.as_deref())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let (cancelled, ordered) = (context.ct.clone(), Ordered::of(&context.extensions));
        // Boxed, because rmcp moves the future several times, and a call's future is large.
        let turn = unless_cancelled(&cancelled, Box::pin(self.turn(request, context))).await;
        // rmcp discards the response to a cancelled request, but its interface requires one.
        let gone = || ErrorData::new(ErrorCode(-32_800), "the call was cancelled", None);
        let reply = match turn.ok_or_else(gone)?? {
            Turn::Ended(reply) => reply,
            Turn::Asks(asks) => return Ok(CallToolResponse::InputRequired(*asks)),
        };
        let internal = |err: serde_json::Error| ErrorData::internal_error(err.to_string(), None);
        if let (Some(ordered), Some(content)) = (ordered, result::structured(&reply).map_err(internal)?) {
            ordered.keep(content);
        }
        Ok(CallToolResponse::Complete(result::tree(&reply).map_err(internal)?))
    }

    /// No resource is listed: a record is read by its address, which the answer of its call names.
    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        params::ListFault::check(&context.extensions)?;
        Ok(ListResourcesResult::default())
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        params::ListFault::check(&context.extensions)?;
        Ok(resource::templates())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resource::read(self.host.clone(), context::who(&context.extensions), request.uri).await
    }

    /// Starts the task that notifies a client of the handshake era of changed lists. It runs until the client is gone.
    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        // Over HTTP a client can send `initialized` any number of times, and each would add a task.
        if self.listener.is_there.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut changes = ListChanges::of(&self.host, context::who(&context.extensions));
        let ends = self.listener.ends.clone();
        tokio::spawn(ends.run_until_cancelled_owned(async move {
            while changes.next().await {
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

    /// Serves a subscription of the stateless era until it is cancelled or the client is gone.
    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let who = context::who(&context.request_context().extensions);
        let mut changes = ListChanges::of(&self.host, who);
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                is_changed = changes.next() => {
                    if !is_changed || context.sink().notify_tool_list_changed().await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    not_served! {
        complete(rmcp::model::CompleteRequestParams) -> rmcp::model::CompleteResult, "completion/complete";
        get_prompt(rmcp::model::GetPromptRequestParams) -> rmcp::model::GetPromptResponse, "prompts/get";
        list_prompts(Option<PaginatedRequestParams>) -> rmcp::model::ListPromptsResult, "prompts/list";
        #[expect(deprecated, reason = "clients of the handshake era send it")]
        set_level(rmcp::model::SetLevelRequestParams) -> (), "logging/setLevel";
        subscribe(rmcp::model::SubscribeRequestParams) -> (), "resources/subscribe";
        unsubscribe(rmcp::model::UnsubscribeRequestParams) -> (), "resources/unsubscribe";
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(params::refusal(&request, &context.meta))
    }
}

#[cfg(test)]
mod tests {
    use airlock_types::code::Code;

    use super::*;

    #[test]
    fn the_instructions_have_one_line_for_each_status() {
        for code in Code::ALL {
            let status = serde_json::to_value(code.facts().status).unwrap();
            let line = format!("\n- {}: ", status.as_str().unwrap());
            assert_eq!(INSTRUCTIONS.matches(&line).count(), 1, "{line}");
        }
        assert!(INSTRUCTIONS.len() <= 2048, "a known client cuts them there");
    }
}
