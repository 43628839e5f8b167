//! The hold that the same call waits in already, or waited in.
//!
//! Owns what follows from it, also where no rule holds the call any more: nothing is made twice. Must not know how a decision is
//! carried out.

use super::ended::{expired, fetched, settled};
use super::told::unusable;
use super::{Asked, Waiting, close, key, of_key};
use crate::call::events::Events;
use crate::call::reply::{Delivered, Failed};
use crate::generation::Generation;
use crate::registry::Tool;
use airlock_journal::holds::Kept;
use airlock_types::caller::Caller;
use airlock_types::hold::{Hold, Standing};

/// Whether calls of a tool may be held, whatever they ask: by a rule, for their result, or as repeats.
pub(in crate::call) fn may_wait(host: &Generation, caller: &Caller, tool: &Tool) -> bool {
    !tool.effect.repeatable() || may_be_held(host, caller, tool)
}

/// Whether the same call may wait for a person already, or have waited: also one that no rule holds any more.
pub(super) fn may_be_held(host: &Generation, caller: &Caller, tool: &Tool) -> bool {
    let rules = host.hold_rules();
    tool.contract.checks.may_escalate()
        || tool.contract.has_holds()
        || tool.must_be_approved()
        || (!rules.is_empty() && rules.are_about(caller, &tool.name, tool.effect))
}

/// The hold in which the same call waits, or waited, for a call that may not run by now. An open one waits on.
pub(in crate::call) async fn waited(
    host: &Generation,
    events: &mut Events<'_>,
) -> Result<Option<Delivered>, Failed> {
    let Asked { args_digest, component, policy: _ } = events.asked();
    let key = key(&component, &args_digest, events);
    let known = host.holds().of_call(host.environment(), key).await.map_err(|_| unusable(events))?;
    match known {
        Some(known) => of_key(host, known, events).await.map(Some),
        None => Ok(None),
    }
}

/// The hold of the same call that waits, or that a person has decided since.
pub(super) async fn known(
    host: &Generation,
    asked: &Asked,
    events: &mut Events<'_>,
) -> Result<Option<Delivered>, Failed> {
    let key = key(&asked.component, &asked.args_digest, events);
    let known = host.holds().of_call(host.environment(), key).await.map_err(|_| unusable(events))?;
    match known {
        None => Ok(None),
        Some(known) => {
            let known =
                if waits(&known.hold, events) { without(host, *known, events).await? } else { Some(known) };
            let Some(known) = known else { return Ok(None) };
            of_key(host, known, events).await.map(Some)
        }
    }
}

/// Whether a hold is open, of a call that did not run.
fn waits(hold: &Hold, events: &Events<'_>) -> bool {
    hold.standing == Standing::Open && !hold.is_result && !hold.is_due(events.started_unix_ms())
}

/// Ends the hold of a call that no rule holds any more, so that it is not made a second time at an approval. The hold, if a
/// person was faster.
async fn without(host: &Generation, known: Kept, events: &Events<'_>) -> Result<Option<Box<Kept>>, Failed> {
    let (record, is_open) = (events.head.id.clone(), |hold: &Hold| hold.standing == Standing::Open);
    let closed = close(host, &known.hold.id, (Standing::Void, Some(record)), is_open).await;
    let kept = closed.map_err(|_| unusable(events))?;
    // Whoever asks for it by its id gets the reply of this call.
    let is_own = |kept: &Kept| kept.hold.ended_by.as_deref() == Some(&*events.head.id);
    if let Some(own) = kept.as_ref().filter(|kept| is_own(kept)) {
        fetched(host, &own.hold.id).await;
        return Ok(None);
    }
    Ok(kept.map(Box::new))
}

/// What became of the hold of the same call.
pub(super) async fn found(
    host: &Generation,
    known: Box<Kept>,
    events: &Events<'_>,
) -> Result<Waiting, Failed> {
    let known = match known.hold.standing {
        Standing::Open if known.hold.is_due(events.started_unix_ms()) => {
            expired(host, *known, events).await?
        }
        Standing::Running => settled(host, *known).await.map_err(|_| unusable(events))?,
        Standing::Open
        | Standing::Done
        | Standing::Rejected
        | Standing::Responded
        | Standing::Expired
        | Standing::Void => *known,
    };
    Ok(match known.hold.standing {
        Standing::Open | Standing::Running => Waiting::Held(Box::new(known.hold)),
        Standing::Done | Standing::Rejected | Standing::Responded | Standing::Expired | Standing::Void => {
            Waiting::Ended(Box::new(known))
        }
    })
}
