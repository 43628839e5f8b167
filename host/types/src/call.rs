//! A call as it comes in, before anything is known about it.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::caller::Caller;
use crate::session::SessionKey;

/// The header of a call's idempotency key.
pub const IDEMPOTENCY_HEADER: &str = "idempotency-key";

/// Characters of the longest idempotency key.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;

/// Arguments as received from the transport.
#[derive(Clone, Debug)]
pub enum Arguments {
    /// JSON text, parsed later within the limits. It is shared, so that the transport's buffer, the validation and the
    /// record read the same bytes.
    Text(Bytes),
    /// JSON parsed by the transport. The limits are applied later.
    Parsed(Map<String, Value>),
}

/// The caller's trace span that a call belongs to, from HTTP headers or `_meta`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// `traceparent`.
    pub parent: String,
    /// `tracestate`.
    pub state: Option<String>,
}

/// A progress report of a guest.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Work done so far, in the tool's own unit.
    pub done: f64,
    /// All work, in the same unit, where known.
    pub total: Option<f64>,
    /// The current step, as text.
    pub message: Option<String>,
}

/// A notice about a running call.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// The last attempt failed, and another one starts.
    Attempt {
        /// The tool of the new attempt.
        tool: Arc<str>,
        /// The attempt's number on this tool, from 1.
        number: u32,
    },
    /// The tool reports its progress.
    Report(Report),
}

/// Receives notices about a call while it runs.
///
/// The thread that runs the call invokes `note` between two polls of the guest, so it must not block. An implementation
/// with a bounded queue drops notices when the queue is full.
pub trait Observer: Send + Sync {
    /// Receives a notice. Notices arrive in the order of events.
    fn note(&self, note: Note);
}

impl<F: Fn(Note) + Send + Sync> Observer for F {
    fn note(&self, note: Note) {
        self(note);
    }
}

/// A request to call a tool.
#[derive(Clone, Debug)]
pub struct Call {
    /// The tool's public name.
    pub tool: String,
    /// Its arguments.
    pub arguments: Arguments,
    /// Who calls.
    pub caller: Caller,
    /// The session that it says it belongs to.
    pub session: SessionKey,
    /// The caller's key for this call: the same call with the same key is made once.
    pub idempotency: Option<String>,
    /// The trace that it belongs to, by W3C trace context.
    pub trace: Option<TraceParent>,
}

impl Call {
    /// A call by the embedding program itself, without an observer.
    pub fn new(tool: &str, arguments: Arguments) -> Call {
        Call {
            tool: tool.to_owned(),
            arguments,
            caller: Caller::local(),
            session: SessionKey::None,
            idempotency: None,
            trace: None,
        }
    }
}
