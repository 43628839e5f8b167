//! Injected faults at the innermost point; everything around an attempt is real.
//!
//! For drills, and for tests of what a plan does when attempts fail.

use std::sync::Arc;

use super::{Attempt, Execute, Outcome, RunError, Running};
use airlock_types::usage::{LimitHit, TrapReport};

/// A fault that replaces an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The guest aborts.
    Trap,
    /// The attempt reaches this limit.
    Limit(LimitHit),
    /// The engine has no room for another instance.
    Exhausted,
    /// The host fails.
    HostFailure,
}

/// Chooses the fault of an attempt; `None` lets it run.
type Rule = dyn Fn(&Attempt<'_>) -> Option<Fault> + Send + Sync;

/// An executor that injects faults in front of another one.
pub struct Faulty {
    inner: Arc<dyn Execute>,
    rule: Box<Rule>,
}

impl Faulty {
    /// Injects the faults that `rule` chooses. The rule sees each attempt before it runs.
    pub fn new(
        inner: Arc<dyn Execute>,
        rule: impl Fn(&Attempt<'_>) -> Option<Fault> + Send + Sync + 'static,
    ) -> Faulty {
        Faulty { inner, rule: Box::new(rule) }
    }
}

impl Execute for Faulty {
    fn run<'a>(&'a self, attempt: Attempt<'a>) -> Running<'a> {
        let attempted = match (self.rule)(&attempt) {
            // The inner future is returned as it is, so that an attempt without a fault pays for no second box.
            None => return self.inner.run(attempt),
            Some(Fault::Trap) => {
                Ok(Outcome::Trap(TrapReport { message: "a fault on purpose".into(), frames: Vec::new() }))
            }
            Some(Fault::Limit(hit)) => Ok(Outcome::Limit(hit)),
            Some(Fault::Exhausted) => Err(RunError::Exhausted),
            Some(Fault::HostFailure) => Err(RunError::Failed(wasmtime::format_err!("a fault on purpose"))),
        };
        Box::pin(std::future::ready(attempted))
    }
}
