//! How an attempt ended, as data: a failure of the guest is never an `Err`.
//!
//! Owns the outcome of one attempt, and the reading of the engine's errors. Must not know retry, MCP or the texts that
//! an agent sees.

use airlock_types::usage::{LimitHit, TrapReport};
use wasmtime::{Trap, WasmBacktrace};

use crate::capability::bound;
use crate::capability::limiter::Limiter;
use crate::capability::{Denied, EffectDenied};
use airlock_contract::Val;
use airlock_types::shorten;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The function returned. `None` for a function without a result.
    Value(Option<Val>),
    /// The guest aborted.
    Trap(TrapReport),
    /// The attempt reached this limit.
    Limit(LimitHit),
    /// The guest used a capability without a grant, or an effect was refused.
    Denied {
        /// The name of the capability: `clock`.
        capability: String,
        /// The function that the guest called, or why its effect was refused.
        function: String,
    },
    /// A response had the value of a secret that its request carried. None of it reached the guest.
    SecretEcho {
        /// The name of the secret.
        secret: String,
    },
}

/// Reads an engine error as an outcome. The most specific reading comes first.
pub(super) fn read(error: &wasmtime::Error, limiter: &Limiter) -> Outcome {
    // The host's own errors: the engine passes them through with a backtrace around them.
    if let Some(Denied { capability, function }) = error.downcast_ref() {
        return Outcome::Denied { capability: (*capability).to_owned(), function: function.clone() };
    }
    if let Some(denied) = error.downcast_ref::<EffectDenied>() {
        return Outcome::Denied { capability: denied.capability().to_owned(), function: denied.to_string() };
    }
    // Before the limiter: these traps name their limit, even when memory was refused earlier.
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => return Outcome::Limit(LimitHit::Deadline),
        Some(Trap::OutOfFuel) => return Outcome::Limit(LimitHit::Fuel),
        Some(Trap::StackOverflow) => return Outcome::Limit(LimitHit::Stack),
        _ => {}
    }
    if let Some(hit) = bound::fixed(error) {
        return Outcome::Limit(hit);
    }
    // A guest that was refused memory aborts in its own way, so the refusal takes precedence.
    if let Some(limit) = limiter.refused {
        return Outcome::Limit(limit);
    }
    let message = format!("{error:#}");
    // The engine's error type for this is private, so only the text identifies it. A test checks the text.
    if message.contains("fuel allocated for hostcalls has been exhausted") {
        // Within a call of the guest's it is what that hands over, and after it the result.
        let is_result = frames(error).is_empty();
        return Outcome::Limit(if is_result { LimitHit::Output } else { LimitHit::Step });
    }
    Outcome::Trap(TrapReport { message: clean(&message), frames: frames(error) })
}

/// The innermost message, without the backtrace that the engine puts in front of it. At most 500 characters.
fn clean(message: &str) -> String {
    let end = message.rsplit(": ").next().unwrap_or(message);
    shorten::shorten(&shorten::clean(end), 500)
}

/// A function's name from the component. The text is untrusted, so it is cleaned and cut.
fn name(name: Option<&str>) -> String {
    shorten::shorten(&shorten::clean(name.unwrap_or("<unknown>")), 200)
}

fn frames(error: &wasmtime::Error) -> Vec<String> {
    error
        .downcast_ref::<WasmBacktrace>()
        .map_or_else(Vec::new, |trace| trace.frames().iter().map(|frame| name(frame.func_name())).collect())
}
