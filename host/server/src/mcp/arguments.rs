//! The unparsed arguments of `tools/call`.
//!
//! rmcp parses a message into a tree. That merges duplicate keys, and it rejects a message whose arguments are not a
//! valid tree. The inner door must report both, so transports locate the text of the arguments before rmcp reads the
//! message, and send it beside the message. Owns where arguments are in a message, and how they reach the handler.
//! Must not know which arguments are valid.

use std::fmt;

use bytes::Bytes;
use http::request::Parts;
use rmcp::model::{CallToolRequestMethod, Extensions, JsonObject};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use airlock_types::call::Arguments;

/// The text of the arguments. Stored in the extensions of a message over stdio, and of the HTTP request over HTTP.
#[derive(Clone, Debug)]
pub(crate) struct RawArguments(pub(crate) Bytes);

/// The arguments of a call: the raw text if a transport stored it, else the parsed ones.
pub(super) fn of(parsed: Option<JsonObject>, extensions: &Extensions) -> Arguments {
    // A transport's raw text has precedence: it may have replaced the parsed arguments by an empty object.
    let of_request = || extensions.get::<Parts>()?.extensions.get::<RawArguments>();
    match extensions.get::<RawArguments>().or_else(of_request) {
        Some(RawArguments(text)) => Arguments::Text(text.clone()),
        None => Arguments::Parsed(parsed.unwrap_or_default()),
    }
}

/// The text of a call's arguments. `None` if the message is not a call or has no arguments.
pub(crate) fn find(message: &[u8]) -> Option<&str> {
    #[derive(Deserialize)]
    struct Message<'m> {
        #[serde(rename = "method")]
        _method: CallToolRequestMethod,
        #[serde(borrow)]
        params: Params<'m>,
    }
    #[derive(Deserialize)]
    struct Params<'m> {
        #[serde(borrow)]
        arguments: Option<&'m RawValue>,
    }
    serde_json::from_slice::<Message<'_>>(message).ok()?.params.arguments.map(RawValue::get)
}

/// Replaces the arguments in a message by an empty object. `arguments` must be a slice of `message`.
pub(crate) fn cut(message: &[u8], arguments: &str) -> Option<Vec<u8>> {
    // By position and not by search: the same text can occur elsewhere in the message.
    let start = arguments.as_ptr().addr().checked_sub(message.as_ptr().addr())?;
    let (before, after) = (message.get(..start)?, message.get(start + arguments.len()..)?);
    Some([before, b"{}", after].concat())
}

/// Whether rmcp can read a message with these arguments. rmcp requires an object, and its tree has bounds on depth,
/// numbers and escapes.
pub(crate) fn are_readable(message: &[u8], arguments: &str) -> bool {
    arguments.starts_with('{') && serde_json::from_slice::<Treelike>(message).is_ok()
}

/// Parses a value as a tree would be parsed, and discards it.
struct Treelike;

impl<'de> Deserialize<'de> for Treelike {
    // Not `IgnoredAny`: serde_json skips ignored values without checking their depth, the range of numbers or escapes.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Treelike, D::Error> {
        deserializer.deserialize_any(Treelike)
    }
}

impl<'de> Visitor<'de> for Treelike {
    type Value = Treelike;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Treelike, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Treelike, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Treelike, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Treelike, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Treelike, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Treelike, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Treelike, A::Error> {
        while items.next_element::<Treelike>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Treelike, A::Error> {
        while entries.next_entry::<Treelike, Treelike>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arguments: &str) -> String {
        format!(r#"{{"method":"tools/call","params":{{"arguments":{arguments},"name":"t"}}}}"#)
    }

    #[test]
    fn arguments_are_found_as_they_came_and_cut_out() {
        let message = call(r#"{"x":1,"x":[ 2 ]}"#);
        let found = find(message.as_bytes()).unwrap();
        assert_eq!(found, r#"{"x":1,"x":[ 2 ]}"#);
        assert_eq!(cut(message.as_bytes(), found).unwrap(), call("{}").into_bytes());
        assert_eq!(cut(message.as_bytes(), "another text"), None);
        assert_eq!(find(call("null").as_bytes()), None);
        assert_eq!(find(message.replace("tools/call", "tools/list").as_bytes()), None);
    }

    #[test]
    fn a_call_is_found_however_its_method_is_escaped() {
        let message = call("{}").replace("tools/call", r"tools\u002fcall");
        assert_eq!(find(message.as_bytes()), Some("{}"));
    }

    #[test]
    fn what_rmcp_cannot_read_is_told() {
        let are_readable = |arguments: &str| super::are_readable(call(arguments).as_bytes(), arguments);
        assert!(are_readable(r#"{"x":[1,-2,1.5,"é",null,true],"x":{}}"#));
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(126), "]".repeat(126));
        for arguments in ["[1]", "1", r#"{"x":1e999}"#, r#"{"x":"\ud800"}"#, &deep] {
            assert!(!are_readable(arguments), "{arguments}");
            let message = call(arguments);
            assert!(serde_json::from_str::<rmcp::model::CallToolRequest>(&message).is_err(), "{arguments}");
        }
    }
}
