//! Calls that are read without rmcp's parser, which builds a tree of each message.
//!
//! A plain call has known fields only. Its arguments go to the inner door as text, because a tree would lose errors such as
//! duplicate keys. Owns its form, and its answer in both eras. Must not know how messages arrive: a transport decides
//! whether rmcp has anything to check or to change in a call, and leaves it to rmcp then.

use std::panic::AssertUnwindSafe;
use std::pin::pin;

use bytes::Bytes;
use futures::FutureExt as _;
use http::HeaderMap;
use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestMethod, CallToolRequestParams, ClientRequest, Extensions, InputRequiredResult,
    JsonRpcMessage, JsonRpcVersion2_0, ProtocolVersion, Request, RequestId, RequestMetaObject,
};
use rmcp::service::{RoleServer, RxJsonRpcMessage};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::arguments::RawArguments;
use super::context;
use super::held::{self, Turn};
use super::response::Response;
use super::result::{Complete, reply_of};
use airlock::host::Host;
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::reply::Reply;

/// A call with known fields only. Unknown fields could mean something to rmcp, so a call with other fields is none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlainCall<'m> {
    #[serde(rename = "jsonrpc")]
    _jsonrpc: JsonRpcVersion2_0,
    id: RequestId,
    #[serde(rename = "method")]
    _method: CallToolRequestMethod,
    #[serde(borrow)]
    params: Params<'m>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params<'m> {
    name: String,
    #[serde(borrow, default)]
    arguments: Option<&'m RawValue>,
    #[serde(rename = "_meta", default)]
    meta: Option<RequestMetaObject>,
}

impl<'m> PlainCall<'m> {
    /// The plain call that a message is.
    pub(crate) fn read(message: &'m [u8]) -> Option<PlainCall<'m>> {
        serde_json::from_slice(message).ok()
    }

    /// The tool's name.
    pub(crate) fn name(&self) -> &str {
        &self.params.name
    }

    /// The text of its arguments.
    pub(crate) fn arguments(&self) -> Option<&'m str> {
        self.params.arguments.map(RawValue::get)
    }

    /// Whether it carries all that a call of the stateless revision of the protocol has to, names that revision, and asks
    /// for no progress.
    pub(crate) fn is_stateless(&self) -> bool {
        self.params.meta.as_ref().is_some_and(|meta| {
            meta.protocol_version() == Some(ProtocolVersion::V_2026_07_28)
                && meta.missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty()
                && meta.get_progress_token().is_none()
        })
    }

    /// As a message for rmcp's service, with the arguments beside it. They are copied: a slice would keep the whole read
    /// buffer in memory during a long call.
    pub(crate) fn message(self) -> RxJsonRpcMessage<RoleServer> {
        let Params { name, arguments, meta } = self.params;
        let mut extensions = Extensions::new();
        if let Some(meta) = meta {
            // rmcp's own parser also puts `_meta` into the extensions; a request's context gets it from there.
            extensions.insert(meta);
        }
        if let Some(arguments) = arguments {
            extensions.insert(RawArguments(Bytes::copy_from_slice(arguments.get().as_bytes())));
        }
        let mut request = Request::new(CallToolRequestParams::new(name));
        request.extensions = extensions;
        JsonRpcMessage::request(ClientRequest::CallToolRequest(request), self.id)
    }

    /// The same call for the host. `arguments` is their text, which shares the memory of the message.
    pub(crate) fn call(self, who: Caller, headers: &HeaderMap, arguments: Option<Bytes>) -> StatelessCall {
        let Params { name, arguments: _, meta } = self.params;
        let meta = meta.unwrap_or_default();
        let mut call = Call::new(
            &name,
            arguments.map_or_else(|| Arguments::Parsed(Default::default()), Arguments::Text),
        );
        call.caller = who;
        context::fill(&mut call, &meta, Some(headers));
        StatelessCall { id: self.id, call, meta }
    }
}

/// A call of the stateless revision, ready to be made.
pub(crate) struct StatelessCall {
    id: RequestId,
    call: Call,
    meta: RequestMetaObject,
}

/// The result of a call of the stateless revision.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Stateless {
    Ended(Complete),
    Asks(Box<InputRequiredResult>),
}

/// Makes a call. Dropping the future cancels it.
pub(crate) async fn answer(host: &Host, call: StatelessCall) -> Response<Stateless> {
    let StatelessCall { id, call, meta } = call;
    let who = call.caller.clone();
    // Pinned here and not passed on: a future that is moved into another one is copied and stored twice.
    let replied = pin!(host.call(call));
    // A panic in a call must end neither the connection nor other calls of it. The assertion holds because the future is not
    // polled again after a panic.
    let replied: Result<Reply, ErrorData> = match AssertUnwindSafe(replied).catch_unwind().await {
        Ok(reply) => reply_of(reply),
        Err(_) => Err(ErrorData::internal_error("the call was lost", None)),
    };
    let turn = match replied {
        Ok(reply) if reply.hold.is_none() => Turn::Ended(Box::new(reply)),
        // Boxed: it is rare, and its state would enlarge the future of every call.
        Ok(reply) => {
            let capabilities = meta.client_capabilities();
            Box::pin(held::turn(host, &who, capabilities.as_ref(), Box::new(reply))).await
        }
        Err(error) => return Response::to(id, Err(error)),
    };
    let result = match turn {
        Turn::Ended(reply) => Stateless::Ended(Complete(reply)),
        Turn::Asks(asks) => Stateless::Asks(asks),
    };
    Response::to(id, Ok(result))
}
