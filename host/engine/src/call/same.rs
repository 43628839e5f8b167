//! Whether a call that comes again is the one that a hold has: the same arguments, however they are written.
//!
//! Owns the digest that tells. Must not know holds: their store compares. Arguments are judged as those of a call, on the same
//! threads, and the caller is charged for the time.

use std::time::Duration;

use super::{confidential, validate};
use crate::caller::budget::Amounts;
use crate::generation::Generation;
use crate::registry::Tool;
use airlock_contract::arguments;
use airlock_contract::arguments::ArgumentLimits;
use airlock_contract::tool::{Moment, Seen};
use airlock_types::call::{Arguments, Call};
use airlock_types::digest::sha256;
use airlock_types::environment::{ms, us};
use airlock_types::usage::charge_of_work;

/// The digest of the canonical arguments of a tool's call, hex. That of confidential ones is known to this process alone.
pub(super) fn digest(host: &Generation, tool: &str, canonical: &str) -> String {
    match confidential::of(host, tool, &[]) {
        Some(_) => host.holds().salted(canonical),
        None => sha256(canonical.as_bytes()),
    }
}

/// The [`digest`] of the arguments of a call, judged as they were at this time. `None` for a tool that the caller does
/// not see, and for arguments that are not valid: no call with these was held.
pub(crate) async fn args_digest(host: &Generation, call: &Call, now_unix_ms: u64) -> Option<String> {
    let resolved = host.visible(&call.caller).candidates(&call.tool).ok()?;
    let (limits, tool) = (*host.argument_limits(), resolved.tool().clone());
    let is_heavy = match &call.arguments {
        Arguments::Text(text) => tool.contract.is_heavy(text.len()),
        Arguments::Parsed(args) => tool.contract.is_heavy(arguments::bytes_of(args)),
    };
    let environment = host.environment();
    if !is_heavy {
        let begun = environment.monotonic();
        let canonical = canonical(&limits, &tool, &call.arguments, now_unix_ms);
        charge(host, call, begun);
        return canonical.map(|canonical| digest(host, &call.tool, &canonical));
    }
    let until = environment.monotonic().saturating_add(Duration::from_millis(host.call_deadline_ms()));
    // Moved into the thread: returned with this future, it would admit more threads than the gate allows.
    let slot = host.heavy_arguments().enter(&**environment, until).await.ok()?;
    let begun = environment.monotonic();
    let arguments = call.arguments.clone();
    let judged = tokio::task::spawn_blocking(move || {
        let _slot = slot;
        canonical(&limits, &tool, &arguments, now_unix_ms)
    });
    let canonical = judged.await.ok().flatten();
    charge(host, call, begun);
    canonical.map(|canonical| digest(host, &call.tool, &canonical))
}

fn canonical(
    limits: &ArgumentLimits,
    tool: &Tool,
    arguments: &Arguments,
    now_unix_ms: u64,
) -> Option<String> {
    // What the session has seen was judged when the call was held, and is judged again when it runs.
    let moment = Moment { now_unix_ms, seen: Seen::NotJudged };
    validate::judge(limits, tool, arguments, moment).ok().map(|args| args.canonical().to_owned())
}

fn charge(host: &Generation, call: &Call, begun: Duration) {
    let worked = host.environment().monotonic().saturating_sub(begun);
    let used = Amounts { calls: 0, fuel: charge_of_work(us(worked)), bytes: 0 };
    host.accounts().charge(&call.caller, used, ms(host.environment().wall()));
}
