//! The identity under which a call runs.
//!
//! Owns the names of callers. Must not know how a transport authenticated them, nor their rules.

use std::fmt;
use std::sync::Arc;

/// The caller for a program's own calls: the command line, the library, and the stdio transport.
pub const LOCAL: &str = "local";

/// The caller for unauthenticated HTTP requests, where the operator allows them.
pub const ANONYMOUS: &str = "anonymous";

/// A caller whose identity was established at a door.
// Ordered, as budgets, sessions and breakers are kept in maps by caller. Both parts count, so callers that share an
// entry have separate ones.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller {
    /// The entry under `[callers]` with the rules that apply to it.
    entry: Arc<str>,
    /// Distinguishes callers that share an entry: the subject of an OAuth token.
    subject: Option<Arc<str>>,
}

impl Caller {
    /// The one caller of an entry.
    pub fn named(entry: &str) -> Caller {
        Caller { entry: entry.into(), subject: None }
    }

    /// One of several that share an entry's rules. Each has budgets and sessions of its own.
    pub fn subject(entry: &str, subject: &str) -> Caller {
        Caller { entry: entry.into(), subject: Some(subject.into()) }
    }

    /// The caller with this text, as records have it.
    pub fn recorded(text: &str) -> Caller {
        // Names of entries have no colon.
        text.split_once(':')
            .map_or_else(|| Caller::named(text), |(entry, subject)| Caller::subject(entry, subject))
    }

    /// The caller of a program's own calls: [`LOCAL`].
    pub fn local() -> Caller {
        Caller::named(LOCAL)
    }

    /// Whether it stands for everyone without credentials, who are strangers to each other.
    pub fn is_anonymous(&self) -> bool {
        self.entry() == ANONYMOUS
    }

    /// The entry under `[callers]`.
    pub fn entry(&self) -> &str {
        &self.entry
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Some(subject) => write!(f, "{}:{subject}", self.entry),
            None => f.write_str(&self.entry),
        }
    }
}
