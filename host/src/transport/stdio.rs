//! MCP over stdin and stdout: whoever starts the program is its client.
//!
//! Owns the bound on one message. A longer one is thrown away while it streams in, and a request that says so
//! is put in its place under the same id, so that its sender gets an answer instead of silence.

mod pipe;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use rmcp::ServiceExt as _;
use tokio::io::{AsyncRead, ReadBuf};

use crate::host::Host;
use crate::mcp::{Server, TOO_LARGE};

/// The largest message: arguments at their cap, written with every character escaped, and the frame.
const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// Bytes read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// How far into a long message its id is looked for.
const ID_WITHIN_BYTES: usize = 4 << 10;

/// Serves until stdin ends, or `stop`; then the calls that run have their time to end.
///
/// # Errors
/// When the client does not speak MCP, or a task of the server's was lost.
pub async fn serve(host: Arc<Host>, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let bounded = Bounded::new(pipe::stdin(), MESSAGE_BYTES_MAX);
    let serve = async {
        let server = Server::new(host.clone()).serve((bounded, pipe::stdout())).await?;
        server.waiting().await?;
        anyhow::Ok(())
    };
    tokio::select! {
        served = serve => served,
        () = async { stop.await; super::drained(&host).await } => Ok(()),
    }
}

/// A reader of lines that are never longer than a bound.
struct Bounded<R> {
    inner: R,
    bytes_max: usize,
    chunk: Box<[u8]>,
    /// What was read and not yet handed on: whole lines, or the beginning of one that still fits.
    ready: BytesMut,
    /// Bytes of `ready` that belong to the line that is coming in.
    line: usize,
    discarding: bool,
    ended: bool,
}

impl<R> Bounded<R> {
    fn new(inner: R, bytes_max: usize) -> Bounded<R> {
        let chunk = vec![0; CHUNK_BYTES].into();
        Bounded { inner, bytes_max, chunk, ready: BytesMut::new(), line: 0, discarding: false, ended: false }
    }

    fn take_in(&mut self, count: usize) {
        let chunk = std::mem::take(&mut self.chunk);
        for piece in chunk[..count].split_inclusive(|byte| *byte == b'\n') {
            let whole = piece.ends_with(b"\n");
            if self.discarding {
                self.discarding = !whole;
                continue;
            }
            self.ready.extend_from_slice(piece);
            self.line += piece.len();
            if self.line > self.bytes_max {
                self.replace();
                self.discarding = !whole;
                self.line = 0;
            } else if whole {
                self.line = 0;
            }
        }
        self.chunk = chunk;
    }

    /// Puts a small request in the place of the line that is too long.
    fn replace(&mut self) {
        let start = self.ready.len() - self.line;
        let line = self.ready.split_off(start);
        let id = id_of(&line[..line.len().min(ID_WITHIN_BYTES)]).unwrap_or_else(|| "null".to_owned());
        let method = TOO_LARGE;
        let max = self.bytes_max;
        let request = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{{\"bytes_max\":{max}}}}}\n"
        );
        self.ready.extend_from_slice(request.as_bytes());
    }
}

/// The id of a JSON-RPC message, as JSON, if it stands near the beginning.
fn id_of(head: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(head);
    let rest = text.split_once("\"id\"")?.1.trim_start().strip_prefix(':')?.trim_start();
    let end = rest.find([',', '}'])?;
    let id: serde_json::Value = serde_json::from_str(rest[..end].trim()).ok()?;
    (id.is_number() || id.is_string()).then(|| id.to_string())
}

impl<R: AsyncRead + Unpin> AsyncRead for Bounded<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        // A line is handed on when it is whole, as it may yet turn out to be too long.
        while self.ready.len() == self.line && !self.ended {
            let Bounded { inner, chunk, .. } = &mut *self;
            let mut buffer = ReadBuf::new(chunk);
            ready!(Pin::new(inner).poll_read(context, &mut buffer))?;
            let count = buffer.filled().len();
            self.ended = count == 0;
            self.take_in(count);
        }
        let whole = if self.ended { self.ready.len() } else { self.ready.len() - self.line };
        let count = whole.min(out.remaining());
        out.put_slice(&self.ready.split_to(count));
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    async fn read(input: &[u8], bytes_max: usize) -> String {
        let mut out = String::new();
        Bounded::new(input, bytes_max).read_to_string(&mut out).await.unwrap();
        out
    }

    #[tokio::test]
    async fn short_lines_pass_unchanged() {
        assert_eq!(read(b"{}\n{\"id\":1}\n", 20).await, "{}\n{\"id\":1}\n");
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_becomes_a_request_under_its_id() {
        let long = format!("{{\"id\": 7, \"x\":\"{}\"}}\n{{}}\n", "x".repeat(50_000));
        assert_eq!(
            read(long.as_bytes(), 100).await,
            "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"airlock/message-too-large\",\"params\":{\"bytes_max\":100}}\n{}\n"
        );
    }
}
