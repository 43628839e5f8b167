//! The allowances of one tool: for each caller that has grants of its own, and while a list of extra grants is tried.
//!
//! Made once when a registry is loaded, so that a decision only looks one up.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Allowance;
use crate::caller::CallerGrants;
use airlock_types::grant::{Effective, Grants, Missing, Narrowing, Requests};
use airlock_types::limit::Limits;

/// What the author and the operator say about a tool.
#[derive(Clone, Copy, Debug)]
pub struct Sides<'a> {
    /// What the author asks for.
    pub requests: &'a Requests,
    /// What the operator grants.
    pub grants: &'a Grants,
}

/// The allowances of one tool.
#[derive(Debug)]
pub struct Allowances {
    usual: OfCallers,
    /// Those with the grants of `report`, and their end in milliseconds since the Unix epoch.
    reported: Option<(u64, OfCallers)>,
    /// What each linked form of the component is granted.
    forms: Vec<Effective>,
}

/// An allowance for each caller.
#[derive(Debug)]
struct OfCallers {
    all: Arc<Allowance>,
    /// By the entry of the caller, with its grants.
    callers: BTreeMap<String, (Arc<Narrowing>, Arc<Allowance>)>,
}

impl Allowances {
    /// Makes them. `callers` are the entries that have grants: as they are written, and with the folders of this machine.
    pub fn new(
        usual: Sides<'_>,
        reported: Option<(u64, Sides<'_>)>,
        limits: &Limits,
        callers: &BTreeMap<String, (Arc<Narrowing>, Narrowing)>,
    ) -> Allowances {
        let mut forms = Vec::new();
        let usual = OfCallers::new(usual, None, limits, callers, &mut forms);
        let reported = reported
            .map(|(until, sides)| (until, OfCallers::new(sides, Some(&usual), limits, callers, &mut forms)));
        // Kept for each tool, and most have one.
        forms.shrink_to_fit();
        Allowances { usual, reported, forms }
    }

    /// The allowance of callers without grants of their own, without the grants of `report`.
    pub fn usual(&self) -> &Arc<Allowance> {
        &self.usual.all
    }

    /// The most that a call may have at any time.
    pub fn most(&self) -> &Arc<Allowance> {
        self.reported.as_ref().map_or(&self.usual.all, |(_, of)| &of.all)
    }

    /// The allowance of callers without grants of their own at a time, with the grants of `report` while they are in force.
    pub fn at(&self, now_unix_ms: u64) -> &Arc<Allowance> {
        &self.now(now_unix_ms).all
    }

    fn now(&self, now_unix_ms: u64) -> &OfCallers {
        let reported = self.reported.as_ref().filter(|(until, _)| now_unix_ms < *until);
        reported.map_or(&self.usual, |(_, of)| of)
    }

    /// The allowance of a caller now. `None` where its grants are not those that the tool was loaded with.
    pub(crate) fn of(
        &self,
        caller: &str,
        grants: &CallerGrants,
        now_unix_ms: u64,
    ) -> Option<&Arc<Allowance>> {
        self.now(now_unix_ms).of(caller, grants)
    }

    /// What each linked form of the component is granted.
    pub(crate) fn forms(&self) -> &[Effective] {
        &self.forms
    }
}

impl OfCallers {
    fn new(
        Sides { requests, grants }: Sides<'_>,
        usual: Option<&OfCallers>,
        limits: &Limits,
        callers: &BTreeMap<String, (Arc<Narrowing>, Narrowing)>,
        forms: &mut Vec<Effective>,
    ) -> OfCallers {
        let (effective, missing) = Effective::of(requests, grants);
        let all_usual = usual.map(|usual| usual.all.clone());
        // Once, before callers narrow it: their parts of a grant are tried like the grant.
        let effective = match &all_usual {
            Some(usual) => effective.tried_beyond(usual.effective()),
            None => effective,
        };
        let callers = callers.iter().map(|(name, (written, narrowing))| {
            let effective = effective.narrowed(narrowing);
            let missing = missing_of(name, &effective, requests, &missing);
            let usual = usual.and_then(|usual| Some(usual.callers.get(name)?.1.clone()));
            (name.clone(), (written.clone(), allowance(effective, missing, usual, limits, forms)))
        });
        let callers = callers.collect();
        OfCallers { callers, all: allowance(effective, missing, all_usual, limits, forms) }
    }

    fn of(&self, caller: &str, grants: &CallerGrants) -> Option<&Arc<Allowance>> {
        match (grants, self.callers.get(caller)) {
            (CallerGrants::All, None) => Some(&self.all),
            (CallerGrants::Only(grants), Some((loaded, allowance))) => {
                (grants == loaded).then_some(allowance)
            }
            (CallerGrants::All | CallerGrants::Only(_) | CallerGrants::Changing, _) => None,
        }
    }
}

/// An allowance, with the form of the component that runs under it.
fn allowance(
    effective: Effective,
    missing: Vec<Missing>,
    usual: Option<Arc<Allowance>>,
    limits: &Limits,
    forms: &mut Vec<Effective>,
) -> Arc<Allowance> {
    let form = forms.iter().position(|known| *known == effective).unwrap_or_else(|| {
        forms.push(effective.clone());
        forms.len() - 1
    });
    Arc::new(Allowance::new(effective, missing, limits.clone()).beyond(usual).in_form(form))
}

/// What a caller's calls lack. What the tool itself is not granted is to be granted there first.
fn missing_of(caller: &str, effective: &Effective, requests: &Requests, of_tool: &[Missing]) -> Vec<Missing> {
    let of_caller = |missing: Missing| {
        let is_of_tool = of_tool.iter().any(|other| other.asked == missing.asked);
        if is_of_tool {
            missing
        } else {
            Missing { grant: format!("callers.{caller}.{}", missing.grant), ..missing }
        }
    };
    effective.missing(requests).into_iter().map(of_caller).collect()
}
