//! What a record does not store of its plan, since it follows from what it does store: the waits and the worst case.
//!
//! A call that succeeds at once needs neither, and both would cost it more than the rest of its plan. Erased records have
//! none: waits follow from the digest of the arguments too. Must not be used on the way to the log: what an entry commits to
//! is the text as it was written.

use super::{Plan, Record, Wait, WorstCase};
use crate::plan;

impl<J> Record<J> {
    /// Adds the waits and the worst case of the plan where they are not there and can be derived.
    #[must_use]
    pub fn with_bounds(mut self) -> Record<J> {
        if let Some(plan) = self.plan.as_mut().filter(|plan| !plan.args_digest.is_empty()) {
            plan.derive_bounds();
        }
        self
    }
}

impl Plan {
    fn derive_bounds(&mut self) {
        if self.worst_case.is_some() {
            return;
        }
        // The stored form has the names of the live one. A plan of another version, or with words that this one does not
        // know, is left as it is stored.
        let live = serde_json::to_value(&*self).and_then(serde_json::from_value::<plan::Plan>);
        let Some(live) = live.ok().filter(|live| live.version == plan::VERSION) else { return };
        for (index, route) in self.routes.iter_mut().enumerate() {
            route.waits = Some(live.waits(index).into_iter().map(Wait::from).collect());
        }
        self.worst_case = Some(WorstCase::from(live.worst_case()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::{BreakerView, Inputs, Jitter, RouteInput, Scope, Verify};

    #[test]
    fn a_stored_plan_says_what_the_live_one_said() {
        let first = RouteInput {
            tool: "first".into(),
            component: "c".into(),
            effect: crate::effect::Effect::Write,
            is_closed: false,
            retry: plan::RetryPolicy::default(),
            attempt_deadline_ms: 1_000,
            useful_ms_min: 10,
            quota: 400,
            breaker: BreakerView::Closed,
            verify: Some(Verify {
                tool: "asked".into(),
                after_ms: 5,
                attempt_deadline_ms: 50,
                useful_ms_min: 1,
            }),
            cached_ms_max: None,
        };
        let open = BreakerView::Open { remaining_ms: 7, scope: Scope::Caller };
        let paused = RouteInput { tool: "second".into(), breaker: open, ..first.clone() };
        let kept = first.clone().cached(60_000);
        let jitter = Jitter::Seeded("00ff".into());
        let routes = vec![first, paused, kept];
        let live = plan::plan(Inputs { args_digest: "a".into(), jitter, deadline_ms: 30_000, routes });
        let mut stored = Plan::from(Arc::new(live.clone()));
        stored.derive_bounds();
        assert_eq!(serde_json::to_value(&stored).unwrap(), serde_json::to_value(&live).unwrap());
    }
}
