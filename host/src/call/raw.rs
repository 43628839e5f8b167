//! A call as it comes in, before anything is known about it.

use serde_json::{Map, Value};
use tokio::sync::mpsc;

/// Arguments as they came.
#[derive(Clone, Debug)]
pub enum Arguments {
    /// Text, to be parsed within the caps.
    Text(Vec<u8>),
    /// Parsed by the transport; the caps are still to be applied.
    Parsed(Map<String, Value>),
}

/// A request to call a tool.
#[derive(Clone, Debug)]
pub struct RawCall {
    /// The tool's public name.
    pub tool: String,
    /// Its arguments.
    pub arguments: Arguments,
    /// Who hears about each step of the call, if anybody asked.
    pub progress: Option<mpsc::UnboundedSender<String>>,
}

impl RawCall {
    /// A call that nobody watches.
    pub fn new(tool: &str, arguments: Arguments) -> RawCall {
        RawCall { tool: tool.to_owned(), arguments, progress: None }
    }
}
