//! The ranges of the whole numbers among the settings. Zero would describe a tool, a caller or a port that can never
//! serve.
//!
//! Owns every bound on a single number. Must not know rules between settings.

use airlock_contract::facts::FACTS_MAX;
use airlock_types::limit::{MEMORY_BYTES_MAX, TABLE_ELEMENTS_MAX};
use airlock_types::range::Setting;

/// No upper bound.
const ANY: u64 = u64::MAX;

/// Every number that has a range.
pub(super) const SETTINGS: [Setting; 35] = [
    ("arguments.bytes_max", 1..=ANY),
    // The JSON parser itself stops at 128, with an error that says nothing about this setting.
    ("arguments.depth_max", 1..=120),
    ("arguments.values_max", 1..=ANY),
    ("callers.*.budgets.bytes_per_day", 1..=ANY),
    ("callers.*.budgets.bytes_per_minute", 1..=ANY),
    ("callers.*.budgets.calls_per_day", 1..=ANY),
    ("callers.*.budgets.calls_per_minute", 1..=ANY),
    ("callers.*.budgets.fuel_per_day", 1..=ANY),
    ("callers.*.budgets.fuel_per_minute", 1..=ANY),
    ("callers.*.run", 1..=ANY),
    ("compile.cache_bytes_max", 1..=ANY),
    ("compile.component_bytes_max", 1..=ANY),
    ("compile.cpu_s_max", 1..=ANY),
    // With less, the compile process cannot start its engine, and so could not report that memory is missing.
    ("compile.memory_bytes_max", (16 << 20)..=ANY),
    ("compile.wall_s_max", 1..=ANY),
    ("host.call_deadline_ms", 1..=ANY),
    // The engine's pool reserves address space for each call.
    ("host.calls_max", 1..=256),
    ("http.body_bytes_max", 1..=ANY),
    ("http.connections_max", 1..=ANY),
    ("http.read_deadline_ms", 1..=ANY),
    ("http.sessions_max", 1..=ANY),
    ("http.strangers_max", 1..=ANY),
    ("http.write_deadline_ms", 1..=ANY),
    // An empty database takes a fifth of this.
    ("journal.bytes_max", (1 << 20)..=ANY),
    // With zero calls no repeat would be known, silently.
    ("session.calls_max", 1..=1_000),
    ("session.failed_ms_max", 1..=ANY),
    ("session.facts_bytes_max", 1..=(1 << 20)),
    // Expressions are estimated by lists of this length at most.
    ("session.facts_max", 1..=FACTS_MAX),
    ("tools.*.bulkhead.run", 1..=ANY),
    ("tools.*.limits.deadline_ms", 1..=ANY),
    ("tools.*.limits.fuel", 1..=ANY),
    // The engine's pool has memories of this size.
    ("tools.*.limits.memory_bytes_max", 1..=MEMORY_BYTES_MAX),
    ("tools.*.limits.output_bytes_max", 1..=ANY),
    ("tools.*.limits.table_elements_max", 1..=TABLE_ELEMENTS_MAX),
    ("tools.*.retry.attempts", 1..=10),
];
