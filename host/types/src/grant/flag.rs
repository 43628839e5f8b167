//! A capability without parameters: it is requested with a reason, and granted or not.

use serde::{Deserialize, Serialize};

use super::{IMPLIED, Missing};
use crate::difference::Difference;

/// A request that has no parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Why the tool needs it.
    pub reason: String,
    /// Whether the tool runs without it. It is stopped when it uses it all the same.
    #[serde(default)]
    pub optional: bool,
}

impl Request {
    /// The request of a component without a contract, whose imports are all that is known of it.
    pub(super) fn implied() -> Request {
        Request { reason: IMPLIED.into(), optional: true }
    }
}

/// Where such a capability stands in the tables of requests and grants: `["clock"]`, `["custom", "outbox"]`. The last
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
            grant: format!("grants.{} = true", self.0.join(".")),
            optional: request.optional,
        })
    }

    /// What differs between two requests. A tool whose request became optional runs where it was refused before, which
    /// is wider.
    pub(super) fn differences(self, old: Option<&Request>, new: Option<&Request>) -> Vec<Difference> {
        let (Some(old), Some(new)) = (old, new) else {
            return Difference::of(self.0, &old, &new, new.is_some()).into_iter().collect();
        };
        let Request { reason, optional } = old;
        let part = |name| [self.0, &[name]].concat();
        let parts = [
            Difference::of(&part("optional"), optional, &new.optional, new.optional),
            Difference::of(&part("reason"), reason, &new.reason, false),
        ];
        parts.into_iter().flatten().collect()
    }
}
