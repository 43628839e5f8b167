//! Parses a line into a message.
//!
//! Calls take a fast path that does not parse their arguments. The arguments go to the inner door as text, because a
//! parse into a tree would lose errors such as duplicate keys. All other messages are parsed by rmcp's types, which
//! build a tree; they are short.

use bytes::Bytes;
use rmcp::model::{ClientRequest, ErrorData, GetMeta as _, JsonRpcMessage};
use rmcp::service::{RoleServer, RxJsonRpcMessage};

use crate::mcp::arguments::{self, RawArguments};
use crate::mcp::message::{self, Refusal};
use crate::mcp::params;
use crate::mcp::plain::PlainCall;
use crate::mcp::written_id::WrittenId;

/// Size in bytes of the largest message without the arguments of a call. Its tree can take thirty times the text.
/// Messages of clients have less than a tenth of this size.
pub(super) const FRAME_BYTES_MAX: usize = 256 << 10;

/// The reason that a line is not served.
#[derive(Debug, PartialEq)]
pub(super) enum NotServed {
    /// A line of white space.
    Blank,
    /// A damaged notification or response. Neither is answered.
    Unanswered,
    /// Anything else gets an error.
    Refused(Refusal),
}

/// Parses a line.
pub(super) fn read(line: &[u8]) -> Result<RxJsonRpcMessage<RoleServer>, NotServed> {
    let line = message::without_mark(line);
    // The length is checked first, because the fast path accepts any `_meta`, which becomes a tree.
    if line.len() <= FRAME_BYTES_MAX
        && let Some(call) = PlainCall::read(line)
    {
        return Ok(call.message());
    }
    if line.trim_ascii().is_empty() {
        return Err(NotServed::Blank);
    }
    // Other calls go to rmcp with empty arguments in place of their own, so that the parsed rest is short.
    let arguments = arguments::find(line);
    let without = arguments.and_then(|arguments| arguments::cut(line, arguments));
    // Measured without the arguments: only the frame becomes a tree. The arguments have a bound of their own.
    let frame = without.as_deref().unwrap_or(line);
    if frame.len() > FRAME_BYTES_MAX {
        let what = "message, the arguments of a call not counted,";
        return Err(NotServed::Refused(too_long(what, FRAME_BYTES_MAX, WrittenId::find(line))));
    }
    let explain = || message::explain(frame).map_or(NotServed::Unanswered, NotServed::Refused);
    let mut message: RxJsonRpcMessage<RoleServer> = serde_json::from_slice(frame).map_err(|_| explain())?;
    if let JsonRpcMessage::Request(request) = &message
        && let ClientRequest::CustomRequest(custom) = &request.request
    {
        // Here and not in rmcp, which would report a wrong `initialize` as a request before the handshake.
        let error = params::refusal(custom, custom.get_meta());
        return Err(NotServed::Refused(Refusal::new(WrittenId::from(&request.id), error)));
    }
    match arguments {
        Some(arguments) => message.insert_extension(raw(arguments)),
        None => params::fault_of_list(line).into_iter().for_each(|fault| message.insert_extension(fault)),
    }
    Ok(message)
}

/// The error for a message that was not read.
pub(super) fn too_long(what: &str, bytes_max: usize, id: WrittenId) -> Refusal {
    let message = format!("the {what} is larger than {bytes_max} bytes and was not read; send less");
    Refusal::new(id, ErrorData::invalid_request(message, None))
}

/// Copies the arguments. A slice would keep the whole read buffer in memory during a long call.
fn raw(arguments: &str) -> RawArguments {
    RawArguments(Bytes::copy_from_slice(arguments.as_bytes()))
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
        let refused = |line: &str, id: &[u8]| {
            let Err(NotServed::Refused(refused)) = read(line.as_bytes()) else { panic!("{}", &line[..80]) };
            assert_eq!(refused.id, WrittenId::of(id));
            assert!(refused.error.message.contains("is larger than 262144 bytes"), "{}", refused.error);
        };
        let too_long = |line: &str| refused(line, b"7");
        too_long(&call(&format!(r#","requestState":"{long}""#)));
        too_long(&call(&format!(r#","_meta":{{"x":["{long}"]}}"#)));
        too_long(&format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{{"cursor":"{long}"}}}}"#
        ));
        let list = format!("[{}1]", "1,".repeat(FRAME_BYTES_MAX));
        refused(&list, b"null");
        refused(
            &format!(
                r#"{{"jsonrpc":"2.0","method":"tools/list","params":{{"cursor":"{long}","id":8}},"id":9}}"#
            ),
            b"9",
        );
    }

    #[test]
    fn what_is_not_served_is_answered_where_an_answer_is_due() {
        let not_served = |line: &str| read(line.as_bytes()).err();
        let refused = |line: &str| match not_served(line) {
            Some(NotServed::Refused(refused)) => (refused.id.as_json().to_owned(), refused.error.code.0),
            other => panic!("{line}: {other:?}"),
        };
        for line in ["\n", " \r\n", "\u{feff}\n"] {
            assert_eq!(not_served(line), Some(NotServed::Blank), "{line:?}");
        }
        assert_eq!(not_served(r#"{"jsonrpc":"1.0","method":"nobody/knows"}"#), Some(NotServed::Unanswered));
        assert_eq!(refused("what?"), ("null".into(), -32_700));
        assert_eq!(refused(r#"{"jsonrpc":"2.0","id":3}"#), ("3".into(), -32_600));
        assert_eq!(refused(r#"{"jsonrpc":"2.0","id":3,"method":"initialize"}"#), ("3".into(), -32_602));
        assert_eq!(refused(r#"{"jsonrpc":"2.0","id":3,"method":"nobody/knows"}"#), ("3".into(), -32_601));
        let call =
            r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":5,"arguments":{"x":1e999}}}"#;
        assert_eq!(refused(call), ("3".into(), -32_602));
    }

    #[test]
    fn a_byte_order_mark_in_front_is_passed_over() {
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}"#;
        for line in [call, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#] {
            assert_eq!(shown(&format!("\u{feff}{line}")), shown(line));
        }
    }
}
