//! What a host says about itself while it runs: span fields, metrics, the parents of spans.
//!
//! Owns the closed list of names. Names follow OpenTelemetry's conventions for GenAI and MCP; what those lack is
//! under `airlock.`. Nothing here holds arguments, results or secrets. Must not know exporters.

pub mod field;
pub mod metrics;
pub mod trace;
