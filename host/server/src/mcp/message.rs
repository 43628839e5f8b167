//! Explains messages that rmcp cannot read.
//!
//! rmcp's parser only says that a message is not one. A client waits for an answer to each of its requests, so this
//! module reads of such a message what can be read: its id, and the first thing that is wrong with it. Owns the errors
//! for it, over each transport. Must not know how messages arrive.

use std::collections::BTreeMap;

use rmcp::ErrorData;
use rmcp::model::{JsonRpcVersion2_0, RequestId};
use serde::Serialize;
use serde_json::Value;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::params;
use super::written_id::WrittenId;

/// Some programs write it in front of UTF-8 text, and JSON parsers may ignore it (RFC 8259, 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An error response to a message that is not served.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Refusal {
    jsonrpc: JsonRpcVersion2_0,
    pub(crate) id: WrittenId,
    pub(crate) error: ErrorData,
}

/// The top level of a message. Of a key that occurs twice the last one counts, as for most parsers.
type Head<'m> = BTreeMap<String, &'m RawValue>;

impl Refusal {
    pub(crate) fn new(id: WrittenId, error: ErrorData) -> Refusal {
        Refusal { jsonrpc: JsonRpcVersion2_0, id, error }
    }
}

/// The message without a byte order mark in front of it.
pub(crate) fn without_mark(message: &[u8]) -> &[u8] {
    message.strip_prefix(BYTE_ORDER_MARK).unwrap_or(message)
}

/// The answer to a message that rmcp cannot read. `None` for a notification and for a response, which get none.
pub(crate) fn explain(message: &[u8]) -> Option<Refusal> {
    let message = without_mark(message);
    if let Err(err) = std::str::from_utf8(message) {
        let error = format!("the message is not UTF-8: byte {} is wrong", err.valid_up_to() + 1);
        return Some(Refusal::new(WrittenId::find(message), ErrorData::parse_error(error, None)));
    }
    match serde_json::from_slice::<Head<'_>>(message) {
        Ok(head) => of_object(&head),
        Err(err) if err.classify() == Category::Data => {
            Some(Refusal::new(WrittenId::default(), ErrorData::invalid_request(no_object(message), None)))
        }
        Err(err) => {
            let error = format!("the message is not JSON: {err}");
            Some(Refusal::new(WrittenId::find(message), ErrorData::parse_error(error, None)))
        }
    }
}

fn no_object(message: &[u8]) -> &'static str {
    if message.trim_ascii_start().starts_with(b"[") {
        "batches are not served: send each message by itself"
    } else {
        "a message is a JSON object"
    }
}

fn of_object(head: &Head<'_>) -> Option<Refusal> {
    let has = |key: &str| head.contains_key(key);
    // A damaged response is not answered: the error would count for a request of the client's with the same id.
    if !has("method") && (has("result") || has("error")) {
        return None;
    }
    let method: Option<String> =
        head.get("method").and_then(|method| serde_json::from_str(method.get()).ok());
    if method.is_some() && !has("id") {
        return None;
    }
    let id = head.get("id").map(|id| WrittenId::of(id.get().as_bytes())).unwrap_or_default();
    Some(Refusal::new(id, error(head, method.as_deref())))
}

