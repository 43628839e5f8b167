//! What is known about why a call or an attempt failed, beyond its code.

use airlock_types::finding::Finding;
use serde_json::Value;

/// What is known about a failure, beyond its code.
#[derive(Clone, Debug, Default)]
pub(crate) struct Details {
    /// What a limit was, in words: `10,000 ms`.
    pub(crate) limit: Option<String>,
    /// Capabilities that were not granted, by kind only: an agent must not be able to probe.
    pub(crate) denied: Vec<String>,
    /// The tool's own error.
    pub(crate) detail: Option<Value>,
    /// When to try again.
    pub(crate) retry_after_ms: Option<u64>,
    /// What the outer door found.
    pub(crate) findings: Vec<Finding>,
    /// Attempts made.
    pub(crate) attempts: u32,
    /// Whether repeating can help although the code does not say so.
    pub(crate) transient: bool,
}

impl Details {
    /// No slot came free: one may in a second.
    pub(crate) fn no_slot() -> Details {
        Details { retry_after_ms: Some(1_000), ..Details::default() }
    }
}
