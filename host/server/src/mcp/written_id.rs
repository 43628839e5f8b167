//! The id of a message as it is written in it.
//!
//! JSON-RPC sends an error under the id of the request, and under null if none can be read. A message that cannot be
//! parsed, or that is too long to keep, can still show its id. Owns the search for it. Must not know what messages mean.

use rmcp::model::RequestId;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// Longest id in bytes that is looked for in a damaged message. Ids of clients have less than a hundred.
const ID_BYTES_MAX: usize = 4 << 10;

/// The id of an error response: a string or a number as the client wrote it, or null. Kept as text, because rmcp's
/// type has no fractions and no numbers beyond 64 bits.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct WrittenId(Option<Box<RawValue>>);

impl WrittenId {
    /// An id from its JSON form. Null for anything but a string or a number.
    pub(crate) fn of(json: &[u8]) -> WrittenId {
        let raw: Option<Box<RawValue>> = serde_json::from_slice(json).ok();
        let is_id = |first: &u8| matches!(first, b'"' | b'-' | b'0'..=b'9');
        WrittenId(raw.filter(|raw| raw.get().as_bytes().first().is_some_and(is_id)))
    }

    /// The id of a message that is cut off or damaged.
    pub(crate) fn find(message: &[u8]) -> WrittenId {
        let mut search = IdSearch::default();
        search.read(message);
        search.found()
    }

    /// The JSON form.
    pub(crate) fn as_json(&self) -> &str {
        self.0.as_deref().map_or("null", RawValue::get)
    }
}

impl From<&RequestId> for WrittenId {
    fn from(id: &RequestId) -> WrittenId {
        WrittenId(to_raw_value(id).ok())
    }
}

impl PartialEq for WrittenId {
    fn eq(&self, other: &WrittenId) -> bool {
        self.as_json() == other.as_json()
    }
}

/// Searches a message that arrives in pieces for its id. Only a key of the outermost object counts: the arguments of a
/// call can have an `id` too, and an error under that one could end another request.
#[derive(Debug, Default)]
pub(crate) struct IdSearch {
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
    /// The text in the outermost object since the last `:` or `,`.
    text: Vec<u8>,
    is_id: bool,
    found: Option<Vec<u8>>,
}

impl IdSearch {
    /// Continues with the next bytes of the message.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            // The rest of a long message has nothing more to tell.
            if self.found.is_some() {
                return;
            }
            if self.is_in_string { self.in_string(*byte) } else { self.between_strings(*byte) }
        }
    }

    /// Whether the id is known.
    pub(crate) fn is_found(&self) -> bool {
        self.found.is_some()
    }

    /// The id, or null as long as it is not known.
    pub(crate) fn found(&self) -> WrittenId {
        self.found.as_deref().map(WrittenId::of).unwrap_or_default()
    }

    fn in_string(&mut self, byte: u8) {
        self.keep(byte);
        self.is_in_string = self.is_escaped || byte != b'"';
        self.is_escaped = !self.is_escaped && byte == b'\\';
    }

    fn between_strings(&mut self, byte: u8) {
        match byte {
            b':' if self.depth == 1 => {
                self.is_id = self.text.trim_ascii() == b"\"id\"";
                self.text.clear();
            }
            b',' | b'}' if self.depth == 1 => {
                let text = std::mem::take(&mut self.text);
                let is_short = text.len() <= ID_BYTES_MAX;
                self.found = (std::mem::take(&mut self.is_id) && is_short).then_some(text);
            }
            _ => self.keep(byte),
        }
        match byte {
            b'"' => self.is_in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }

    fn keep(&mut self, byte: u8) {
        // One byte more than an id may have marks a text that is too long.
        if self.depth == 1 && self.text.len() <= ID_BYTES_MAX {
            self.text.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, expect: &str) {
        assert_eq!(WrittenId::find(message.as_bytes()).as_json(), expect, "{message}");
        let mut search = IdSearch::default();
        message.as_bytes().chunks(1).for_each(|byte| search.read(byte));
        assert_eq!(search.found().as_json(), expect, "{message} byte by byte");
    }

    #[test]
    fn an_id_is_found_in_what_is_cut_off_or_damaged() {
        check(r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"#, "7");
        check(r#"{ "id" : "a\"b,}" , what?"#, r#""a\"b,}""#);
        check(r#"{"params":{"x":["}",{"y":"\\"}]},"id":-1.5e3}"#, "-1.5e3");
        check(r#"{"id":18446744073709551616,"#, "18446744073709551616");
        check("\u{feff}{\"id\":1}", "1");
    }

    #[test]
    fn the_id_of_something_else_is_no_id() {
        check(r#"{"method":"tools/call","params":{"arguments":{"id":5},"id":6},"#, "null");
        check(r#"{"method":"id","params":["id",":",8,"#, "null");
        check(r#"[{"id":5},"#, "null");
        check(r#"{"x":"\"id\":5,","#, "null");
    }

    #[test]
    fn an_id_is_a_whole_string_or_number() {
        for text in [
            "{\"id\":12",
            "{\"id\":\"a",
            "{\"id\":null,",
            "{\"id\":true,",
            "{\"id\":[1],",
            "{\"id\":{},",
            "{\"id\":1 2,",
        ] {
            check(text, "null");
        }
        check(&format!("{{\"id\":\"{}\",", "x".repeat(ID_BYTES_MAX)), "null");
    }
}
