//! `[session]`: what a session remembers.
//!
//! Owns these settings and their defaults. Must not know what a fact is.

use serde::Deserialize;

/// What a session remembers of its calls. The oldest is forgotten first.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SessionConfig {
    /// Facts that a session keeps. Default 256, at most 1,000.
    pub facts_max: u64,
    /// Bytes that they may take, with 128 for each beside its key and its fields as JSON. Default 65,536, at most 1,048,576.
    pub facts_bytes_max: u64,
    /// Calls of tools with effects that a session remembers, to know a repeat. Default 64, at most 1,000.
    pub calls_max: u64,
    /// For how long a failure that would come again answers the same call, in milliseconds. Default 600,000.
    pub failed_ms_max: u64,
}

impl Default for SessionConfig {
    fn default() -> SessionConfig {
        SessionConfig { facts_max: 256, facts_bytes_max: 64 << 10, calls_max: 64, failed_ms_max: 600_000 }
    }
}

/// Whose facts the relations of a tool are held against.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FactConfig {
    /// Public name of the tool that gives them.
    pub from: toml::Spanned<String>,
}
