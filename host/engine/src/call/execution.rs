//! A plan being carried out for one caller.
//!
//! Owns that the tools' health learns what the call did to it, however the call ends: a caller that goes away during
//! its retries has spent them all the same.

use std::sync::Arc;

use crate::generation::Generation;
use airlock_types::plan::{Ended, Plan, Progress, Step};
use airlock_types::principal::Principal;

pub(super) struct Execution<'h> {
    host: &'h Generation,
    who: Principal,
    pub(super) plan: Arc<Plan>,
    pub(super) progress: Progress,
}

impl<'h> Execution<'h> {
    pub(super) fn new(host: &'h Generation, who: Principal, plan: Arc<Plan>) -> Execution<'h> {
        let progress = Progress::new(&plan);
        Execution { host, who, plan, progress }
    }

    /// What to do next, now that the last attempt ended so.
    pub(super) fn next(&mut self, ended: Option<&Ended>, now_ms: u64) -> Step {
        self.plan.next(&mut self.progress, ended, now_ms)
    }
}

impl Drop for Execution<'_> {
    fn drop(&mut self) {
        for (route, settled) in self.plan.routes.iter().zip(self.progress.settled()) {
            self.host.settle(&route.input.tool, &self.who, settled);
        }
    }
}
