//! Policy: whether a call may run, and what it may reach and use.
//!
//! Owns the decision and the permit that an allowed call gets. Must not know wasmtime, and does no I/O: time is part of
//! the request. To add a rule: a reason in `airlock_types::decision`, and its line in [`decide`].

// A new capability or reason must be handled at every match on it.
#![warn(clippy::wildcard_enum_match_arm)]

mod allowance;
mod allowances;
mod compare;
mod decide;
mod hold;
mod lint;
mod observed;
mod source;
mod verdict;

pub use allowance::Allowance;
pub use allowances::{Allowances, Sides};
pub use compare::compare;
pub use decide::{Decision, Denied, Hold, Permit, Request, decide};
pub use hold::{HoldRules, Holding};
pub use lint::{Lint, idle_callers, lint};
pub use observed::{Observed, Standing, Suggested, Suggestion, WILDCARD_FROM, suggest, unused};
pub use source::PolicySource;
pub use verdict::{CaseOf, Verdict, verdict};
