//! The thread that reads stdin.
//!
//! It is a thread of its own, so that a short call is read, run and answered without a change of threads. Owns what
//! happens to a line: requests go to `calls`, in batches of those that arrived together; invalid messages are rejected;
//! messages of the handshake go to rmcp. It waits before each line until the client has read enough responses, and
//! before each request for a share of the request budget. So a client that writes without end, or does not read, fills
//! its pipe and not the host's memory.

use std::io::Read;
use std::sync::{Arc, OnceLock};

use bytes::BytesMut;
use rmcp::model::{
    ClientNotification, ClientRequest, ErrorData, JsonRpcMessage, JsonRpcNotification, JsonRpcRequest,
    RequestId,
};
use rmcp::service::{RoleServer, RxJsonRpcMessage};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::calls::{Calls, PendingRequest};
use super::lines::{Line, Lines};
use super::message::{self, NotServed};
use super::out::Out;
use super::request_budget::RequestBudget;
use crate::mcp::message::Refusal;
use crate::mcp::written_id::WrittenId;

/// Size in bytes of the largest message: arguments of the largest size with every character escaped, and the frame.
const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// Most requests of one batch. Further ones stay in the read buffer until the batch has started.
const TOGETHER_MAX: usize = 256;

/// Reads stdin to its end, then waits until the requests that were read are answered.
pub(super) struct Reader<R> {
    lines: Lines<R>,
    calls: Arc<Calls>,
    out: Arc<Out>,
    messages: mpsc::Sender<RxJsonRpcMessage<RoleServer>>,
    runtime: Handle,
    room: RequestBudget,
    /// Requests that were read and have not started.
    came: Vec<PendingRequest>,
    /// Error responses were queued since the last flush.
    has_refused: bool,
    /// The client has sent its `initialized` notification. Only the first one is forwarded: rmcp runs a task for
    /// each.
    is_initialized: bool,
    /// Why stdin could not be read, for who serves.
    failed: Arc<OnceLock<std::io::Error>>,
    /// Cancelled at the end of stdin, before the drain.
    ended: CancellationToken,
}

