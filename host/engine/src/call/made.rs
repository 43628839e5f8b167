//! A call that relations refuse, and that was made before: they may not hold any more since it was, or since time passed.
//!
//! Owns that whoever sends such a call again is told what became of it, and not that it was not run. Must not know how earlier
//! calls are kept. Nothing runs from here.

use super::events::Events;
use super::reply::{Delivered, Failed};
use super::validate::Unfit;
use super::{hold, idempotency, ledger, permit, validate};
use crate::generation::{Admitted, Generation, Resolved};
use airlock_types::call::Call;

/// Looks for the call before it is refused: by its idempotency key, then its hold, then its session.
///
/// # Errors
/// The refusal, unless the call was made before. It says what the session knows of it.
pub(super) async fn before(
    host: &Generation,
    call: &Call,
    resolved: Resolved,
    Unfit { mut failed, unmet }: Unfit,
    admitted: &Admitted,
    events: &mut Events<'_>,
) -> Result<Delivered, Failed> {
    // The call that ends a hold is made for the first time.
    if events.resumed.is_some() {
        return Err(hold::unfit(events, failed));
    }
    let tool = resolved.tool().clone();
    let is_kept = call.idempotency.is_some() || hold::may_wait(host, &call.caller, &tool);
    let Some(args) = unmet.filter(|_| is_kept) else { return Err(failed) };
    events.push(validate::event(&args));
    // As for any call: what a caller may not do any more is not answered from memory either.
    permit::permit(host, &call.caller, resolved, &args, admitted, events)?;
    if let Some(key) = &call.idempotency
        && let Some(again) = idempotency::check(host, key, &args, events).await?
    {
        return Ok(again);
    }
    if let Some(again) = hold::waited(host, events).await? {
        return Ok(again);
    }
    if let Some(said) = ledger::made(host, &tool, &args, admitted, events) {
        failed.report.message = format!("{}\n{said}", failed.report.message);
    }
    Err(failed)
}
