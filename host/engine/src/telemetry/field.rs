//! The names of span fields: the only ones there are.
//!
//! Those of OpenTelemetry's conventions for GenAI and MCP keep their names, so that dashboards know them.

/// The MCP method.
pub const METHOD: &str = "mcp.method.name";
/// The tool, by its public name.
pub const TOOL: &str = "gen_ai.tool.name";
/// Always `execute_tool`.
pub const OPERATION: &str = "gen_ai.operation.name";
/// The outcome code of whatever is no answer.
pub const ERROR: &str = "error.type";
/// The outcome code.
pub const OUTCOME: &str = "airlock.outcome";
/// The record's id.
pub const RECORD: &str = "airlock.record";
/// The caller's name.
pub const CALLER: &str = "airlock.caller";
/// Which attempt, from 1.
pub const ATTEMPT: &str = "airlock.attempt";
/// The tool that was tried: the called one, or a fallback.
pub const ROUTE: &str = "airlock.route";
/// Fuel that was used.
pub const FUEL: &str = "airlock.fuel";
