//! Frames as bytes, and the parts of a reply that the client reads.

use serde_json::Value;

/// A call, serialized except for its id.
#[derive(Clone, Debug)]
pub struct Frame {
    tail: Vec<u8>,
}

impl Frame {
    /// A call of a tool.
    pub fn call(tool: &str, arguments: &Value) -> Frame {
        let params = serde_json::json!({"name": tool, "arguments": arguments});
        Frame { tail: format!(",\"method\":\"tools/call\",\"params\":{params}}}\n").into_bytes() }
    }

    /// Writes the frame with this id.
    pub fn write(&self, id: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        out.extend_from_slice(id.to_string().as_bytes());
        out.extend_from_slice(&self.tail);
    }
}

/// Most bytes of a reply that are searched for an error.
const ENDS: usize = 4 << 10;

/// A line that a server sent.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a>(pub &'a [u8]);

impl Line<'_> {
    /// The id at the beginning or at the end of the line. Servers write it in one of these places.
    pub fn id(&self) -> Option<u64> {
        const HEADS: [&[u8]; 2] = [b"{\"jsonrpc\":\"2.0\",\"id\":", b"{\"jsonrpc\": \"2.0\", \"id\": "];
        if let Some(rest) = HEADS.into_iter().find_map(|head| self.0.strip_prefix(head)) {
            return number(rest);
        }
        // From the end: the result can contain ids of its own.
        let at = self.0.windows(5).rposition(|bytes| bytes == b"\"id\":")?;
        number(&self.0[at + 5..])
    }

    /// Whether the reply is an error of the protocol or of the tool. Only the frame can match: in the text of a result
    /// the quotes are escaped. Of a long line both ends are searched.
    pub fn is_error(&self) -> bool {
        // Searching a whole result of megabytes would take longer than some of the calls.
        let (head, tail) = match self.0.len() {
            0..=ENDS => (self.0, &self.0[..0]),
            length => (&self.0[..ENDS / 2], &self.0[length - ENDS / 2..]),
        };
        let quoted = |name: &[u8]| [head, tail].iter().any(|end| end.windows(name.len()).any(|w| w == name));
        quoted(b"\"isError\":true") || quoted(b"\"isError\": true") || quoted(b"\"error\":{\"code\"")
    }

    /// The beginning of the line, for messages.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(self.0).chars().take(400).collect()
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&bytes[..digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_id_at_either_end() {
        assert_eq!(Line(br#"{"jsonrpc":"2.0","id":17,"result":{"id":3}}"#).id(), Some(17));
        assert_eq!(Line(br#"{"result":{"id":3},"jsonrpc":"2.0","id":17}"#).id(), Some(17));
        assert_eq!(Line(br#"{"jsonrpc": "2.0", "id": 17, "result": {"id": 3}}"#).id(), Some(17));
        assert_eq!(Line(br#"{"jsonrpc":"2.0","method":"notifications/message"}"#).id(), None);
    }

    #[test]
    fn tells_errors_from_answers() {
        assert!(Line(br#"{"id":1,"error":{"code":-32000,"message":"no"}}"#).is_error());
        assert!(Line(br#"{"id":1,"result":{"content":[],"isError":true}}"#).is_error());
        assert!(!Line(br#"{"id":1,"result":{"content":[{"text":"\"isError\":true"}]}}"#).is_error());
    }

    #[test]
    fn a_frame_is_a_line_of_json() {
        let mut bytes = Vec::new();
        Frame::call("add", &serde_json::json!({"a": 1})).write(9, &mut bytes);
        let frame: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((frame["id"].as_u64(), frame["params"]["name"].as_str()), (Some(9), Some("add")));
        assert_eq!(bytes.iter().position(|byte| *byte == b'\n'), Some(bytes.len() - 1));
    }
}
