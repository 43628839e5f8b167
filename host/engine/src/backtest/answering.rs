//! The executor of a backtest: attempts end as they are on record, or run again with recorded imports.
//!
//! Owns what an attempt of the new rules comes to. Must not know the rules: the stages of a call around it are real.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock::Clock;
use crate::execute::{Attempt, Attempted, Execute, Outcome, Running, Sandbox};
use crate::replay::played;
use crate::sandbox::run::RunError;
use airlock_types::cassette::{Cassette, FORMAT, Header};
use airlock_types::environment::us;
use airlock_types::limit::Limits;
use airlock_types::record::v3;
use airlock_types::usage::{LimitHit, Traces, Usage};

/// What is known of one recorded attempt.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) source: Source,
    /// Time that it took, in microseconds.
    pub(super) wall_us: u64,
    /// Time in which its guest was running, in microseconds.
    pub(super) cpu_us: u64,
    pub(super) fuel: u64,
    pub(super) memory_bytes: u64,
    /// The limit that ended it.
    pub(super) ended_by: Option<LimitHit>,
    /// What it did to the world.
    pub(super) effects: v3::Effects,
    /// SHA-256 of what its tool was allowed, hex, where that is on record.
    pub(super) policy: Option<Arc<str>>,
}

/// Where its outcome comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// The guest runs again, with the answers of this cassette.
    Again(Box<Cassette>),
    /// It ended so, and what entered it is not on record.
    Ended(Outcome),
    /// Nothing says how it would end.
    Nothing(String),
}

/// The attempts of the call that is tested, by tool and number.
pub(super) type Attempts = BTreeMap<(String, u32), Known>;

/// Answers the attempts of one call at a time.
#[derive(Default)]
pub(super) struct Answering(Mutex<Current>);

#[derive(Default)]
struct Current {
    attempts: Attempts,
    /// Why the outcome of the call is not known.
    unknown: Option<String>,
}

impl Answering {
    fn current(&self) -> MutexGuard<'_, Current> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins with another call.
    pub(super) fn begin(&self, attempts: Attempts) {
        *self.current() = Current { attempts, unknown: None };
    }

    /// Ends the call. Why its outcome is not known, if it is not.
    pub(super) fn end(&self) -> Option<String> {
        let Current { attempts: _, unknown } = std::mem::take(&mut *self.current());
        unknown
    }

    fn known(&self, attempt: &Attempt<'_>) -> Option<Known> {
        self.current().attempts.remove(&(attempt.tool().to_owned(), attempt.number()))
    }

    /// Ends an attempt of which nothing is known. The first reason is the one that is told.
    fn unknown(&self, why: String) -> Attempted {
        self.current().unknown.get_or_insert(why);
        // Of all ends the one that no breaker counts: later calls must not be stopped for what is not known.
        Err(RunError::Exhausted)
    }
}

/// Runs attempts from the record in front of the sandbox.
pub(super) struct FromRecord {
    pub(super) answering: Arc<Answering>,
    pub(super) clock: Arc<Clock>,
    pub(super) sandbox: Sandbox,
}

impl Execute for FromRecord {
    fn run<'a>(&'a self, attempt: Attempt<'a>) -> Running<'a> {
        Box::pin(async move {
            // Of an attempt that was not made then, what it does without any import is known all the same.
            let mut attempt = attempt;
            let mut known = self.answering.known(&attempt).unwrap_or_else(Known::unasked);
            let within_us = us(attempt.deadline);
            self.clock.pass(Duration::from_micros(known.wall_us.min(within_us)));
            // Under the same limits it would end the same way, which is not counted again.
            let is_allowed_the_same = known.policy.as_deref() == Some(attempt.permit.policy());
            if !is_allowed_the_same
                && let Some(ended) = self.by_limits(&known, within_us, attempt.permit.limits())
            {
                if matches!(&ended, Ok(Outcome::Limit(hit)) if known.ended_by == Some(*hit)) {
                    recall(&mut attempt, &known.effects);
                }
                return ended;
            }
            if is_allowed_the_same && known.ended_by == Some(LimitHit::Deadline) {
                // A guest that runs again waits for nothing.
                known.source = Source::Ended(Outcome::Limit(LimitHit::Deadline));
            }
            match known.source {
                Source::Again(cassette) => self.again(attempt, (*cassette, &known.effects)).await,
                Source::Ended(outcome) => {
                    let Known { wall_us, cpu_us, fuel, memory_bytes, .. } = known;
                    // Budgets are charged for what it used then.
                    let usage = Usage { wall_us, cpu_us, fuel, memory_bytes, ..Usage::default() };
                    *attempt.traces = Traces::new(usage, matches!(outcome, Outcome::Value(_)));
                    recall(&mut attempt, &known.effects);
                    Ok(outcome)
                }
                Source::Nothing(why) => self.answering.unknown(why),
            }
        })
    }
}

