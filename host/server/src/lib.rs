//! Serves an Airlock host: MCP over stdio and HTTP, and an HTTP API for programs.
//!
//! Owns the transports, authentication, the two protocols, and what a server does from time to time. Must not know the engine, or the sockets of guests.

mod api;
pub mod checkpoint;
pub mod confine;
pub mod expiry;
mod headers;
pub mod mcp;
mod named;
pub mod output;
pub mod reload;
pub mod retention;
#[doc(hidden)]
pub mod seam;
pub mod transport;
