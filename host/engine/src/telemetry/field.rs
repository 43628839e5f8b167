//! The names of span fields. Spans have no other fields.
//!
//! Fields that OpenTelemetry's conventions for GenAI and MCP define keep their names there, so that dashboards
//! recognize them.

/// The MCP method.
pub const METHOD: &str = "mcp.method.name";
/// The tool, by its public name.
pub const TOOL: &str = "gen_ai.tool.name";
/// Always `execute_tool`.
pub const OPERATION: &str = "gen_ai.operation.name";
/// The outcome code, set only when the reply has an error.
pub const ERROR: &str = "error.type";
/// The outcome code.
pub const OUTCOME: &str = "airlock.outcome";
/// The record's id.
pub const RECORD: &str = "airlock.record";
/// The caller's name.
pub const CALLER: &str = "airlock.caller";
/// The number of the attempt on its route, from 1.
pub const ATTEMPT: &str = "airlock.attempt";
/// The tool of an attempt: the called one, or a fallback.
pub const ROUTE: &str = "airlock.route";
/// Units of fuel that all attempts used.
pub const FUEL: &str = "airlock.fuel";
