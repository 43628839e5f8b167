//! Parses a line into a message.
//!
//! Calls take a fast path that does not parse their arguments. The arguments go to the inner door as text, because a
//! parse into a tree would lose errors such as duplicate keys. All other messages are parsed by rmcp's types, which
//! build a tree; they are short.

use bytes::Bytes;
use rmcp::model::{
    CallToolRequestMethod, CallToolRequestParams, ClientRequest, Extensions, JsonRpcMessage,
    JsonRpcVersion2_0, Request, RequestId, RequestMetaObject,
};
use rmcp::service::{RoleServer, RxJsonRpcMessage};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::lines;
use crate::mcp::arguments::{self, RawArguments};

/// Size in bytes of the largest message without the arguments of a call. Its tree can take thirty times the text.
/// Messages of clients have less than a tenth of this size.
pub(super) const FRAME_BYTES_MAX: usize = 256 << 10;

/// The reason that a line is not a message.
#[derive(Debug, PartialEq)]
pub(super) enum NotAMessage {
    /// Not JSON, or an unknown notification. Neither can be answered.
    Nothing,
    /// JSON that is not a valid message, with its id if it has one.
    Invalid(Option<RequestId>),
    /// More than [`FRAME_BYTES_MAX`] besides the arguments of a call, with its id if that is near the start.
    TooLong(Option<RequestId>),
}

/// Parses a line.
pub(super) fn read(line: &[u8]) -> Result<RxJsonRpcMessage<RoleServer>, NotAMessage> {
    // The length is checked first, because the fast path accepts any `_meta`, which becomes a tree.
    if line.len() <= FRAME_BYTES_MAX
        && let Ok(call) = serde_json::from_slice::<Call<'_>>(line)
    {
        return Ok(call.message());
    }
    // Other calls go to rmcp with empty arguments in place of their own, so that the parsed rest is short.
    let arguments = arguments::find(line);
    let without = arguments.and_then(|arguments| arguments::cut(line, arguments));
    // Measured without the arguments: only the frame becomes a tree. The arguments have a bound of their own.
    let frame = without.as_deref().unwrap_or(line);
    if frame.len() > FRAME_BYTES_MAX {
        return Err(NotAMessage::TooLong(lines::id(line)));
    }
    let mut message: RxJsonRpcMessage<RoleServer> =
        serde_json::from_slice(frame).map_err(|_| unread(frame))?;
    if let Some(arguments) = arguments {
        message.insert_extension(raw(arguments));
    }
    Ok(message)
}

/// Copies the arguments. A slice would keep the whole read buffer in memory during a long call.
fn raw(arguments: &str) -> RawArguments {
    RawArguments(Bytes::copy_from_slice(arguments.as_bytes()))
}

fn unread(line: &[u8]) -> NotAMessage {
    let Ok(message) = serde_json::from_slice::<Value>(line) else { return NotAMessage::Nothing };
    let id = message.get("id").and_then(|id| serde_json::from_value(id.clone()).ok());
    // A method without an id is a notification, which never gets a response.
    if id.is_none() && message.get("method").is_some() {
        NotAMessage::Nothing
    } else {
        NotAMessage::Invalid(id)
    }
}

/// A call with known fields only. Unknown fields could mean something to rmcp, so a call with other fields fails to
/// parse here and is parsed by rmcp instead.
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
            // rmcp's own parser also puts `_meta` into the extensions; `calls` moves it to the context from there.
            extensions.insert(meta);
        }
        if let Some(arguments) = arguments {
            extensions.insert(raw(arguments.get()));
        }
        let mut request = Request::new(CallToolRequestParams::new(name));
        request.extensions = extensions;
        JsonRpcMessage::request(ClientRequest::CallToolRequest(request), self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parsed message in rmcp's debug form.
    fn shown(line: &str) -> String {
        format!("{:?}", read(line.as_bytes()).map_err(|unread| format!("{unread:?}")))
    }

    #[test]
    fn a_call_keeps_its_arguments_as_they_came() {
        let line = r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"t","arguments":{"x":1,"x":2}}}"#;
        let Ok(JsonRpcMessage::Request(request)) = read(line.as_bytes()) else { panic!("{}", shown(line)) };
        let ClientRequest::CallToolRequest(call) = request.request else { panic!("{}", shown(line)) };
        assert_eq!((&*call.params.name, call.params.arguments), ("t", None));
        assert_eq!(&*call.extensions.get::<RawArguments>().unwrap().0, br#"{"x":1,"x":2}"#);
    }

    #[test]
    fn what_else_a_call_may_carry_is_read_by_rmcp() {
        let line = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"x":1},"requestState":"s"}}"#;
        assert!(shown(line).contains("request_state: Some(\"s\")"), "{}", shown(line));
        let Ok(JsonRpcMessage::Request(request)) = read(line.as_bytes()) else { panic!("{}", shown(line)) };
        let ClientRequest::CallToolRequest(call) = request.request else { panic!("{}", shown(line)) };
        assert_eq!(&*call.extensions.get::<RawArguments>().unwrap().0, br#"{"x":1}"#);
        assert!(shown(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).contains("ListTools"));
    }

    #[test]
    fn what_names_its_arguments_twice_is_no_call() {
        let line = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"x":1},"arguments":{"x":2}}}"#;
        assert!(!shown(line).contains("CallToolRequest("), "{}", shown(line));
    }

    #[test]
    fn of_long_messages_only_the_arguments_of_a_call_are_long() {
        let long = "x".repeat(FRAME_BYTES_MAX);
        let call = |more: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"t","arguments":{{"x":"{long}"}}{more}}}}}"#
            )
        };
        for more in ["", r#","requestState":"s""#] {
            let Ok(JsonRpcMessage::Request(request)) = read(call(more).as_bytes()) else { panic!("{more}") };
            let ClientRequest::CallToolRequest(call) = request.request else { panic!("{more}") };
            assert!(call.extensions.get::<RawArguments>().unwrap().0.len() > FRAME_BYTES_MAX);
        }
        let too_long = |line: &str| {
            assert_eq!(read(line.as_bytes()).err(), Some(NotAMessage::TooLong(Some(RequestId::Number(7)))))
        };
        too_long(&call(&format!(r#","requestState":"{long}""#)));
        too_long(&call(&format!(r#","_meta":{{"x":["{long}"]}}"#)));
        too_long(&format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{{"cursor":"{long}"}}}}"#
        ));
        let list = format!("[{}1]", "1,".repeat(FRAME_BYTES_MAX));
        assert_eq!(read(list.as_bytes()).err(), Some(NotAMessage::TooLong(None)));
    }

    #[test]
    fn what_is_no_message_is_answered_where_somebody_waits() {
        let unread = |line: &str| read(line.as_bytes()).err();
        assert_eq!(unread("what?"), Some(NotAMessage::Nothing));
        assert_eq!(unread(r#"{"jsonrpc":"1.0","method":"nobody/knows"}"#), Some(NotAMessage::Nothing));
        let id = Some(RequestId::Number(3));
        assert_eq!(unread(r#"{"jsonrpc":"2.0","id":3}"#), Some(NotAMessage::Invalid(id)));
        assert_eq!(unread("[]"), Some(NotAMessage::Invalid(None)));
    }
}
