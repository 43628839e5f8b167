//! A call as it comes in, before anything is known about it.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::principal::Principal;
use crate::session::SessionKey;

/// Arguments as they came.
#[derive(Clone, Debug)]
pub enum Arguments {
    /// Text, to be parsed within the caps.
    Text(Vec<u8>),
    /// Parsed by the transport; the caps are still to be applied.
    Parsed(Map<String, Value>),
}

/// The span of the caller's that a call belongs to, as HTTP headers and `_meta` say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// `traceparent`.
    pub parent: String,
    /// `tracestate`.
    pub state: Option<String>,
}

/// How far a guest says that it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// So much is done.
    pub done: f64,
    /// Of so much.
    pub total: Option<f64>,
    /// What it is doing.
    pub message: Option<String>,
}

/// What a call says of itself while it runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// The last attempt came to nothing, and another one begins.
    Attempt {
        /// The tool that is tried now.
        tool: Arc<str>,
        /// Which attempt on it, from 1.
        number: u32,
    },
    /// The tool says how far it is.
    Report(Report),
}

/// Hears how a call goes on while it runs.
///
/// `note` is called by the thread that runs the call, between two polls of the guest: it must not block. An
/// implementation with a bounded queue drops what finds no room.
pub trait Observer: Send + Sync {
    /// Takes a note, in the order in which things happened.
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
    pub caller: Principal,
    /// The session that it says it belongs to.
    pub session: SessionKey,
    /// The trace that it belongs to, by W3C trace context.
    pub trace: Option<TraceParent>,
}

impl Call {
    /// A call of the program's own that nobody watches.
    pub fn new(tool: &str, arguments: Arguments) -> Call {
        Call {
            tool: tool.to_owned(),
            arguments,
            caller: Principal::local(),
            session: SessionKey::None,
            trace: None,
        }
    }
}
