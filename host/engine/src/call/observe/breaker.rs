//! Settles what a call means for the health of its tools: retry quotas and breakers.
//!
//! A call settles however it ends: a caller that disconnects during retries has spent their quota.

use std::sync::Arc;

use crate::generation::Generation;
use airlock_types::caller::Caller;
use airlock_types::event::Event;
use airlock_types::plan::{PathStep, Settled};

/// Follows one tool at a time and settles it when the plan moves on, or when the call ends.
pub(super) struct Breakers<'c> {
    host: &'c Generation,
    caller: &'c Caller,
    /// The tool that is being tried, and what to settle for it. A plan never returns to an earlier tool.
    current: Option<(Arc<str>, Settled)>,
}

impl<'c> Breakers<'c> {
    pub(super) fn new(host: &'c Generation, caller: &'c Caller) -> Breakers<'c> {
        Breakers { host, caller, current: None }
    }

    pub(super) fn observe(&mut self, event: &Event) {
        let Event::Stepped { step } = event else { return };
        // A first attempt on another tool: the plan has left the earlier one for good.
        if let PathStep::Attempt { tool, .. } = step
            && self.current.as_ref().is_none_or(|(current, _)| current != tool)
        {
            self.settle();
            self.current = Some((tool.clone(), Settled::default()));
        }
        // Steps about other tools, such as a skipped fallback, say nothing about the current one.
        if let Some((tool, settled)) = &mut self.current
            && tool == step.tool()
        {
            settled.observe(step);
        }
    }

    /// Applies what was observed about the current tool. Does nothing the second time.
    fn settle(&mut self) {
        if let Some((tool, settled)) = self.current.take() {
            self.host.settle(&tool, self.caller, &settled);
        }
    }
}

impl Drop for Breakers<'_> {
    fn drop(&mut self) {
        // The last tool of the plan: no later step settles it, and a cancelled call has no later step at all.
        self.settle();
    }
}
