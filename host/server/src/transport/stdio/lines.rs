//! Reads lines of bounded length.
//!
//! A longer line is discarded as it arrives. Only its id is kept, so that the sender gets an error response.

use std::io::{ErrorKind, Read};

use bytes::BytesMut;
use rmcp::model::RequestId;

/// Number of bytes at the start of a long message in which its id is searched.
const ID_WITHIN_BYTES: usize = 4 << 10;

/// Number of bytes that one read requests: what a Linux pipe holds by default.
const CHUNK_BYTES: usize = 64 << 10;

/// One line of input, or what remains of a line that is too long.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// A line with its line end.
    Whole(BytesMut),
    /// The id of a request, if it is near the start of the line.
    TooLong(Option<RequestId>),
}

/// A reader that splits its input into lines.
pub(super) struct Lines<R> {
    inner: R,
    bytes_max: usize,
    chunk: Box<[u8]>,
    buffer: BytesMut,
    /// Number of bytes at the start of the buffer that are known to contain no line end.
    scanned: usize,
    discarding: bool,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(inner: R, bytes_max: usize) -> Lines<R> {
        let chunk = vec![0; CHUNK_BYTES].into();
        Lines { inner, bytes_max, chunk, buffer: BytesMut::new(), scanned: 0, discarding: false }
    }

    /// Reads the next line. `None` at the end of input; an unterminated last line is dropped, because it is not a
    /// complete message.
    pub(super) fn next(&mut self) -> std::io::Result<Option<Line>> {
        loop {
            if let Some(line) = self.take() {
                return Ok(Some(line));
            }
            match self.inner.read(&mut self.chunk) {
                Ok(0) => return Ok(None),
                Ok(count) => self.buffer.extend_from_slice(&self.chunk[..count]),
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
    }

    /// Whether the next line is already buffered.
    pub(super) fn has_next(&self) -> bool {
        self.buffer[self.scanned..].contains(&b'\n')
    }

    /// Takes a line from the buffer.
    fn take(&mut self) -> Option<Line> {
        while let Some(at) = self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n') {
            // Splitting off does not copy: the line and the rest of the buffer share one allocation.
            let line = self.buffer.split_to(self.scanned + at + 1);
            self.scanned = 0;
            // The end of a line that was already reported as too long.
            if std::mem::take(&mut self.discarding) {
                continue;
            }
            return Some(if line.len() > self.bytes_max {
                Line::TooLong(id(&line))
            } else {
                Line::Whole(line)
            });
        }
        // A long line is reported as soon as it passes the limit, not at its end, which may never arrive.
        let is_new = !self.discarding && self.buffer.len() > self.bytes_max;
        let long = is_new.then(|| Line::TooLong(id(&self.buffer)));
        self.discarding |= is_new;
        if self.discarding {
            self.buffer.clear();
        }
        // The next call searches only new bytes. Otherwise a long line would be searched again after each read.
        self.scanned = self.buffer.len();
        long
    }
}

/// The id of a JSON-RPC message, if it is near the start.
pub(super) fn id(line: &[u8]) -> Option<RequestId> {
    // A search for the text and not a parse: the message is cut off here, so it is not valid JSON.
    let text = String::from_utf8_lossy(&line[..line.len().min(ID_WITHIN_BYTES)]);
    let rest = text.split_once("\"id\"")?.1.trim_start().strip_prefix(':')?.trim_start();
    let end = rest.find([',', '}'])?;
    serde_json::from_str(rest[..end].trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8], bytes_max: usize) -> Vec<Line> {
        let mut lines = Lines::new(input, bytes_max);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push(line);
        }
        found
    }

    fn whole(line: &[u8]) -> Line {
        Line::Whole(line.into())
    }

    #[test]
    fn half_a_line_is_nothing_to_go_on_with() {
        let mut lines = Lines::new(&b"{}\n[]\n{\"id"[..], 20);
        assert!(!lines.has_next());
        lines.next().unwrap();
        assert!(lines.has_next());
        lines.next().unwrap();
        assert!(!lines.has_next());
    }

    #[test]
    fn short_lines_pass_unchanged_and_half_a_line_is_none() {
        assert_eq!(read(b"{}\n{\"id\":1}\n{\"id", 20), [whole(b"{}\n"), whole(b"{\"id\":1}\n")]);
    }

    #[test]
    fn of_a_line_that_is_too_long_its_id_is_left() {
        let long = format!("{{\"id\": 7, \"x\":\"{}\"}}\n{{}}\n", "x".repeat(500_000));
        let id = Some(RequestId::Number(7));
        assert_eq!(read(long.as_bytes(), 100), [Line::TooLong(id), whole(b"{}\n")]);
        assert_eq!(read(b"[1, 2, 3]\n{}\n", 5), [Line::TooLong(None), whole(b"{}\n")]);
    }
}
