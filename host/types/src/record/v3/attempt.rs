//! What one attempt of a call did.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Denial, Use, Word};
use crate::usage::is_zero;

/// One attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// The tool that ran, by its public name.
    pub route: Arc<str>,
    /// SHA-256 of its component, hex.
    pub component: Arc<str>,
    /// Which attempt on this route, from 1.
    pub number: u32,
    /// The outcome code.
    pub code: Word,
    /// What it used.
    pub usage: Usage,
    /// What it logged or printed, bounded.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub log: String,
    /// Why the guest aborted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trap: Option<Trap>,
    /// Capabilities that it reached for without a grant.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub denials: Vec<String>,
    /// The same, each with the rule that decided and the grant that would allow it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub denied: Vec<Denial>,
    /// Uses of capabilities that were allowed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub uses: Vec<Use>,
    /// What the outer door found.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub findings: Vec<Finding>,
    /// What it did to the world. None for an attempt that did nothing, and after which nothing is open.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub effects: Option<Effects>,
    /// What was recorded of its imports. None where nothing was to be recorded, and for an attempt that was cut off.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recording: Option<Recording>,
}

/// What was recorded of the imports of an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// What was asked for: `metadata` or `full`.
    pub mode: Word,
    /// Imports that were answered from outside of the attempt.
    pub imports: u64,
    /// Length of the cassette in bytes, also of one that was not kept.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub bytes: u64,
    /// SHA-256 of the cassette, hex; empty where nothing came in.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub sha256: String,
    /// SHA-256 of the outcome, hex.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub end_sha256: String,
    /// Why the attempt cannot be replayed, where it cannot.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lacks: Option<String>,
    /// Whether the cassette is encrypted to the operator's key.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub sealed: bool,
    /// The cassette, as text.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub cassette: String,
}

/// What an attempt did to the world.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Effects {
    /// Effects that left the sandbox.
    pub dispatched: u64,
    /// Effects that were answered.
    pub settled: u64,
    /// Where effects went that were not answered, in earlier attempts of the call too.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub open_at: Vec<String>,
}

/// What an attempt used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Fuel, as the engine counted it.
    pub fuel: u64,
    /// Time by the clock, in microseconds.
    pub wall_us: u64,
    /// Time in which the guest was running, in microseconds.
    pub cpu_us: u64,
    /// The most memory at once, in bytes.
    pub memory_bytes: u64,
    /// What it logged or printed, in bytes, kept or not.
    pub log_bytes: u64,
    /// Requests that it sent to other hosts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub requests: u64,
    /// What it sent to other hosts, in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub up_bytes: u64,
    /// What it received from other hosts, in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub down_bytes: u64,
    /// What it wrote into files, in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub written_bytes: u64,
    /// Files, folders and links that it created.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub files_created: u64,
    /// Keys of its own store that it looked up.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub keys_read: u64,
    /// Keys of its own store that it set or removed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub keys_written: u64,
    /// Bytes of values that it read from its own store.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub value_bytes_read: u64,
    /// Bytes of values that it wrote to its own store.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub value_bytes_written: u64,
}

/// Why a guest aborted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trap {
    /// The engine's message.
    pub message: String,
    /// The guest's functions, innermost first.
    pub frames: Vec<String>,
}

/// One doubt about one place of a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The check that found it.
    pub kind: String,
    /// `pass`, `warn`, `suspect` or `reject`.
    pub verdict: Word,
    /// The place, over `result`; empty for the whole.
    pub path: String,
    /// What the contract expects.
    pub expected: String,
    /// What was there, shortened.
    pub got: String,
}
