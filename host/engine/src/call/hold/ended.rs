//! How a held call goes on: as a person decided, and for whoever makes the same call again.
//!
//! Owns what a decision comes to once the stages before have run again. Must not know who may decide.

use super::Asked;
use std::convert::Infallible;

use super::told::{gone, not_run, responded, said, unusable, void};
use crate::call::events::Events;
use crate::call::reply::{self, Delivered, Failed};
use crate::call::{ledger, recall};
use crate::generation::{Generation, Unusable};
use airlock_journal::holds::Kept;
use airlock_types::code::{Code, Ran};
use airlock_types::event::{Event, HeldCall};
use airlock_types::hold::{Hold, HoldRule, Standing};
use airlock_types::record::v3;
use airlock_types::reply::Reply;

/// A held call that a person decided about, or whose time is over.
#[derive(Debug)]
pub(crate) struct Resume {
    /// The hold, as it stands now.
    pub(crate) hold: Hold,
    /// The id of the record of the call that ends it.
    pub(crate) record: String,
    /// The reply that waits, for a held result.
    pub(crate) reply: Option<Reply>,
    /// The facts that the held call was judged by.
    pub(crate) facts: Option<Box<v3::Facts>>,
    /// Whether what is confidential of it ended with the process that held it.
    pub(crate) is_lost: bool,
}

/// Notes the hold that this call ends.
///
/// # Errors
/// When what is needed to end it is lost.
pub(in crate::call) fn resumed(events: &mut Events<'_>) -> Result<(), Failed> {
    let Some(Resume { hold, is_lost, .. }) = events.resumed.as_deref() else { return Ok(()) };
    let held = HeldCall {
        hold: hold.id.clone(),
        of: Some(hold.record.clone()),
        // Told by what was decided: how its call ends is on this record.
        standing: Some(if hold.standing == Standing::Running { "approved" } else { hold.standing.as_str() }),
        is_result: hold.is_result,
        by: hold.decided.iter().map(|decided| format!("{}: {}", decided.by, decided.what)).collect(),
    };
    let lost = is_lost.then(|| hold.clone());
    events.push(Event::Held { held: Box::new(held) });
    let Some(hold) = lost else { return Ok(()) };
    let why = "the process that held it has ended, and what is confidential of it is nowhere else";
    Err(not_approved(events, &hold).unwrap_or_else(|| void(events, &hold, why)))
}

/// The end of a call that ends the hold of a result: its tool ran, whatever keeps the result from being delivered.
pub(in crate::call) fn of_result(
    mut ended: Result<Delivered, Failed>,
    events: &Events<'_>,
) -> Result<Delivered, Failed> {
    let is_result = events.held().is_some_and(|held| held.is_result);
    if let Err(failed) = &mut ended
        && is_result
        && failed.report.ran == Ran::No
    {
        failed.report.ran = Ran::Ran;
        failed.report.retryable = false;
        failed.report.message += "\nThe tool ran before its result was held: do not ask for the same again.";
    }
    ended
}

/// What a decision comes to.
pub(super) fn ended(
    resume: &mut Resume,
    asked: &Asked,
    rules: &[HoldRule],
    events: &Events<'_>,
) -> Result<Option<Delivered>, Failed> {
    let Resume { hold, reply, .. } = resume;
    if let Some(failed) = not_approved(events, hold) {
        return Err(failed);
    }
    if let Some(why) = asked.differs(hold) {
        return Err(void(events, hold, why));
    }
    if hold.is_result {
        let age_ms = events.started_unix_ms().saturating_sub(hold.created_unix_ms);
        let again = reply.take().and_then(|reply| recall::again(reply, age_ms));
        return again.unwrap_or_else(|| Err(void(events, hold, "its result is not kept"))).map(Some);
    }
    let is_new = |rule: &&HoldRule| !hold.rules.iter().any(|held| held.asks_as(rule));
    match rules.iter().find(is_new) {
        Some(rule) => {
            Err(void(events, hold, &format!("a rule holds it now that did not then: {}", rule.rule)))
        }
        None => Ok(None),
    }
}

/// The end of a call that nobody approved. None for one that was.
fn not_approved(events: &Events<'_>, hold: &Hold) -> Option<Failed> {
    let note = hold.decided.last().and_then(|decided| decided.note.as_deref()).unwrap_or_default();
    match hold.standing {
        Standing::Rejected => Some(not_run(events, hold, &format!("a person rejected it{}", said(note)))),
        Standing::Responded => Some(responded(events, hold, note)),
        Standing::Expired => Some(not_run(events, hold, "nobody approved it in time, which counts as a no")),
        Standing::Void => Some(void(events, hold, "the process that ran it ended before the tool began")),
        Standing::Open | Standing::Running | Standing::Done => None,
    }
}