/// The first thing that is wrong with a request.
fn error(head: &Head<'_>, method: Option<&str>) -> ErrorData {
    let invalid = |text: &'static str| ErrorData::invalid_request(text, None);
    let Some(method) = method else { return invalid("a request has a `method`: a string") };
    if head.get("jsonrpc").is_none_or(|version| version.get() != "\"2.0\"") {
        return invalid("a message has `\"jsonrpc\": \"2.0\"`");
    }
    let id = head.get("id").map(|id| serde_json::from_str::<RequestId>(id.get()));
    if !matches!(id, Some(Ok(_))) {
        return invalid("the `id` of a request is a string or an integer of 64 bits");
    }
    if head.contains_key("result") || head.contains_key("error") {
        return invalid("a request has no `result` and no `error`");
    }
    let params = head.get("params").map_or("null", |params| params.get());
    match serde_json::from_str::<Value>(params) {
        Ok(params) => params::fault(method, Some(&params)),
        // The text of a syntax error has a place and no content.
        Err(err) => ErrorData::invalid_params(format!("`params` cannot be read: {err}"), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &[u8], expect: Option<(&str, i32, &str)>) {
        let shown = String::from_utf8_lossy(message);
        let explained = explain(message);
        let found = explained.as_ref().map(|it| (it.id.as_json(), it.error.code.0, &*it.error.message));
        assert_eq!(found.map(|(id, code, _)| (id, code)), expect.map(|(id, code, _)| (id, code)), "{shown}");
        let (found, expect) = (found.map(|it| it.2), expect.map(|it| it.2));
        assert!(found.unwrap_or_default().contains(expect.unwrap_or_default()), "{shown}: {found:?}");
    }

    fn request(more: &str) -> Vec<u8> {
        format!(r#"{{"jsonrpc":"2.0",{more}}}"#).into_bytes()
    }

    #[test]
    fn what_is_no_json_is_a_parse_error_under_the_id_that_can_be_read() {
        check(b"Welcome to bash", Some(("null", -32_700, "not JSON")));
        check(b"{\"id\":7,\"method\":\"tools/list\",\"params\":{", Some(("7", -32_700, "not JSON")));
        check(
            b"{\"params\":{\"q\":\"caf\xe9\"},\"id\":\"a\"}",
            Some(("\"a\"", -32_700, "not UTF-8: byte 20")),
        );
    }

    #[test]
    fn an_id_that_is_none_is_refused_under_itself_where_it_is_a_number() {
        for (id, shown) in
            [("null", "null"), ("true", "null"), ("[1]", "null"), ("{}", "null"), ("1.5", "1.5")]
        {
            let message = request(&format!(r#""id":{id},"method":"ping""#));
            check(&message, Some((shown, -32_600, "`id`")));
        }
        let large = request(r#""id":99999999999999999999,"method":"ping""#);
        check(&large, Some(("99999999999999999999", -32_600, "64 bits")));
    }

    #[test]
    fn parameters_that_are_json_and_cannot_be_read_are_invalid_parameters() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for value in ["\"\\ud83d\"", "1e999", &deep] {
            let message =
                request(&format!(r#""id":1,"method":"tools/list","params":{{"_meta":{{"x":{value}}}}}"#));
            check(&message, Some(("1", -32_602, "`params` cannot be read")));
        }
    }

    #[test]
    fn each_other_fault_of_a_request_is_named() {
        check(&request(r#""id":1"#), Some(("1", -32_600, "`method`")));
        check(&request(r#""id":1,"method":5"#), Some(("1", -32_600, "`method`")));
        check(&request(r#""method":5"#), Some(("null", -32_600, "`method`")));
        check(br#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, Some(("1", -32_600, "jsonrpc")));
        check(&request(r#""id":1,"method":"ping","result":{}"#), Some(("1", -32_600, "no `result`")));
        check(&request(r#""id":1,"method":"ping","params":5"#), Some(("1", -32_602, "must be an object")));
        check(&request(r#""id":1,"method":"nobody/knows","params":5"#), Some(("1", -32_601, "no method")));
        check(b"[]", Some(("null", -32_600, "batches")));
        check(b"5", Some(("null", -32_600, "JSON object")));
        check(b"\xef\xbb\xbf5", Some(("null", -32_600, "JSON object")));
    }

    #[test]
    fn notifications_and_responses_get_no_answer() {
        check(br#"{"jsonrpc":"1.0","method":"nobody/knows"}"#, None);
        check(&request(r#""method":"notifications/cancelled","params":5"#), None);
        check(&request(r#""id":3,"error":5"#), None);
        check(&request(r#""result":5"#), None);
    }
}
