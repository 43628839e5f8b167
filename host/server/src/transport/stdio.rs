//! MCP over stdin and stdout, for one client: the process that started this program.
//!
//! Owns how messages are read and written. `reader` is the thread that reads stdin, `lines` bounds the length of a
//! line, `message` parses it, `request_budget` bounds the requests in flight, `calls` answers them, `out` writes
//! responses, and `pipe` opens the two files. The reader itself answers a line that is too long or is not a valid
//! message. rmcp handles the handshake.

mod calls;
mod lines;
mod message;
mod out;
mod pipe;
mod reader;
mod request_budget;

use std::sync::Arc;

use rmcp::model::{JsonRpcMessage, RequestId};
use rmcp::service::{RoleServer, RxJsonRpcMessage, ServiceExt as _, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::mpsc;

use crate::mcp::Server;
use airlock::host::Host;
use calls::Calls;
use message::NotAMessage;
use out::Out;
use reader::Reader;

/// Messages that may wait for rmcp. The number is small because only messages of the handshake go to rmcp, and each can
/// have the maximum length.
const MESSAGES_MAX: usize = 8;

/// Serves until stdin ends or `stop` resolves, then drains the running calls within the drain time.
///
/// # Errors
/// If stdin cannot be duplicated, if the thread that reads it cannot be started, if the handshake fails, or if rmcp's
/// service task panics.
pub async fn serve(host: Arc<Host>, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let out = Arc::new(Out::new(pipe::stdout()));
    let calls = Calls::new(host.clone(), out.clone());
    let (sender, messages) = mpsc::channel(MESSAGES_MAX);
    let reader = Reader::new(pipe::stdin()?, calls.clone(), out.clone(), sender);
    // Not joined: no other thread can interrupt a blocking read, so the reader ends with stdin or with the process.
    std::thread::Builder::new().name("stdin".into()).spawn(move || reader.run())?;
    let serve = async {
        // The reader starts before the handshake, because rmcp receives the handshake's messages from it.
        let server = Server::new(host).serve(Stdio { messages, out }).await?;
        // The peer exists only after the handshake. From here on the reader passes requests to `calls` instead of rmcp.
        calls.begin(server.peer().clone());
        server.waiting().await?;
        anyhow::Ok(())
    };
    tokio::select! {
        served = serve => served,
        // On `stop` the drain runs here, since the reader may be blocked in `read`. At the end of stdin the reader
        // drains, and `serve` resolves after it, when the reader drops the channel to rmcp.
        () = async { stop.await; calls.drain().await } => Ok(()),
    }
}

/// The id under which a line is answered, if it has one.
pub(crate) fn line_id(line: &[u8]) -> Option<RequestId> {
    match message::read(line) {
        Ok(JsonRpcMessage::Request(request)) => Some(request.id),
        Err(NotAMessage::Invalid(id) | NotAMessage::TooLong(id)) => id,
        Ok(_) | Err(NotAMessage::Nothing) => None,
    }
}

/// The transport that rmcp uses. It shares stdout with `calls`, and receives only what the reader forwards.
struct Stdio {
    messages: mpsc::Receiver<RxJsonRpcMessage<RoleServer>>,
    out: Arc<Out>,
}

impl Transport<RoleServer> for Stdio {
    type Error = std::io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = std::io::Result<()>> + Send + 'static {
        let out = self.out.clone();
        async move { out.send(&message).await }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        self.messages.recv().await
    }

    async fn close(&mut self) -> std::io::Result<()> {
        self.out.close().await
    }
}
