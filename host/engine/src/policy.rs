//! Whether a call may run, and with what.
//!
//! Owns the decision, and the permit that comes of a yes. Must not know wasmtime, and does no I/O: time is part of the
//! request. To add a rule: a reason in `airlock_types::decision`, and its line in [`decide`].

// Every capability is looked at wherever capabilities are told apart.
#![warn(clippy::wildcard_enum_match_arm)]

mod allowance;
mod decide;

pub use allowance::Allowance;
pub use decide::{Decision, Denied, Hold, Permit, Request, decide};
