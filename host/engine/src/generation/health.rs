//! How the tools of a generation do: their retry quotas, and what their breakers stop or let through to try.
//!
//! Owns the lock of both. Must not know what a plan does with them.

use std::sync::{MutexGuard, PoisonError};

use super::{Generation, Standing};
use airlock_types::caller::Caller;
use airlock_types::environment::ms;
use airlock_types::plan::{BreakerView, Breakers, Quota, Settled};

/// The retry quota and the breakers of one tool.
pub(super) struct Health {
    pub(super) quota: Quota,
    pub(super) breakers: Breakers<Caller>,
}

/// An attempt that tries whether a paused tool works again. None for another one.
pub(crate) struct Probe<'g>(Option<(&'g Standing, Caller)>);

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        if let Some((standing, who)) = &self.0 {
            standing.health().breakers.end_probe(who);
        }
    }
}

impl Generation {
    /// The tokens of a tool's retry quota, and the state of its breakers for a caller.
    pub(crate) fn health(&self, tool: &str, who: &Caller) -> (u32, BreakerView) {
        let now = ms(self.environment().monotonic());
        self.tools.get(tool).map_or((0, BreakerView::Closed), |standing| {
            let mut health = standing.health();
            (health.quota.tokens(now), health.breakers.view(who, now))
        })
    }

    /// Begins an attempt of a tool. None for a probe beside which as many run as may, or after which the tool is paused again.
    pub(crate) fn probe(&self, tool: &str, who: &Caller, is_probe: bool) -> Option<Probe<'_>> {
        let Some(standing) = self.tools.get(tool).filter(|_| is_probe) else { return Some(Probe(None)) };
        let now = ms(self.environment().monotonic());
        let may_begin = standing.health().breakers.begin_probe(who, now);
        may_begin.then(|| Probe(Some((standing, who.clone()))))
    }

    /// Applies the effect of a call on a tool's quota and breakers.
    pub(crate) fn settle(&self, tool: &str, who: &Caller, settled: &Settled) {
        // A plan names only tools of the generation that it was made in, and settles there.
        let Some(standing) = self.tools.get(tool) else { return };
        let now = ms(self.environment().monotonic());
        // One lock for both: no call sees the quota after another call and the breakers before it.
        let mut health = standing.health();
        health.quota.settle(settled.spent, settled.gained, now);
        if let Some(code) = settled.ended {
            health.breakers.record(who, code, now);
        }
    }
}

impl Standing {
    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
