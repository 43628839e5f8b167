//! A capability without parameters: it is requested with a reason, and granted or not.

use serde::{Deserialize, Serialize};

use super::{IMPLIED, Missing, written};
use crate::difference::Difference;

/// A request that has no parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Why the tool needs it.
    pub reason: String,
    /// Whether the tool runs without it. A tool that then uses it all the same is stopped.
    #[serde(default)]
    pub optional: bool,
}

impl Request {
    /// The request of a component without a contract, inferred from its imports.
    pub(super) fn implied() -> Request {
        // Optional, because an import does not show that the tool calls it: toolchains import interfaces that are
        // never used.
        Request { reason: IMPLIED.into(), optional: true }
    }
}

/// The path of such a capability in the tables of requests and grants: `["clock"]`, `["custom", "outbox"]`. The last
/// part is its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag<'a>(pub(super) &'a [&'a str]);

impl Flag<'_> {
    fn name(self) -> String {
        self.0.last().copied().unwrap_or_default().to_owned()
    }

    /// What was requested and not granted.
    pub(super) fn missing(self, request: Option<&Request>, is_granted: bool) -> Option<Missing> {
        request.filter(|_| !is_granted).map(|request| Missing {
            capability: self.name(),
            asked: self.name(),
            reason: request.reason.clone(),
            grant: format!(
                "grants.{} = true",
                self.0.iter().map(|part| written::key(part)).collect::<Vec<_>>().join(".")
            ),
            optional: request.optional,
        })
    }

    /// What differs between two requests. A tool whose request became optional runs where it was refused before, which
    /// is wider.
    pub(super) fn differences(self, old: Option<&Request>, new: Option<&Request>) -> Vec<Difference> {
        let (Some(old), Some(new)) = (old, new) else {
            // Only one side has the request, or neither. An added request is wider, a removed one is not.
            return Difference::of(self.0, &old, &new, new.is_some()).into_iter().collect();
        };
        let Request { reason, optional } = old;
        let part = |name| [self.0, &[name]].concat();
        let parts = [
            Difference::of(&part("optional"), optional, &new.optional, new.optional),
            // Another reason permits nothing more.
            Difference::of(&part("reason"), reason, &new.reason, false),
        ];
        parts.into_iter().flatten().collect()
    }
}