impl FromRecord {
    /// What an attempt comes to under other limits, if that follows from what it used.
    fn by_limits(&self, known: &Known, within_us: u64, limits: &Limits) -> Option<Attempted> {
        if let Some(hit) = known.ends_at(within_us, limits) {
            return Some(Ok(Outcome::Limit(hit)));
        }
        // A guest that runs again counts for itself, except its time, of which a replay takes none.
        let runs_again = matches!(known.source, Source::Again(..));
        let hit = known.ended_by.filter(|hit| *hit == LimitHit::Deadline || !runs_again)?;
        Some(self.answering.unknown(format!("`{}` ended it, and it may have more now", hit.code())))
    }

    /// Runs the guest again. Its imports are found by arguments: one that is allowed something else may ask in another order.
    async fn again(
        &self,
        attempt: Attempt<'_>,
        (mut cassette, effects): (Cassette, &v3::Effects),
    ) -> Attempted {
        let (limits, effective) = (attempt.permit.limits(), attempt.permit.effective());
        // Of today, since it is today's rules that are tried.
        cassette.header.fuel_max = limits.fuel;
        cassette.header.memory_bytes_max = limits.memory_bytes_max;
        cassette.header.env = (*effective.env).clone();
        cassette.header.config = (*effective.config).clone();
        let tool = attempt.tool().to_owned();
        let (attempted, left) = played(&self.sandbox, attempt, (cassette, effects)).await;
        left.map_or(attempted, |left| self.answering.unknown(format!("`{tool}`: {left}")))
    }
}

/// Has an attempt that ends as it is on record do what it did: a retry depends on it.
fn recall(attempt: &mut Attempt<'_>, effects: &v3::Effects) {
    if let Some(ledger) = &attempt.ledger {
        attempt.traces.effects = ledger.recall(Some(effects));
    }
}

impl Known {
    /// Of an attempt that was not made.
    fn unasked() -> Known {
        let header = Header::default();
        let empty = Cassette { format: FORMAT, header, entries: Vec::new(), end: None };
        let source = Source::Again(Box::new(empty));
        let effects = v3::Effects::default();
        Known {
            source,
            wall_us: 0,
            cpu_us: 0,
            fuel: 0,
            memory_bytes: 0,
            ended_by: None,
            effects,
            policy: None,
        }
    }

    /// Of a recorded attempt.
    pub(super) fn of(attempt: &v3::Attempt, source: Source, policy: Option<Arc<str>>) -> Known {
        let v3::Usage { wall_us, cpu_us, fuel, memory_bytes, .. } = attempt.usage;
        let (ended_by, effects) = (limit(&attempt.code), attempt.effects.clone().unwrap_or_default());
        Known { source, wall_us, cpu_us, fuel, memory_bytes, ended_by, effects, policy }
    }

    /// The limit that would end it, by what it used.
    fn ends_at(&self, within_us: u64, limits: &Limits) -> Option<LimitHit> {
        let ends = |hit, used: u64, max: u64| used > max || (self.ended_by == Some(hit) && used == max);
        if ends(LimitHit::Deadline, self.wall_us, within_us) {
            return Some(LimitHit::Deadline);
        }
        if matches!(self.source, Source::Again(..)) {
            return None;
        }
        if ends(LimitHit::Fuel, self.fuel, limits.fuel) {
            return Some(LimitHit::Fuel);
        }
        (self.memory_bytes > limits.memory_bytes_max).then_some(LimitHit::Memory)
    }
}

/// The limit with this code.
pub(super) fn limit(code: &str) -> Option<LimitHit> {
    use LimitHit::{Deadline, Fuel, Memory, Output, Resources, Stack, Table};
    [Fuel, Deadline, Memory, Table, Output, Stack, Resources]
        .into_iter()
        .find(|hit| hit.code().as_str() == code)
}
