//! Who calls: names, what each caller may see and call, what it has used, its sessions.
//!
//! Owns the rules of a caller and the accounts that hold it to them. Must not know how a caller proved who it
//! is (that is the transport's), nor what a call does. To add a budget: its
//! `budget::Unit`, a field of `BudgetConfig`, and a line in `BudgetConfig::budgets`.

pub(crate) mod account;
pub(crate) mod budget;
mod rules;
pub mod session;
pub mod token;

pub(crate) use rules::{CALLER_RUN, CALLER_WAIT, Rules};
pub use rules::{MetricsAccess, ToolPattern};
