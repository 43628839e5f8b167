//! Telemetry: the names of span fields, metrics, and the parents of spans.
//!
//! Owns the closed list of names. Names follow OpenTelemetry's conventions for GenAI and MCP; names that those lack
//! begin with `airlock.`. Nothing here holds arguments, results or secrets. Must not know exporters. To add a field: a
//! constant in `field`; a metric: a field of `metrics::Metrics` and its line in `register`.

pub mod field;
pub mod metrics;
pub mod trace;
