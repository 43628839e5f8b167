//! The thread that reads stdin.
//!
//! A thread of its own, so that a call that is over soon is read, run and answered without a change of threads.
//! Owns what becomes of a line: requests go to `calls`, those together that came together; what is not a valid message
//! is refused; the handshake is rmcp's. Before each line it waits until the client has read what it was answered, and
//! before each request for a place: a client that writes without end, or does not read, fills its pipe and not the
//! memory.

use std::io::Read;
use std::sync::Arc;

use bytes::BytesMut;
use rmcp::model::{
    ClientNotification, ClientRequest, ErrorData, JsonRpcMessage, JsonRpcNotification, JsonRpcRequest,
    RequestId,
};
use rmcp::service::{RoleServer, RxJsonRpcMessage};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::calls::{Calls, PendingRequest};
use super::lines::{Line, Lines};
use super::message::{self, FRAME_BYTES_MAX, NotAMessage};
use super::out::Out;
use super::request_budget::RequestBudget;

/// The largest message: arguments at their cap, written with every character escaped, and the frame.
const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// Requests that are begun together; the others have to wait to be read.
const TOGETHER_MAX: usize = 256;

/// Reads until the end, and stays until what was asked by then is answered.
pub(super) struct Reader<R> {
    lines: Lines<R>,
    calls: Arc<Calls>,
    out: Arc<Out>,
    messages: mpsc::Sender<RxJsonRpcMessage<RoleServer>>,
    runtime: Handle,
    room: RequestBudget,
    /// Requests that were read, and not begun.
    came: Vec<PendingRequest>,
    /// Answers were put since the last flush.
    has_refused: bool,
    /// The client has said that it is initialized. It says so once; each further time would be a task more that waits
    /// for changes of the list of tools.
    is_initialized: bool,
}

/// The server has ended: nobody receives messages.
struct Closed;

impl<R: Read> Reader<R> {
    pub(super) fn new(
        stdin: R,
        calls: Arc<Calls>,
        out: Arc<Out>,
        messages: mpsc::Sender<RxJsonRpcMessage<RoleServer>>,
    ) -> Reader<R> {
        let (lines, room) = (Lines::new(stdin, MESSAGE_BYTES_MAX), RequestBudget::new());
        let (runtime, came) = (Handle::current(), Vec::new());
        let (has_refused, is_initialized) = (false, false);
        Reader { lines, calls, out, messages, runtime, room, came, has_refused, is_initialized }
    }

    /// Calls have their time to end after the end of stdin: rmcp is not told of it, as it would not wait as long.
    pub(super) fn run(mut self) {
        let runtime = self.runtime.clone();
        let _entered = runtime.enter();
        while let Some(line) = self.line() {
            if self.take(&line).is_err() {
                return;
            }
            if !self.lines.has_next() || self.came.len() == TOGETHER_MAX {
                self.settle();
            }
        }
        self.settle();
        runtime.block_on(self.calls.drain());
    }

    /// The next line that is short enough.
    fn line(&mut self) -> Option<BytesMut> {
        loop {
            self.wait_for_client();
            match self.lines.next() {
                Ok(Some(Line::Whole(line))) => return Some(line),
                Ok(Some(Line::TooLong(id))) => self.refuse(id, too_long("message", MESSAGE_BYTES_MAX)),
                Ok(None) => return None,
                Err(err) => {
                    tracing::error!("stdin cannot be read: {err}");
                    return None;
                }
            }
            if !self.lines.has_next() {
                self.settle();
            }
        }
    }

    /// Waits until the client has read enough of its answers.
    fn wait_for_client(&mut self) {
        if !self.out.is_full() {
            return;
        }
        self.settle();
        while self.out.is_full() {
            if self.runtime.block_on(self.out.write()).is_err() {
                tracing::debug!("the client does not read its answers any more");
            }
        }
    }

    fn take(&mut self, line: &BytesMut) -> Result<(), Closed> {
        match message::read(line) {
            Ok(message) if self.calls.peer().is_some() => return self.sort(message, line.len()),
            Ok(message) => return self.forward(message),
            Err(NotAMessage::Nothing) => {}
            Err(NotAMessage::Invalid(id)) => {
                self.refuse(id, ErrorData::invalid_request("this is no message of MCP", None));
            }
            Err(NotAMessage::TooLong(id)) => {
                self.refuse(id, too_long("message, the arguments of a call not counted,", FRAME_BYTES_MAX));
            }
        }
        Ok(())
    }

    /// After the handshake nothing is left to rmcp but what it may have begun by then.
    fn sort(&mut self, message: RxJsonRpcMessage<RoleServer>, line_bytes: usize) -> Result<(), Closed> {
        let notification = match message {
            JsonRpcMessage::Request(JsonRpcRequest { request, id, .. }) => {
                self.ask(id, request, line_bytes);
                return Ok(());
            }
            JsonRpcMessage::Notification(JsonRpcNotification { notification, .. }) => notification,
            // The server asks nothing over stdio, so that these answer no question.
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => return Ok(()),
        };
        let is_for_rmcp = match &notification {
            ClientNotification::CancelledNotification(cancelled) => {
                // The call may be among those that were not begun.
                self.settle();
                let id = cancelled.params.request_id.as_ref();
                id.is_some_and(|id| !self.calls.cancel(id))
            }
            ClientNotification::InitializedNotification(_) => {
                !std::mem::replace(&mut self.is_initialized, true)
            }
            _ => false,
        };
        if is_for_rmcp { self.forward(JsonRpcMessage::notification(notification)) } else { Ok(()) }
    }

    fn ask(&mut self, id: RequestId, request: ClientRequest, line_bytes: usize) {
        let runtime = self.runtime.clone();
        let (calls, came, has_refused) = (&self.calls, &mut self.came, &mut self.has_refused);
        let place = self.room.place(&request, line_bytes, &runtime, || {
            settle(&runtime, calls, came, has_refused);
        });
        match place {
            Ok(place) => self.came.push(PendingRequest { id, request, place }),
            Err(err) => self.refuse(Some(id), ErrorData::invalid_request(err.to_string(), None)),
        }
    }

    fn forward(&mut self, message: RxJsonRpcMessage<RoleServer>) -> Result<(), Closed> {
        self.settle();
        self.messages.blocking_send(message).map_err(|_| Closed)
    }

    fn refuse(&mut self, id: Option<RequestId>, error: ErrorData) {
        self.calls.refuse(error, id);
        self.has_refused = true;
    }

    /// Begins what was read and sends what was refused. Has to come before anything that waits.
    fn settle(&mut self) {
        settle(&self.runtime, &self.calls, &mut self.came, &mut self.has_refused);
    }
}

fn settle(runtime: &Handle, calls: &Arc<Calls>, came: &mut Vec<PendingRequest>, has_refused: &mut bool) {
    if std::mem::take(has_refused) {
        calls.flush();
    }
    if !came.is_empty() {
        runtime.block_on(calls.wait_for_journal());
        calls.answer_all(std::mem::take(came));
    }
}

fn too_long(what: &str, bytes_max: usize) -> ErrorData {
    let message = format!("the {what} is larger than {bytes_max} bytes and was not read; send less");
    ErrorData::invalid_request(message, None)
}
