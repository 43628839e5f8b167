//! What of a record makes its call again, and why some calls cannot be made again.
//!
//! Owns which records say nothing about rules. Must not know what a call comes to.

use serde_json::Value;

use crate::call::INVALID_ARGS_BYTES_MAX;
use crate::caller::budget::Amounts;
use crate::caller::ledger::Failed;
use airlock_types::call::Arguments;
use airlock_types::code::{Code, Status};
use airlock_types::event::Repeated;
use airlock_types::record::{Record, v3};
use airlock_types::usage::Usage;

/// The arguments of a recorded call, or why it cannot be made again.
pub(super) fn arguments(record: &Record) -> Result<Arguments, String> {
    if record.erased_unix_ms.is_some() {
        return Err("what the call and its tool said was erased".to_owned());
    }
    // Not about the rules: the moment decided.
    let of_the_moment = [
        "cancelled",
        "admission.overloaded",
        "args.idempotency",
        "host.internal",
        "host.journal",
        "outcome-unknown",
        "policy.conflict",
    ];
    if of_the_moment.contains(&&*record.code) || is_about_the_session(record) {
        return Err(format!("it ended with `{}`, which says nothing about the rules", record.code));
    }
    if record.hold.as_ref().is_some_and(|hold| hold.of.is_none()) && !is_held(&record.code) {
        return Err("it was answered with the end of its hold, which has a record of its own".to_owned());
    }
    let how = record.repeat.as_ref().filter(|_| record.attempts.is_empty()).map(|repeat| &*repeat.how);
    if how == Some(Repeated::KEY) {
        return Err("it was answered as the first call with its idempotency key".to_owned());
    }
    if how == Some(Repeated::CACHED) {
        return Err("it was answered with what its session had read before".to_owned());
    }
    match &record.args {
        Some(Value::Object(args)) => Ok(Arguments::Parsed(args.clone())),
        // As they were received: no object, or not the right one. What is longer was cut.
        Some(Value::String(text)) if record.plan.is_none() && text.len() < INVALID_ARGS_BYTES_MAX => {
            Ok(Arguments::Text(text.clone().into()))
        }
        _ => Err("its arguments are not on record".to_owned()),
    }
}

/// Whether the budgets of its caller were charged for a recorded call: not for one that ended before, or at them.
pub(super) fn is_charged(record: &Record) -> bool {
    !["resolve.", Code::RateLimited.as_str()].iter().any(|code| record.code.starts_with(code))
}

/// What a recorded call used, beside one call.
pub(super) fn amounts(record: &Record) -> Amounts {
    let charge = |attempt: &v3::Attempt| {
        let v3::Usage { fuel, cpu_us, .. } = attempt.usage;
        let is_stopped = attempt.trap.is_some() || attempt.code.starts_with("limit.");
        Usage { fuel, cpu_us, ..Usage::default() }.charge(!is_stopped)
    };
    let result = record.reply.as_ref().and_then(|reply| reply.get("result"));
    let bytes = |value: &Value| value.to_string().len() as u64;
    Amounts {
        calls: 0,
        fuel: record.attempts.iter().map(charge).fold(0, u64::saturating_add),
        bytes: record.args.iter().chain(result).map(bytes).fold(0, u64::saturating_add),
    }
}

/// Whether a call was refused since its session was not known: then no argument is named.
fn is_about_the_session(record: &Record) -> bool {
    let violations = || record.reply.as_ref()?.pointer("/error/violations")?.as_array();
    record.code == Code::ArgsPrecondition.as_str() && violations().is_none_or(Vec::is_empty)
}

/// Whether a code means that the call waits for a person.
fn is_held(code: &str) -> bool {
    Code::ALL.into_iter().any(|known| known.as_str() == code && known.facts().status == Status::Held)
}

/// What stood in the way of a recorded call that repeated another one.
pub(super) fn stopped(record: &Record) -> Option<(v3::Repeat, Option<Box<Failed>>)> {
    let is_answered = [Repeated::AGAIN, Repeated::KEY, Repeated::CACHED];
    let repeat = record.repeat.clone().filter(|repeat| !is_answered.contains(&&*repeat.how))?;
    let reply = record.reply.as_ref().filter(|_| repeat.how == Repeated::FAILED);
    let failed = reply.and_then(|reply| {
        let code = Code::ALL.into_iter().find(|code| code.as_str() == record.code)?;
        let failure = serde_json::from_value(reply.get("error")?.clone()).ok()?;
        let refusal = reply.get("refusal").and_then(|refusal| serde_json::from_value(refusal.clone()).ok());
        Some(Box::new(Failed { code, failure, refusal }))
    });
    Some((repeat, failed))
}