/// Ends the hold of a call whose time is over, and which is made again.
pub(super) async fn expired(host: &Generation, known: Kept, events: &Events<'_>) -> Result<Kept, Failed> {
    let now_unix_ms = events.started_unix_ms();
    // This call is the end: its record says so.
    let record = events.head.id.clone();
    let expire = move |kept: &mut Kept, _: &str| {
        let told = Hold { standing: Standing::Expired, ended_by: Some(record), ..kept.hold.clone() };
        let is_due = kept.hold.is_due(now_unix_ms);
        if is_due {
            kept.hold.ended_by.clone_from(&told.ended_by);
            kept.close(Standing::Expired);
        }
        Ok::<_, ()>(is_due.then_some(told))
    };
    let changed = host.holds().change(host.environment(), known.hold.id.clone(), expire).await;
    match changed.map_err(|_| unusable(events))? {
        Some(Ok((told, kept))) => {
            told.iter().for_each(|hold| host.tell_of(hold));
            Ok(kept)
        }
        Some(Err(())) | None => Err(unusable(events)),
    }
}

/// Ends a hold whose approved call ended without word of it: by the records, or since its process is gone and it never began.
///
/// # Errors
/// When holds or records cannot be read.
pub(crate) async fn settled(host: &Generation, kept: Kept) -> Result<Kept, Unusable> {
    let (record, open) = match &kept.hold.ended_by {
        Some(id) => host.record(id.clone()).await?,
        None => (None, None),
    };
    let is_over = record.is_some() || open.as_ref().is_some_and(|open| !open.is_running);
    let lives = host.holds().lives(host.environment(), kept.owner.clone()).await?;
    if !is_over && (lives || open.is_some()) {
        return Ok(kept);
    }
    let standing = if is_over { Standing::Done } else { Standing::Void };
    let settle = move |kept: &mut Kept, _: &str| {
        if kept.hold.standing == Standing::Running {
            kept.close(standing);
        }
        Ok::<_, Infallible>(())
    };
    let changed = host.holds().change(host.environment(), kept.hold.id.clone(), settle).await?;
    Ok(changed.and_then(Result::ok).map_or(kept, |((), changed)| changed))
}

/// The end of a hold for whoever makes the same call again: once, and after it the call is a new one.
pub(super) async fn again(
    host: &Generation,
    kept: Kept,
    events: &mut Events<'_>,
) -> Result<Delivered, Failed> {
    let hold = kept.hold;
    let apart = host.holds().apart(&hold.id);
    let (record, open) = match &hold.ended_by {
        // This call's own, where its time is over.
        Some(id) if *id != events.head.id => host.record(id.clone()).await.map_err(|_| unusable(events))?,
        Some(_) | None => (None, None),
    };
    // Of a call that was cut off: its record says that nobody knows.
    let record = record.or_else(|| open.filter(|open| !open.is_running).map(|open| open.record));
    let is_unknown = record.as_ref().is_some_and(|record| record.code == Code::OutcomeUnknown.as_str());
    // The call that ends the hold is the one that was made, and not this one.
    events.pending = None;
    if let (Some(record), Some(session)) = (&record, reply::session(events)) {
        ledger::note(host, events.caller(), session, record);
    }
    fetched(host, &hold.id).await;
    let reply = match apart.and_then(|apart| apart.reply) {
        Some(reply) => Some((*reply).clone()),
        None => {
            let record = record.filter(|record| record.confidential.is_none());
            record.and_then(|record| serde_json::from_value(record.reply?).ok())
        }
    };
    let age_ms = events.started_unix_ms().saturating_sub(hold.created_unix_ms);
    match (reply.and_then(|reply| recall::again(reply, age_ms)), hold.standing) {
        (Some(again), _) => again,
        (None, Standing::Expired) => {
            Err(not_run(events, &hold, "nobody approved it in time, which counts as a no"))
        }
        (None, Standing::Void) => {
            Err(void(events, &hold, "the process that ran it ended before the tool began"))
        }
        (None, _) => Err(gone(events, &hold, is_unknown)),
    }
}

/// Notes that whoever made a call has its end.
pub(crate) async fn fetched(host: &Generation, id: &str) {
    let fetch = |kept: &mut Kept, _: &str| {
        kept.is_fetched = true;
        Ok::<_, ()>(())
    };
    // Where this fails the same call gets the same end once more.
    let _ = host.holds().change(host.environment(), id.to_owned(), fetch).await;
    host.holds().forget(id);
}
