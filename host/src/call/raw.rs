//! A call as it comes in, before anything is known about it.

use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::caller::Principal;
use crate::caller::session::SessionKey;

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
    /// Who hears about each step of the call, if anybody asked.
    pub progress: Option<mpsc::UnboundedSender<String>>,
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
