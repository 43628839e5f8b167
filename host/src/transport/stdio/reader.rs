//! The thread that reads stdin.
//!
//! A thread of its own, so that a call that is over soon is read, run and answered without a change of threads.
//! Owns what becomes of a line: calls go to `calls`, those together that came together; what is no message is
//! refused; everything else is rmcp's.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rmcp::model::{
    ClientNotification, ClientRequest, ErrorData, JsonRpcMessage, JsonRpcNotification, JsonRpcRequest,
    RequestId,
};
use rmcp::service::{RoleServer, RxJsonRpcMessage};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::calls::Calls;
use super::lines::{Line, Lines};
use super::message::{self, Unread};
use super::out::Out;

/// The largest message: arguments at their cap, written with every character escaped, and the frame.
const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// So many calls are taken together; the others have to wait to be read.
const TOGETHER_MAX: usize = 256;

/// Reads until the end, and stays until what was asked by then is answered.
pub(super) struct Reader<R> {
    lines: Lines<R>,
    calls: Arc<Calls>,
    out: Arc<Out>,
    messages: mpsc::Sender<RxJsonRpcMessage<RoleServer>>,
    runtime: Handle,
    /// Calls that were read, and not begun.
    came: Vec<(ClientRequest, RequestId)>,
}

/// Nobody waits for messages any more.
struct Gone;

impl<R: Read> Reader<R> {
    pub(super) fn new(
        stdin: R,
        calls: Arc<Calls>,
        out: Arc<Out>,
        messages: mpsc::Sender<RxJsonRpcMessage<RoleServer>>,
    ) -> Reader<R> {
        let lines = Lines::new(stdin, MESSAGE_BYTES_MAX);
        Reader { lines, calls, out, messages, runtime: Handle::current(), came: Vec::new() }
    }

    /// `drain` is the time for calls to end after the end of stdin: rmcp, told of the end, would not wait as long.
    pub(super) fn run(mut self, drain: Duration) {
        let runtime = self.runtime.clone();
        let _entered = runtime.enter();
        while let Some(line) = self.line() {
            match message::read(&line) {
                Ok(message) => {
                    if self.sort(message).is_err() {
                        return;
                    }
                }
                Err(Unread::Nothing) => {}
                Err(Unread::Invalid(id)) => {
                    self.refuse(id, ErrorData::invalid_request("this is no message of MCP", None));
                }
            }
            if !self.lines.has_next() || self.came.len() == TOGETHER_MAX {
                self.begin();
            }
        }
        self.begin();
        runtime.block_on(self.calls.drained(drain));
    }

    /// The next line that is short enough.
    fn line(&mut self) -> Option<BytesMut> {
        loop {
            match self.lines.next() {
                Ok(Some(Line::Whole(line))) => return Some(line),
                Ok(Some(Line::TooLong(id))) => {
                    let message = format!(
                        "the message was not read: it is larger than {MESSAGE_BYTES_MAX} bytes; send less"
                    );
                    self.refuse(id, ErrorData::invalid_request(message, None));
                }
                Ok(None) => return None,
                Err(err) => {
                    tracing::error!("stdin cannot be read: {err}");
                    return None;
                }
            }
        }
    }

    /// Calls go their own way, as soon as there is one; rmcp does not know then whom to cancel.
    fn sort(&mut self, message: RxJsonRpcMessage<RoleServer>) -> Result<(), Gone> {
        match message {
            JsonRpcMessage::Request(JsonRpcRequest { request, id, .. })
                if self.calls.peer().is_some() && matches!(request, ClientRequest::CallToolRequest(_)) =>
            {
                self.came.push((request, id));
                Ok(())
            }
            message => {
                self.begin();
                if let Some(id) = cancelled(&message) {
                    self.calls.cancel(id);
                }
                self.messages.blocking_send(message).map_err(|_| Gone)
            }
        }
    }

    fn begin(&mut self) {
        if self.came.is_empty() {
            return;
        }
        if self.calls.are_too_many() {
            self.runtime.block_on(self.calls.make_room());
        }
        self.calls.take(std::mem::take(&mut self.came));
    }

    /// Answers without anybody having to wait for it: a client that does not read shall not stop the reading.
    fn refuse(&self, id: Option<RequestId>, error: ErrorData) {
        let out = self.out.clone();
        self.runtime.spawn(async move {
            if let Err(err) = out.send(&JsonRpcMessage::error(error, id)).await {
                tracing::debug!("a message without a sense was not answered: {err}");
            }
        });
    }
}

/// Whom a message cancels.
fn cancelled(message: &RxJsonRpcMessage<RoleServer>) -> Option<&RequestId> {
    let JsonRpcMessage::Notification(JsonRpcNotification { notification, .. }) = message else { return None };
    let ClientNotification::CancelledNotification(cancelled) = notification else { return None };
    cancelled.params.request_id.as_ref()
}
