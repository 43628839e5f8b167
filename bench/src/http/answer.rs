//! Answers of HTTP/1.1 as bytes: where one ends, and what it says.
//!
//! Must not know which server sent it: others answer as an event stream in chunks, or close the connection.

use anyhow::{Result, ensure};

/// Characters of an answer that an error shows.
const SHOWN: usize = 200;

/// What ends the body.
enum End {
    Length(usize),
    /// A chunk without bytes.
    Chunks,
    /// The connection.
    Close,
}

/// Whether bytes are a whole answer. `closed` says that no more will come.
pub(super) fn is_whole(bytes: &[u8], closed: bool) -> bool {
    let Some((head, body)) = parts(bytes) else { return false };
    match end(head) {
        End::Length(length) => body.len() >= length,
        End::Chunks => chunks(body).is_none_or(|(_, whole)| whole),
        End::Close => closed,
    }
}

/// Whether the server closes the connection after this answer.
pub(super) fn closes(bytes: &[u8]) -> bool {
    let Some((head, _)) = parts(bytes) else { return true };
    let named = header(head, b"connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
    named || matches!(end(head), End::Close)
}

/// Fails unless an answer is the expected one: it must not count as throughput.
pub(super) fn check(answer: &[u8], expect: &[&[u8]]) -> Result<()> {
    let has_all = || expect.iter().all(|text| find(answer, text).is_some());
    ensure!(answer.starts_with(b"HTTP/1.1 200") && has_all(), "not the expected answer: {}", shown(answer));
    Ok(())
}

/// The value of a header.
pub(super) fn header_of(answer: &[u8], name: &str) -> Option<String> {
    let value = header(parts(answer)?.0, name.as_bytes())?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// The body, without the marks of its chunks.
pub(super) fn body(answer: &[u8]) -> Vec<u8> {
    let Some((head, body)) = parts(answer) else { return Vec::new() };
    match end(head) {
        End::Chunks => chunks(body).map(|(chunks, _)| chunks.concat()).unwrap_or_default(),
        End::Length(_) | End::Close => body.to_vec(),
    }
}

/// Status and body of an answer in one line, cut, for messages.
pub(super) fn shown(answer: &[u8]) -> String {
    let status = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let text = [status, b" ", &body(answer)].concat();
    let text = String::from_utf8_lossy(&text);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(SHOWN).collect()
}

fn parts(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let head = find(bytes, b"\r\n\r\n")?;
    Some((&bytes[..head], &bytes[head + 4..]))
}

fn end(head: &[u8]) -> End {
    let length =
        header(head, b"content-length").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    match length {
        Some(length) => End::Length(length),
        None if header(head, b"transfer-encoding").is_some() => End::Chunks,
        // Answers of these kinds have no body.
        None if head.starts_with(b"HTTP/1.1 202") || head.starts_with(b"HTTP/1.1 204") => End::Length(0),
        None => End::Close,
    }
}

fn header<'h>(head: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        line[..colon].eq_ignore_ascii_case(name).then(|| line[colon + 1..].trim_ascii())
    })
}

/// The chunks of a body, and whether the last of them has arrived; none for what is not a chunk.
fn chunks(mut body: &[u8]) -> Option<(Vec<&[u8]>, bool)> {
    let mut chunks = Vec::new();
    while let Some(line) = find(body, b"\r\n") {
        let size = body[..line].split(|byte| *byte == b';').next()?;
        let size = usize::from_str_radix(std::str::from_utf8(size).ok()?.trim(), 16).ok()?;
        let rest = &body[line + 2..];
        if size == 0 {
            return Some((chunks, rest.ends_with(b"\r\n")));
        }
        let (Some(chunk), Some(next)) = (rest.get(..size), rest.get(size + 2..)) else { break };
        chunks.push(chunk);
        body = next;
    }
    Some((chunks, false))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_its_length_its_last_chunk_or_the_connection() {
        for (text, whole, whole_when_closed) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", false, false),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", true, true),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", false, false),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true, true),
            // The end of a chunk that looks like the last one.
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\nid: 0\r\n\r\n", false, false),
            ("HTTP/1.1 202 Accepted\r\n\r\n", true, true),
            ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok", false, true),
            ("HTTP/1.1 200 OK\r\n", false, false),
        ] {
            assert_eq!(is_whole(text.as_bytes(), false), whole, "{text}");
            assert_eq!(is_whole(text.as_bytes(), true), whole_when_closed, "{text}");
        }
    }

    #[test]
    fn an_event_stream_is_read_through_its_chunks() {
        let text = b"HTTP/1.1 200 OK\r\nMcp-Session-Id: abc\r\ntransfer-encoding: chunked\r\n\r\n\
            8\r\ndata: {\"\r\n5;x=1\r\na\":1}\r\n0\r\n\r\n";
        assert_eq!(body(text), b"data: {\"a\":1}");
        assert_eq!(header_of(text, "mcp-session-id").as_deref(), Some("abc"));
        assert!(!closes(text));
    }

    #[test]
    fn only_an_expected_answer_counts() {
        let good = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n16.09";
        assert!(check(good, &[b"16.0", b".09"]).is_ok());
        assert!(check(good, &[b"17"]).is_err());
        assert!(check(b"HTTP/1.1 500 No\r\ncontent-length: 5\r\n\r\n16.09", &[b"16"]).is_err());
    }
}
