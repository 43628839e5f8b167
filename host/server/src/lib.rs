//! Serves an Airlock host: MCP over stdio and HTTP, and an HTTP API for programs.
//!
//! Owns the transports, authentication and the two protocols. Must not know the engine, or the sockets of guests.

mod api;
pub mod mcp;
pub mod output;
pub mod reload;
#[doc(hidden)]
pub mod seam;
pub mod transport;
