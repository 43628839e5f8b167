//! MCP over stdin and stdout: whoever starts the program is its client.
//!
//! Owns how messages are read and written: `lines` bounds one, `message` reads it, `pipe` is what they come through.
//! A request that is too long, or no request, gets its answer here; what a request means is rmcp's and `mcp`'s.

mod lines;
mod message;
mod pipe;

use std::sync::Arc;

use rmcp::model::{ErrorData, JsonRpcMessage, RequestId};
use rmcp::service::{RoleServer, RxJsonRpcMessage, ServiceExt as _, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Mutex;

use crate::host::Host;
use crate::mcp::Server;
use lines::{Line, Lines};
use message::Unread;

/// The largest message: arguments at their cap, written with every character escaped, and the frame.
const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// Serves until stdin ends, or `stop`; then the calls that run have their time to end.
///
/// # Errors
/// When the client does not speak MCP, or a task of the server's was lost.
pub async fn serve(host: Arc<Host>, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let transport = Stdio {
        lines: Lines::new(pipe::stdin(), MESSAGE_BYTES_MAX),
        out: Arc::new(Mutex::new(Some(pipe::stdout()))),
    };
    let serve = async {
        let server = Server::new(host.clone()).serve(transport).await?;
        server.waiting().await?;
        anyhow::Ok(())
    };
    tokio::select! {
        served = serve => served,
        () = async { stop.await; super::drained(&host).await } => Ok(()),
    }
}

type Out = Box<dyn AsyncWrite + Send + Unpin>;

/// Lines of JSON, both ways.
struct Stdio<R> {
    lines: Lines<R>,
    /// Nothing once it is closed.
    out: Arc<Mutex<Option<Out>>>,
}

impl<R: AsyncRead + Send + Unpin> Stdio<R> {
    /// Answers without anybody having to wait for it: a client that does not read shall not stop the reading.
    fn refuse(&mut self, id: Option<RequestId>, error: ErrorData) {
        let sent = self.send(JsonRpcMessage::error(error, id));
        tokio::spawn(async move {
            if let Err(err) = sent.await {
                tracing::debug!("a message without a sense was not answered: {err}");
            }
        });
    }
}

impl<R: AsyncRead + Send + Unpin> Transport<RoleServer> for Stdio<R> {
    type Error = std::io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = std::io::Result<()>> + Send + 'static {
        let out = self.out.clone();
        async move {
            let mut line = serde_json::to_vec(&message)?;
            line.push(b'\n');
            let mut out = out.lock().await;
            let out = out.as_mut().ok_or(std::io::ErrorKind::NotConnected)?;
            out.write_all(&line).await?;
            out.flush().await
        }
    }

    /// Can be dropped while it waits: what was read stays in `lines`.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let line = match self.lines.next().await {
                Ok(Some(Line::Whole(line))) => line,
                Ok(Some(Line::TooLong(id))) => {
                    let message = format!(
                        "the message was not read: it is larger than {MESSAGE_BYTES_MAX} bytes; send less"
                    );
                    self.refuse(id, ErrorData::invalid_request(message, None));
                    continue;
                }
                Ok(None) => return None,
                Err(err) => {
                    tracing::error!("stdin cannot be read: {err}");
                    return None;
                }
            };
            match message::read(&line) {
                Ok(message) => return Some(message),
                Err(Unread::Nothing) => {}
                Err(Unread::Invalid(id)) => {
                    self.refuse(id, ErrorData::invalid_request("this is no message of MCP", None));
                }
            }
        }
    }

    async fn close(&mut self) -> std::io::Result<()> {
        match self.out.lock().await.take() {
            Some(mut out) => out.shutdown().await,
            None => Ok(()),
        }
    }
}
