//! Who calls: names, what each caller may see and call, what it has used, its sessions.
//!
//! Owns the rules of a caller and the accounts that hold it to them. Must not know how a caller proved who it
//! is (that is the transport's), nor what a call does. To add a budget: a field of `CallerConfig`, its
//! `budget::Unit`, and a line in `Budgets::of`.

pub(crate) mod account;
pub(crate) mod budget;
pub mod session;
pub mod token;

use std::fmt;
use std::sync::Arc;

use crate::config::{CallerConfig, MetricsAccess, ToolPattern};
use budget::Budgets;

/// The caller of a program's own: the command line, the library, whoever started the process over stdio.
pub const LOCAL: &str = "local";

/// Whoever reaches the HTTP port without saying who it is, where the operator allows that.
pub const ANONYMOUS: &str = "anonymous";

/// A caller whose identity was established at a door.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Principal {
    /// The entry under `[callers]` whose rules it is held to.
    entry: Arc<str>,
    /// Who it is among several that share an entry: the subject of an OAuth token.
    subject: Option<Arc<str>>,
}

impl Principal {
    /// The one caller of an entry.
    pub fn named(entry: &str) -> Principal {
        Principal { entry: entry.into(), subject: None }
    }

    /// One of several that share an entry's rules. Each has budgets and sessions of its own.
    pub fn subject(entry: &str, subject: &str) -> Principal {
        Principal { entry: entry.into(), subject: Some(subject.into()) }
    }

    /// The caller of a program's own.
    pub fn local() -> Principal {
        Principal::named(LOCAL)
    }

    /// The entry under `[callers]`.
    pub fn entry(&self) -> &str {
        &self.entry
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Some(subject) => write!(f, "{}:{subject}", self.entry),
            None => f.write_str(&self.entry),
        }
    }
}

/// What a caller may do.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    tools: Vec<ToolPattern>,
    /// While a changed registry is being loaded: what its tools must match besides.
    also: Option<Vec<ToolPattern>>,
    pub(crate) run: u32,
    pub(crate) wait: u32,
    pub(crate) budgets: Budgets,
    pub(crate) metrics: MetricsAccess,
}

impl Rules {
    /// The rules that an entry states.
    pub(crate) fn of(config: &CallerConfig) -> Rules {
        let CallerConfig { tools, tokens: _, run, wait, metrics, budgets } = config;
        Rules {
            tools: tools.clone(),
            also: None,
            run: *run,
            wait: *wait,
            budgets: Budgets::of(budgets),
            metrics: *metrics,
        }
    }

    /// Everything: for the local caller, and the anonymous one, where no entry says less.
    pub(crate) fn open() -> Rules {
        Rules {
            tools: vec![ToolPattern::all()],
            also: None,
            run: crate::config::CALLER_RUN,
            wait: crate::config::CALLER_WAIT,
            budgets: Budgets::default(),
            metrics: MetricsAccess::All,
        }
    }

    /// Whether the caller may see and call a tool.
    pub(crate) fn shows(&self, tool: &str) -> bool {
        let among = |patterns: &[ToolPattern]| patterns.iter().any(|pattern| pattern.matches(tool));
        among(&self.tools) && self.also.as_deref().is_none_or(among)
    }

    /// What both allow. Both are as a registry states them, so that `also` holds what the other one says.
    pub(crate) fn narrowed(&self, other: &Rules) -> Rules {
        Rules {
            tools: self.tools.clone(),
            also: Some(other.tools.clone()),
            run: self.run.min(other.run),
            wait: self.wait.min(other.wait),
            budgets: self.budgets.and(&other.budgets),
            metrics: self.metrics.min(other.metrics),
        }
    }
}
