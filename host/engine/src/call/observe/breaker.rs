//! Tells the tools' health what a call does to it: retry quotas and breakers.
//!
//! However the call ends: a caller that goes away during its retries has spent them all the same.

use std::sync::Arc;

use crate::generation::Generation;
use airlock_types::event::Event;
use airlock_types::plan::{PathStep, Settled};
use airlock_types::principal::Principal;

pub(super) struct Breakers<'c> {
    host: &'c Generation,
    caller: &'c Principal,
    /// The tool that is being tried. A plan never comes back to an earlier one.
    current: Option<(Arc<str>, Settled)>,
}

impl<'c> Breakers<'c> {
    pub(super) fn new(host: &'c Generation, caller: &'c Principal) -> Breakers<'c> {
        Breakers { host, caller, current: None }
    }

    pub(super) fn observe(&mut self, event: &Event) {
        let Event::Stepped { step } = event else { return };
        if let PathStep::Attempt { tool, .. } = step
            && self.current.as_ref().is_none_or(|(current, _)| current != tool)
        {
            self.settle();
            self.current = Some((tool.clone(), Settled::default()));
        }
        if let Some((tool, settled)) = &mut self.current
            && tool == step.tool()
        {
            settled.observe(step);
        }
    }

    fn settle(&mut self) {
        if let Some((tool, settled)) = self.current.take() {
            self.host.settle(&tool, self.caller, &settled);
        }
    }
}

impl Drop for Breakers<'_> {
    fn drop(&mut self) {
        self.settle();
    }
}
