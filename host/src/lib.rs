//! Airlock: a WebAssembly tool host that makes the tool calls of agents disciplined.

pub mod call;
pub mod contract;
