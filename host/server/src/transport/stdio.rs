//! MCP over stdin and stdout, for one client: the process that started this program.
//!
//! Owns how messages are read and written. `reader` is the thread that reads stdin, `lines` bounds the length of a
//! line, `message` parses it, `request_budget` bounds the requests in flight, `calls` answers them, `out` writes
//! responses, and `pipe` opens the two files. The reader itself answers a line that is too long or is not a valid
//! request: each line gets a response, except notifications and blank lines. rmcp handles the handshake.

mod calls;
mod lines;
mod message;
mod out;
mod pipe;
mod reader;
mod request_budget;

use std::collections::BTreeMap;
use std::sync::Arc;

use rmcp::model::{ClientRequest, GetMeta as _, JsonRpcMessage, ProtocolVersion};
use rmcp::service::{RoleServer, RxJsonRpcMessage, ServerInitializeError, ServiceExt as _, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::mcp::Server;
use crate::mcp::ordered::Ordered;
use crate::mcp::written_id::WrittenId;
use airlock::host::Host;
use calls::Calls;
use message::NotServed;
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
        let transport = Stdio { messages, out, is_begun: false, ordered: BTreeMap::new() };
        let server = match Server::new(host).serve(transport).await {
            // Stdin ended before a handshake: a client that left, or a script that starts the program without input.
            Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
            begun => begun?,
        };
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

/// The id under which a line is answered, in its JSON form. `None` if it gets no answer.
pub(crate) fn line_id(line: &[u8]) -> Option<String> {
    match message::read(line) {
        Ok(JsonRpcMessage::Request(request)) => Some(WrittenId::from(&request.id).as_json().to_owned()),
        Err(NotServed::Refused(refused)) => Some(refused.id.as_json().to_owned()),
        Ok(_) | Err(NotServed::Blank | NotServed::Unanswered) => None,
    }
}

/// The transport that rmcp uses. It shares stdout with `calls`, and receives only what the reader forwards.
struct Stdio {
    messages: mpsc::Receiver<RxJsonRpcMessage<RoleServer>>,
    out: Arc<Out>,
    /// rmcp has received a request that ends its wait for one, so it also takes other messages.
    is_begun: bool,
    /// The structured content of open requests, by id in its JSON form. rmcp itself answers the first call of a client
    /// without a handshake.
    ordered: BTreeMap<String, Ordered>,
}

impl Stdio {
    /// The message with its structured content in order. `None` if it has none.
    fn in_order(&mut self, message: &TxJsonRpcMessage<RoleServer>) -> Option<Box<RawValue>> {
        let id = match message {
            JsonRpcMessage::Response(response) => &response.id,
            JsonRpcMessage::Error(error) => error.id.as_ref()?,
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => return None,
        };
        let ordered = self.ordered.remove(WrittenId::from(id).as_json())?;
        let sorted = ordered.is_filled().then(|| serde_json::to_string(message))?.ok()?;
        RawValue::from_string(ordered.in_message(&sorted)?).ok()
    }
}

/// Whether rmcp's service begins with this request. A `ping` or `server/discover` leaves it waiting, and so does a
/// request that it rejects because its metadata is incomplete or names an unknown revision.
fn begins(request: &ClientRequest) -> bool {
    let meta = request.get_meta();
    let is_complete = || meta.missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty();
    let is_known = || meta.protocol_version().is_some_and(|version| crate::mcp::serves(&version));
    match request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
        _ => is_complete() && is_known(),
    }
}

impl Transport<RoleServer> for Stdio {
    type Error = std::io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = std::io::Result<()>> + Send + 'static {
        let (out, in_order) = (self.out.clone(), self.in_order(&message));
        async move {
            match in_order {
                Some(text) => out.send(&text).await,
                None => out.send(&message).await,
            }
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let mut message = self.messages.recv().await?;
            match &mut message {
                JsonRpcMessage::Request(request) => {
                    self.is_begun |= begins(&request.request);
                    if let ClientRequest::CallToolRequest(call) = &mut request.request {
                        let ordered = Ordered::default();
                        call.extensions.insert(ordered.clone());
                        self.ordered.insert(WrittenId::from(&request.id).as_json().to_owned(), ordered);
                    }
                }
                // rmcp ends the service if anything but a request comes first.
                _ if !self.is_begun => {
                    tracing::warn!("a message before the first request is ignored");
                    continue;
                }
                _ => {}
            }
            return Some(message);
        }
    }

    async fn close(&mut self) -> std::io::Result<()> {
        self.out.close().await
    }
}
