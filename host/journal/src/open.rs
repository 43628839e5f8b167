//! Calls that started and have no outcome on record. Must not know whether they run.

use airlock_types::record::Record;

/// A call that started and has no outcome on record, because its process ended while it ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupted {
    /// The id of its record.
    pub id: String,
    /// The tool that was called.
    pub tool: String,
    /// The name of its caller.
    pub caller: String,
    /// When it came, by the wall clock.
    pub started_unix_ms: u64,
}

/// A call that started and has no outcome on record until now.
#[derive(Clone, Debug)]
pub struct OpenCall {
    /// Its record, as far as it was known when the call started.
    pub record: Record,
    /// Whether the process runs that runs the call.
    pub is_running: bool,
}
