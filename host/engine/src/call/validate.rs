//! The inner door as a stage: judges arguments on the runtime's worker, or on another thread when that may take long.
//!
//! Owns where the work is done and which account pays for it. Must not know the rules: the contract has them.

use std::sync::Arc;

use super::details::Details;
use super::events::Events;
use super::facts;
use super::reply::Failed;
use super::report;
use crate::admission::Rejected;
use crate::caller::account::Account;
use crate::caller::budget::Amounts;
use crate::generation::{Admitted, Generation, Resolved};
use crate::registry::Tool;
use airlock_contract::arguments;
use airlock_contract::arguments::ArgumentLimits;
use airlock_contract::facts::Facts;
use airlock_contract::tool::{Moment, Seen, UnfitArgs, ValidArgs};
use airlock_types::call::Arguments;
use airlock_types::code::Code;
use airlock_types::environment::{SharedEnvironment, ms, us, within};
use airlock_types::event::Event;
use airlock_types::json::Json;
use airlock_types::usage::charge_of_work;

/// The event of valid arguments, with their canonical text for the record.
pub(super) fn event(args: &ValidArgs) -> Event {
    // Canonical text is always JSON. The fallback stores it as a string, so that a fault would be visible in the
    // record.
    let args = Json::text(args.canonical()).or_else(|| Json::of(&args.canonical()));
    Event::Validated { args: args.unwrap_or_default() }
}

/// The end of a call whose arguments do not pass.
#[derive(Debug)]
pub(super) struct Unfit {
    pub(super) failed: Failed,
    /// The arguments, where only relations refuse them.
    pub(super) unmet: Option<Box<ValidArgs>>,
}

impl From<Failed> for Unfit {
    fn from(failed: Failed) -> Unfit {
        Unfit { failed, unmet: None }
    }
}

impl From<Unfit> for Failed {
    fn from(unfit: Unfit) -> Failed {
        unfit.failed
    }
}

/// Judges the arguments of a call. Charges the caller for the time beyond the free allowance.
pub(super) async fn validate(
    host: &Generation,
    resolved: &Resolved,
    arguments: &Arguments,
    admitted: &Admitted,
    events: &mut Events<'_>,
) -> Result<ValidArgs, Unfit> {
    let tool = resolved.tool();
    // By size, before anything is parsed: parsing is part of the work that must leave the worker.
    let is_heavy = match arguments {
        Arguments::Text(text) => tool.contract.is_heavy(text.len()),
        Arguments::Parsed(args) => tool.contract.is_heavy(arguments::bytes_of(args)),
    };
    let seen = facts::seen(host, tool, admitted, events);
    // Boxed: this path is rare, and its state would otherwise enlarge the future of every call.
    if is_heavy {
        let (judged, seen) = Box::pin(judge_aside(host, (tool, seen), arguments, admitted, events)).await?;
        events.looked(seen.as_deref());
        return judged;
    }
    let begun = host.environment().monotonic();
    let judged =
        judge(host.argument_limits(), tool, arguments, moment(events.started_unix_ms(), seen.as_deref()));
    events.worked_since(begun);
    events.looked(seen.as_deref());
    judged
}

/// When arguments are judged, and what the session has seen until then.
fn moment(now_unix_ms: u64, seen: Option<&Facts>) -> Moment<'_> {
    Moment { now_unix_ms, seen: seen.map_or(Seen::NoSession, Seen::Facts) }
}

/// Judges arguments: the general size limits first, then the tool's contract, at the time at which the call began.
pub(super) fn judge(
    argument_limits: &ArgumentLimits,
    tool: &Tool,
    arguments: &Arguments,
    moment: Moment<'_>,
) -> Result<ValidArgs, Unfit> {
    // Text is parsed under the limits, so a hostile document is refused before it is a tree.
    let args = match arguments {
        Arguments::Text(text) => arguments::parse(text, argument_limits),
        Arguments::Parsed(args) => arguments::admit(args, argument_limits).map(|()| args.clone()),
    };
    // Without an example: it would be derived from arguments that could be read.
    let args = args.map_err(|violation| report::invalid(&tool.name, vec![violation], None))?;
    tool.contract.judge(args, Some(moment)).map_err(|UnfitArgs { violations, mended, unmet }| {
        let example = tool.contract.mended(mended, moment);
        Unfit { failed: report::invalid(&tool.name, violations, example), unmet }
    })
}

/// Judges arguments on a blocking thread, within the deadline of the call. A gate bounds the number of such threads.
/// The slot is held until the thread returns, whether or not the call still waits. Every thread returns, because the
/// cost of the inner door is bounded.
async fn judge_aside(
    host: &Generation,
    (tool, seen): (&Arc<Tool>, Option<Box<Facts>>),
    arguments: &Arguments,
    admitted: &Admitted,
    events: &Events<'_>,
) -> Result<(Result<ValidArgs, Unfit>, Option<Box<Facts>>), Failed> {
    let environment = host.environment();
    let (until, now_unix_ms) = (events.ends(host.call_deadline_ms()), events.started_unix_ms());
    let slots = async {
        // The caller's own gate first: waiting calls of one caller then hold none of the slots that all callers share.
        let own = admitted.account().heavy_arguments().enter(&**environment, until).await?;
        Ok::<_, Rejected>((own, host.heavy_arguments().enter(&**environment, until).await?))
    };
    let slots = slots.await.map_err(|_| report::failed(&tool.name, Code::Overloaded, &Details::no_slot()))?;
    // The thread may outlive the call, so it owns the account and everything that it reads.
    let payer = Payer { account: admitted.account().clone(), environment: environment.clone() };
    let judged = tokio::task::spawn_blocking({
        let (argument_limits, tool, arguments) = (*host.argument_limits(), tool.clone(), arguments.clone());
        move || {
            // Moved into the thread: returned with the call, they would admit more threads than the gate allows.
            let _slots = slots;
            let judged = payer
                .charged(|| judge(&argument_limits, &tool, &arguments, moment(now_unix_ms, seen.as_deref())));
            (judged, seen)
        }
    });
    match within(&**environment, until, judged).await {
        Some(Ok(judged)) => Ok(judged),
        Some(Err(err)) => {
            tracing::error!("the arguments of `{}` could not be judged: {err}", tool.name);
            Err(report::failed(&tool.name, Code::HostInternal, &Details::default()))
        }
        // The thread goes on and charges the account. Its verdict is dropped.
        None => Err(report::judged_too_slowly(&tool.name, host.call_deadline_ms())),
    }
}

/// The caller's account, detached from the call, which may be dropped before the work is done.
struct Payer {
    account: Arc<Account>,
    environment: SharedEnvironment,
}

impl Payer {
    /// Does the work and charges the caller for its time.
    fn charged<T>(&self, work: impl FnOnce() -> T) -> T {
        let begun = self.environment.monotonic();
        let done = work();
        let fuel = charge_of_work(us(self.environment.monotonic().saturating_sub(begun)));
        // The call itself was counted when it was admitted.
        self.account.add(Amounts { calls: 0, fuel, bytes: 0 }, ms(self.environment.wall()));
        done
    }
}
