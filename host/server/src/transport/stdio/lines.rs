//! Reads lines of bounded length.
//!
//! A longer line is discarded as it arrives. Only its id is kept, so that the sender gets an error response. The id can
//! be the last part of a line, so it is searched to the end.

use std::io::{ErrorKind, Read};

use crate::mcp::written_id::{IdSearch, WrittenId};
use bytes::BytesMut;

/// Number of bytes that one read requests: what a Linux pipe holds by default.
const CHUNK_BYTES: usize = 64 << 10;

/// One line of input, or what remains of a line that is too long.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// A line with its line end, or the last one without.
    Whole(BytesMut),
    /// The id of a message that is too long.
    TooLong(WrittenId),
}

/// A reader that splits its input into lines.
pub(super) struct Lines<R> {
    inner: R,
    bytes_max: usize,
    chunk: Box<[u8]>,
    buffer: BytesMut,
    /// Number of bytes at the start of the buffer that are known to contain no line end.
    scanned: usize,
    discarded: Option<Discarded>,
}

/// A line that is too long and has not ended.
#[derive(Default)]
struct Discarded {
    search: IdSearch,
    is_reported: bool,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(inner: R, bytes_max: usize) -> Lines<R> {
        let chunk = vec![0; CHUNK_BYTES].into();
        Lines { inner, bytes_max, chunk, buffer: BytesMut::new(), scanned: 0, discarded: None }
    }

    /// Reads the next line. `None` at the end of input. The last line needs no line end: a message that was cut off is
    /// no JSON, so only a complete one is served.
    pub(super) fn next(&mut self) -> std::io::Result<Option<Line>> {
        loop {
            if let Some(line) = self.take() {
                return Ok(Some(line));
            }
            match self.inner.read(&mut self.chunk) {
                Ok(0) => return Ok(self.last()),
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
            if let Some(mut discarded) = self.discarded.take() {
                if discarded.is_reported {
                    continue;
                }
                discarded.search.read(&line);
                return Some(Line::TooLong(discarded.search.found()));
            }
            let is_long = line.len() > self.bytes_max;
            return Some(if is_long { Line::TooLong(WrittenId::find(&line)) } else { Line::Whole(line) });
        }
        if self.buffer.len() > self.bytes_max {
            self.discarded.get_or_insert_default();
        }
        let long = self.discard();
        // The next call searches only new bytes. Otherwise a long line would be searched again after each read.
        self.scanned = self.buffer.len();
        long
    }

    /// Discards the buffer if it belongs to a line that is too long. The line is reported once: as soon as its id is
    /// known, because its end may never arrive.
    fn discard(&mut self) -> Option<Line> {
        let discarded = self.discarded.as_mut()?;
        discarded.search.read(&self.buffer);
        self.buffer.clear();
        let is_new = !discarded.is_reported && discarded.search.is_found();
        discarded.is_reported |= is_new;
        is_new.then(|| Line::TooLong(discarded.search.found()))
    }

    /// What is left at the end of input.
    fn last(&mut self) -> Option<Line> {
        if let Some(discarded) = self.discarded.take() {
            return (!discarded.is_reported).then(|| Line::TooLong(discarded.search.found()));
        }
        self.scanned = 0;
        let rest = self.buffer.split();
        (!rest.is_empty()).then_some(Line::Whole(rest))
    }
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
    fn short_lines_pass_unchanged_and_the_last_one_needs_no_end() {
        assert_eq!(read(b"{}\n{\"id\":1}", 20), [whole(b"{}\n"), whole(b"{\"id\":1}")]);
        assert_eq!(read(b"\n", 20), [whole(b"\n")]);
        assert_eq!(read(b"", 20), []);
    }

    #[test]
    fn of_a_line_that_is_too_long_its_id_is_left_wherever_it_is() {
        let long = "x".repeat(500_000);
        let id = || Line::TooLong(WrittenId::of(b"7"));
        for line in [format!("{{\"id\": 7, \"x\":\"{long}\"}}"), format!("{{\"x\":\"{long}\", \"id\": 7}}")] {
            assert_eq!(read(format!("{line}\n{{}}\n").as_bytes(), 100), [id(), whole(b"{}\n")]);
            assert_eq!(read(line.as_bytes(), 100), [id()]);
        }
        let none = || Line::TooLong(WrittenId::default());
        assert_eq!(read(b"[1, 2, 3]\n{}\n", 5), [none(), whole(b"{}\n")]);
        assert_eq!(read(format!("[{long}").as_bytes(), 5), [none()]);
    }
}
