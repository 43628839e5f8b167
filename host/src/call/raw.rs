//! A call as it comes in, before anything is known about it.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::caller::Principal;
use crate::caller::session::SessionKey;
pub use crate::sandbox::progress::Report;

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

/// A request to call a tool.
#[derive(Clone, Debug)]
pub struct RawCall {
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
    /// Who hears how the call goes on, if anybody asked. Bounded: a note that finds no room is dropped.
    pub progress: Option<mpsc::Sender<Note>>,
}

impl RawCall {
    /// A call of the program's own that nobody watches.
    pub fn new(tool: &str, arguments: Arguments) -> RawCall {
        RawCall {
            tool: tool.to_owned(),
            arguments,
            caller: Principal::local(),
            session: SessionKey::None,
            trace: None,
            progress: None,
        }
    }
}
