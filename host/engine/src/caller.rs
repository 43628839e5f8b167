//! Callers: which tools each may see and call, what it has used, its sessions.
//!
//! Owns the rules of a caller and the accounts that enforce them. Must not know how a caller proved its identity, which
//! is the transport's task, nor what a call does. To add a budget: its `budget::Unit`, a field of `BudgetConfig`, and a
//! line in `BudgetConfig::budgets`.

pub(crate) mod account;
pub(crate) mod answers;
pub(crate) mod budget;
pub(crate) mod facts;
pub(crate) mod ledger;
pub(crate) mod repeats;
mod rules;
pub mod session;
pub(crate) mod suspects;
pub mod token;

pub use rules::{ApproveAccess, GradesAccess, MetricsAccess, ToolPattern};
pub(crate) use rules::{CALLER_RUN, CALLER_WAIT, CallerGrants, Rules};
