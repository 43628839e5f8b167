//! MCP over stdin and stdout: whoever starts the program is its client.
//!
//! Owns how messages are read and written: `reader` is the thread that reads, `lines` bounds a line, `message` reads
//! it, `room` bounds what is not answered yet, `pipe` is what they come through, `out` writes. A request that is too long, or no request, gets its answer
//! from the reader; `calls` has requests answered, in a bounded number; the handshake is rmcp's.

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

/// Messages that may wait for rmcp: only those of the handshake are for it, and each may be long.
const MESSAGES_MAX: usize = 8;

/// Serves until stdin ends, or `stop`; then the calls that run have their time to end.
///
/// # Errors
/// When the client does not speak MCP, or a task of the server's was lost.
pub async fn serve(host: Arc<Host>, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let out = Arc::new(Out::new(pipe::stdout()));
    let calls = Calls::new(host.clone(), out.clone());
    let (sender, messages) = mpsc::channel(MESSAGES_MAX);
    let reader = Reader::new(pipe::stdin()?, calls.clone(), out.clone(), sender);
    // It ends with stdin, or with the program: nobody can end a thread that reads.
    std::thread::Builder::new().name("stdin".into()).spawn(move || reader.run())?;
    let serve = async {
        let server = Server::new(host).serve(Stdio { messages, out }).await?;
        calls.begin(server.peer().clone());
        server.waiting().await?;
        anyhow::Ok(())
    };
    tokio::select! {
        served = serve => served,
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

/// What rmcp sees of the two pipes.
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