/// rmcp's service has ended, so the channel of messages has no receiver.
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
        let (failed, ended) = Default::default();
        Reader {
            lines,
            calls,
            out,
            messages,
            runtime,
            room,
            came,
            has_refused,
            is_initialized,
            failed,
            ended,
        }
    }

    /// Where the reader says why stdin could not be read, before it ends the service.
    pub(super) fn failed(&self) -> Arc<OnceLock<std::io::Error>> {
        self.failed.clone()
    }

    /// Is cancelled at the end of stdin, for who bounds the time after it.
    pub(super) fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }

    /// Reads lines and starts their requests, until stdin or the service ends. rmcp learns of the end of stdin only
    /// after the drain, when the reader drops its channel: it would not wait as long for running calls.
    pub(super) fn run(mut self) {
        let runtime = self.runtime.clone();
        // Calls run on this thread, and they use timers and spawn tasks, which need a runtime context.
        let _entered = runtime.enter();
        while let Some(line) = self.line() {
            if self.take(&line).is_err() {
                return;
            }
            // While complete lines are buffered, their requests are collected, so that they start together. When the
            // next `read` could block, what was collected must start first.
            if !self.lines.has_next() || self.came.len() == TOGETHER_MAX {
                self.settle();
            }
        }
        self.settle();
        self.ended.cancel();
        // In this thread, because `self` holds the channel to rmcp: dropping it would end the service.
        runtime.block_on(self.calls.drain());
    }

    /// The next line within the size limit. Rejects longer ones. `None` at the end of stdin, or if it cannot be read.
    fn line(&mut self) -> Option<BytesMut> {
        loop {
            self.wait_for_client();
            match self.lines.next() {
                Ok(Some(Line::Whole(line))) => return Some(line),
                Ok(Some(Line::TooLong(id))) => {
                    self.refuse(&message::too_long("message", MESSAGE_BYTES_MAX, id));
                }
                Ok(None) => return None,
                Err(err) => {
                    // Told before the channel to rmcp is dropped, at which the service ends. There is one error.
                    let _ = self.failed.set(err);
                    return None;
                }
            }
            // As in `run`: the error response is sent before the next `read` can block.
            if !self.lines.has_next() {
                self.settle();
            }
        }
    }

    /// Blocks until the unsent responses are within their bound.
    fn wait_for_client(&mut self) {
        if !self.out.is_full() {
            return;
        }
        // Collected requests must not wait until the client has read the responses of others.
        self.settle();
        // Calls that run in the runtime can fill it again while this thread writes. If the client has closed stdout,
        // the write discards the responses, which ends the loop.
        while self.out.is_full() {
            if self.runtime.block_on(self.out.write()).is_err() {
                tracing::debug!("the client does not read its answers any more");
            }
        }
    }

    fn take(&mut self, line: &BytesMut) -> Result<(), Closed> {
        match message::read(line) {
            // Before the handshake has ended, even a request belongs to rmcp: `calls` has no peer to answer it with.
            Ok(message) if self.calls.peer().is_some() => return self.sort(message, line.len()),
            Ok(message) => return self.forward(message),
            Err(NotServed::Blank) => {}
            Err(NotServed::Unanswered) => {
                tracing::warn!("a notification or response on stdin is not valid, and is ignored");
            }
            Err(NotServed::Refused(refused)) => self.refuse(&refused),
        }
        Ok(())
    }

    /// Dispatches a message after the handshake. rmcp gets only notifications about requests that it may have started
    /// during the handshake.
    fn sort(&mut self, message: RxJsonRpcMessage<RoleServer>, line_bytes: usize) -> Result<(), Closed> {
        let notification = match message {
            JsonRpcMessage::Request(JsonRpcRequest { request, id, .. }) => {
                self.ask(id, request, line_bytes);
                return Ok(());
            }
            JsonRpcMessage::Notification(JsonRpcNotification { notification, .. }) => notification,
            // rmcp sends the questions to the client's user, and drops what answers none.
            response @ (JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_)) => {
                return self.forward(response);
            }
        };
        let is_for_rmcp = match &notification {
            ClientNotification::CancelledNotification(cancelled) => {
                // The request to be cancelled may be among those that have not started. Only started ones can be
                // cancelled.
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
        // The fields are borrowed one by one: the closure needs these three while `self.room` is borrowed.
        let (calls, came, has_refused) = (&self.calls, &mut self.came, &mut self.has_refused);
        let place = self.room.place(&request, line_bytes, &runtime, || {
            settle(&runtime, calls, came, has_refused);
        });
        match place {
            Ok(place) => self.came.push(PendingRequest { id, request, place }),
            Err(err) => {
                let error = ErrorData::invalid_request(err.to_string(), None);
                self.refuse(&Refusal::new(WrittenId::from(&id), error));
            }
        }
    }

    fn forward(&mut self, message: RxJsonRpcMessage<RoleServer>) -> Result<(), Closed> {
        // Collected requests came before this message, and the send below can block.
        self.settle();
        self.messages.blocking_send(message).map_err(|_| Closed)
    }

    fn refuse(&mut self, refused: &Refusal) {
        // The text stays out of the log: it can repeat what the client sent.
        tracing::warn!("a line on stdin is refused with error {}", refused.error.code.0);
        self.calls.refuse(refused);
        self.has_refused = true;
    }

    /// Starts the collected requests and sends the queued error responses. Must run before anything that blocks.
    fn settle(&mut self) {
        settle(&self.runtime, &self.calls, &mut self.came, &mut self.has_refused);
    }
}

fn settle(runtime: &Handle, calls: &Arc<Calls>, came: &mut Vec<PendingRequest>, has_refused: &mut bool) {
    // Errors first: starting calls can block this thread, and an error response needs nothing further.
    if std::mem::take(has_refused) {
        calls.flush();
    }
    if !came.is_empty() {
        runtime.block_on(calls.wait_for_journal());
        calls.answer_all(std::mem::take(came));
    }
}
