//! MCP over stdin and stdout, for one client: the process that started this program.
//!
//! Owns how messages are read and written. `reader` is the thread that reads stdin, `lines` bounds the length of a
//! line, `message` parses it, `request_budget` bounds the requests in flight, `calls` answers them, `out` writes
//! responses, `pipe` opens the two files, and `handshake` is what rmcp sees of all this. The reader itself answers a line that is too long or is not a valid
//! request: each line gets a response, except notifications and blank lines.

mod calls;
mod handshake;
mod lines;
mod message;
mod out;
mod pipe;
mod reader;
mod request_budget;

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::JsonRpcMessage;
use rmcp::service::{ServerInitializeError, ServiceExt as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::mcp::Server;
use crate::mcp::context;
use crate::mcp::written_id::WrittenId;
use airlock::host::Host;
use airlock_types::caller::Caller;
use calls::Calls;
use handshake::Handshake;
use message::NotServed;
use out::Out;
use reader::Reader;

/// Messages that may wait for rmcp. The number is small because only messages of the handshake go to rmcp, and each can
/// have the maximum length.
const MESSAGES_MAX: usize = 8;

/// Time after the drain time in which the last answers are written and stdout is closed. Normally this takes milliseconds.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// Serves until stdin ends or `stop` resolves, then drains the running calls within the drain time.
///
/// # Errors
/// If stdin cannot be duplicated or read, if the thread that reads it cannot be started, if the handshake fails, or if rmcp's
/// service task panics.
pub async fn serve(host: Arc<Host>, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    // Until serving ends: over stdio the process is the session.
    let _session = host.transport_sessions().open(&Caller::local(), context::STDIO.to_owned());
    let out = Arc::new(Out::new(pipe::stdout()));
    let calls = Calls::new(host.clone(), out.clone());
    let (sender, messages) = mpsc::channel(MESSAGES_MAX);
    let reader = Reader::new(pipe::stdin()?, calls.clone(), out.clone(), sender);
    let (failed, stdin_ended) = (reader.failed(), reader.ended());
    let drain_time = host.drain_time();
    // Not joined: no other thread can interrupt a blocking read, so the reader ends with stdin or with the process.
    std::thread::Builder::new().name("stdin".into()).spawn(move || reader.run())?;
    let serve = async {
        // The reader starts before the handshake, because rmcp receives the handshake's messages from it.
        let transport = Handshake::new(messages, out.clone());
        let server = match Server::new(host).serve(transport).await {
            // Stdin ended before a handshake: a client that left, or a script that starts the program without input.
            Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
            // The error of rmcp has names of its types in it.
            Err(err) => match out.failed() {
                Some(why) => anyhow::bail!("the output cannot be written to stdout: {why}"),
                None => return Err(err.into()),
            },
            Ok(server) => server,
        };
        // The peer exists only after the handshake. From here on the reader passes requests to `calls` instead of rmcp.
        calls.begin(server.peer().clone());
        server.waiting().await?;
        anyhow::Ok(())
    };
    tokio::select! {
        served = serve => match failed.get() {
            Some(err) => Err(anyhow::anyhow!("stdin cannot be read: {err}")),
            None => served,
        },
        // On `stop` the drain runs here, since the reader may be blocked in `read`. At the end of stdin the reader
        // drains, and `serve` resolves after it, when the reader drops the channel to rmcp.
        () = async { stop.await; calls.drain().await } => Ok(()),
        // A client that does not read its answers would hold up the writer, and with it the end of `serve`, for ever.
        () = too_late(stdin_ended, drain_time) => Ok(()),
    }
}

/// Resolves when the time to end is over that begins with the end of stdin.
async fn too_late(stdin_ended: CancellationToken, drain_time: Duration) {
    stdin_ended.cancelled().await;
    tokio::time::sleep(drain_time.saturating_add(CLOSE_MAX)).await;
    tracing::warn!(
        "the client has closed its input and does not read its answers: what it has not read is discarded"
    );
}

/// The id under which a line is answered, in its JSON form. `None` if it gets no answer.
pub(crate) fn line_id(line: &[u8]) -> Option<String> {
    match message::read(line) {
        Ok(JsonRpcMessage::Request(request)) => Some(WrittenId::from(&request.id).as_json().to_owned()),
        Err(NotServed::Refused(refused)) => Some(refused.id.as_json().to_owned()),
        Ok(_) | Err(NotServed::Blank | NotServed::Unanswered) => None,
    }
}
