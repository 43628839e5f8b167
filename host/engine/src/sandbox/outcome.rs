//! How an attempt ended, as data: guest trouble is never an `Err`.
//!
//! Owns the outcome and the usage of one attempt, and the reading of the engine's errors. Must not know
//! retry, MCP or the texts that an agent sees.

use airlock_types::usage::{LimitHit, TrapReport, Usage};
use wasmtime::{Trap, WasmBacktrace};

use crate::capability::Denied;
use crate::capability::limiter::Limiter;
use airlock_contract::Val;
use airlock_types::shorten;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It returned. `None` for a function without a result.
    Value(Option<Val>),
    /// The guest aborted.
    Trap(TrapReport),
    /// A limit ended it.
    Limit(LimitHit),
    /// It reached for what it was not granted.
    Denied {
        /// The capability: `clock`.
        capability: String,
        /// The function that it called.
        function: String,
    },
}

/// What an attempt leaves behind, whether it came to an outcome or was dropped half-way.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    /// What it used.
    pub usage: Usage,
    /// Fuel to charge for it, which may be more than the engine counted.
    pub charge: u64,
    /// What it logged or printed, bounded.
    pub log: String,
    /// Capabilities that it reached for without a grant.
    pub denials: Vec<String>,
    /// Whether an import with an effect had been called. No capability of this version has one.
    pub effect_dispatched: bool,
}

impl Traces {
    /// The traces of an attempt that `returned`, or did not.
    pub(super) fn new(usage: Usage, returned: bool) -> Traces {
        Traces { charge: usage.charge(returned), usage, ..Traces::default() }
    }
}

/// Reads an engine error as an outcome.
pub(super) fn read(error: &wasmtime::Error, limiter: &Limiter) -> Outcome {
    if let Some(Denied { capability, function }) = error.downcast_ref() {
        return Outcome::Denied { capability: (*capability).to_owned(), function: function.clone() };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => return Outcome::Limit(LimitHit::Deadline),
        Some(Trap::OutOfFuel) => return Outcome::Limit(LimitHit::Fuel),
        Some(Trap::StackOverflow) => return Outcome::Limit(LimitHit::Stack),
        _ => {}
    }
    // A guest that was refused memory aborts in a way of its own, so the refusal decides.
    if limiter.refused.is_some() {
        return Outcome::Limit(LimitHit::Memory);
    }
    let message = format!("{error:#}");
    // The engine's error type for this one is private, so its text is all there is; a test holds it.
    if message.contains("fuel allocated for hostcalls has been exhausted") {
        return Outcome::Limit(LimitHit::Output);
    }
    Outcome::Trap(TrapReport { message: clean(&message), frames: frames(error) })
}

/// The message without the backtrace that the engine puts in front of it.
fn clean(message: &str) -> String {
    let end = message.rsplit(": ").next().unwrap_or(message);
    shorten::shorten(&shorten::clean(end), 500)
}

/// A function's name as the component has it: text of the tool's.
fn name(name: Option<&str>) -> String {
    shorten::shorten(&shorten::clean(name.unwrap_or("<unknown>")), 200)
}

fn frames(error: &wasmtime::Error) -> Vec<String> {
    error
        .downcast_ref::<WasmBacktrace>()
        .map_or_else(Vec::new, |trace| trace.frames().iter().map(|frame| name(frame.func_name())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(fuel: u64, cpu_us: u64, returned: bool) -> u64 {
        Usage { fuel, cpu_us, ..Usage::default() }.charge(returned)
    }

    #[test]
    fn a_guest_that_was_stopped_is_charged_for_its_time() {
        assert_eq!(charge(16, 50_000, false), 500_000_000);
        assert_eq!(charge(900_000_000, 50_000, false), 900_000_000);
        assert_eq!(charge(u64::MAX, u64::MAX, false), u64::MAX);
    }

    #[test]
    fn a_guest_that_returned_is_charged_for_time_that_no_fuel_explains() {
        assert_eq!(charge(5_000, 900, true), 5_000);
        assert_eq!(charge(5_000, 51_000, true), 500_000_000);
    }
}
