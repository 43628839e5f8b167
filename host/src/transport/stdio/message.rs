//! A line as a message.
//!
//! Calls are read by the shortest way, and their arguments not at all: they go to the inner door as they came, which
//! finds there what a parse into a tree would lose. Everything else is read by rmcp's own types.

use rmcp::model::{
    CallToolRequestMethod, CallToolRequestParams, ClientRequest, Extensions, JsonRpcMessage,
    JsonRpcVersion2_0, Request, RequestId, RequestMetaObject,
};
use rmcp::service::{RoleServer, RxJsonRpcMessage};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::mcp::context::RawArguments;

/// Why a line is no message.
#[derive(Debug, PartialEq)]
pub(super) enum Unread {
    /// No JSON, or a notification that nobody knows: there is nothing to be answered.
    Nothing,
    /// JSON that is no message, with its id where it has one.
    Invalid(Option<RequestId>),
}

/// Reads a line.
pub(super) fn read(line: &[u8]) -> Result<RxJsonRpcMessage<RoleServer>, Unread> {
    if let Ok(call) = serde_json::from_slice::<Call<'_>>(line) {
        return Ok(call.message());
    }
    serde_json::from_slice(line).map_err(|_| unread(line))
}

fn unread(line: &[u8]) -> Unread {
    let Ok(message) = serde_json::from_slice::<Value>(line) else { return Unread::Nothing };
    let id = message.get("id").and_then(|id| serde_json::from_value(id.clone()).ok());
    if id.is_none() && message.get("method").is_some() { Unread::Nothing } else { Unread::Invalid(id) }
}

/// A call and nothing besides: what it does not know is left to rmcp.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call<'l> {
    #[serde(rename = "jsonrpc")]
    _jsonrpc: JsonRpcVersion2_0,
    id: RequestId,
    #[serde(rename = "method")]
    _method: CallToolRequestMethod,
    #[serde(borrow)]
    params: Params<'l>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params<'l> {
    name: String,
    #[serde(borrow, default)]
    arguments: Option<&'l RawValue>,
    #[serde(rename = "_meta", default)]
    meta: Option<RequestMetaObject>,
}

impl Call<'_> {
    fn message(self) -> RxJsonRpcMessage<RoleServer> {
        let Params { name, arguments, meta } = self.params;
        let mut extensions = Extensions::new();
        if let Some(meta) = meta {
            extensions.insert(meta);
        }
        if let Some(arguments) = arguments {
            extensions.insert(RawArguments(arguments.get().into()));
        }
        let mut request = Request::new(CallToolRequestParams::new(name));
        request.extensions = extensions;
        JsonRpcMessage::request(ClientRequest::CallToolRequest(request), self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of a line, as rmcp shows it.
    fn shown(line: &str) -> String {
        format!("{:?}", read(line.as_bytes()).map_err(|unread| format!("{unread:?}")))
    }

    #[test]
    fn a_call_keeps_its_arguments_as_they_came() {
        let line = r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"t","arguments":{"x":1,"x":2}}}"#;
        let Ok(JsonRpcMessage::Request(request)) = read(line.as_bytes()) else { panic!("{}", shown(line)) };
        let ClientRequest::CallToolRequest(call) = request.request else { panic!("{}", shown(line)) };
        assert_eq!((&*call.params.name, call.params.arguments), ("t", None));
        assert_eq!(&*call.extensions.get::<RawArguments>().unwrap().0, r#"{"x":1,"x":2}"#);
    }

    #[test]
    fn what_else_a_call_may_carry_is_read_by_rmcp() {
        let line = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"x":1},"requestState":"s"}}"#;
        assert!(shown(line).contains("request_state: Some(\"s\")"), "{}", shown(line));
        assert!(shown(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).contains("ListTools"));
    }

    #[test]
    fn what_is_no_message_is_answered_where_somebody_waits() {
        let unread = |line: &str| read(line.as_bytes()).err();
        assert_eq!(unread("what?"), Some(Unread::Nothing));
        assert_eq!(unread(r#"{"jsonrpc":"1.0","method":"nobody/knows"}"#), Some(Unread::Nothing));
        let id = Some(RequestId::Number(3));
        assert_eq!(unread(r#"{"jsonrpc":"2.0","id":3}"#), Some(Unread::Invalid(id)));
        assert_eq!(unread("[]"), Some(Unread::Invalid(None)));
    }
}
