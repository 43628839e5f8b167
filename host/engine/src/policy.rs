//! Whether a call may run, and with what.
//!
//! Owns grants, limits and the permit. Must not know wasmtime, and does no I/O.

// Every capability is looked at wherever capabilities are told apart.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod permit;
