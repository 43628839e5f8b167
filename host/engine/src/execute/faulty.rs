//! Faults on purpose, at the innermost point: everything around an attempt is real.
//!
//! For drills and tests of what a plan does when attempts fail.

use std::sync::Arc;

use super::{Attempt, Execute, Outcome, RunError, Running};
use airlock_types::usage::{LimitHit, TrapReport};

/// A fault to put in the place of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The guest aborts.
    Trap,
    /// A limit ends the attempt.
    Limit(LimitHit),
    /// The engine has no room for another instance.
    Exhausted,
    /// The host fails.
    HostFailure,
}

/// Chooses the fault of an attempt; none lets it run.
type Rule = dyn Fn(&Attempt<'_>) -> Option<Fault> + Send + Sync;

/// Puts faults in front of another executor.
pub struct Faulty {
    inner: Arc<dyn Execute>,
    rule: Box<Rule>,
}

impl Faulty {
    /// Faults where `rule` says so; it sees each attempt before it runs.
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
