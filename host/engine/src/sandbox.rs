//! The sandbox: engine, compile process, cache, and one attempt to its outcome.
//!
//! Owns every `Engine`, `Store` and `Linker`. Must not know retry, MCP, or the text of a policy.

pub mod cache;
pub mod compile;
pub mod compiler;
mod confine;
mod describe;
pub mod engine;
pub mod outcome;
pub(crate) mod run;
pub(crate) mod store;
