//! How a held call goes on: as a person decided, and for whoever makes the same call again.
//!
//! Owns what a decision comes to once the stages before have run again. Must not know who may decide.

use std::convert::Infallible;

use super::Asked;
use super::told::{gone, not_run, responded, said, unusable, void};
use crate::call::events::Events;
use crate::call::reply::{self, Delivered, Failed};
use crate::call::{ledger, recall};
use crate::generation::{Generation, Unusable};
use airlock_journal::holds::Kept;
use airlock_types::caller::Caller;
use airlock_types::code::Code;
use airlock_types::event::Event;
use airlock_types::hold::{Hold, HoldRule, Standing};
use airlock_types::record::Record;
use airlock_types::record::v3;
use airlock_types::record::v3::HeldBy;
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
    // Told by what was decided: how its call ends is on this record.
    let standing = if hold.standing == Standing::Running { "approved" } else { hold.standing.as_str() };
    let held = HeldBy {
        hold: hold.id.clone(),
        of: Some(hold.record.clone()),
        standing: Some(standing.into()),
        by: hold.decided.iter().map(|decided| format!("{}: {}", decided.by, decided.what)).collect(),
    };
    let (lost, is_result) = (is_lost.then(|| hold.clone()), hold.is_result);
    events.push(Event::Held { held: Box::new(held), is_result });
    let Some(hold) = lost else { return Ok(()) };
    let why = "the process that held it has ended, and what is confidential of it is nowhere else";
    Err(not_approved(events, &hold).unwrap_or_else(|| void(events, &hold, why)))
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
pub(super) fn not_approved(events: &Events<'_>, hold: &Hold) -> Option<Failed> {
    let note = hold.decided.last().and_then(|decided| decided.note.as_deref()).unwrap_or_default();
    match hold.standing {
        Standing::Rejected => Some(not_run(events, hold, &format!("a person rejected it{}", said(note)))),
        Standing::Responded => Some(responded(events, hold, note)),
        Standing::Expired if hold.is_approved() => {
            Some(not_run(events, hold, "it was approved, and found no room to run in time"))
        }
        Standing::Expired => Some(not_run(events, hold, "nobody approved it in time, which counts as a no")),
        Standing::Void => Some(void(events, hold, "the process that ran it ended before the tool began")),
        Standing::Open | Standing::Running | Standing::Done => None,
    }
}

/// Ends a hold that on disk `is_still` as it was found, and tells of it. The hold as it is then; none where there is none.
///
/// # Errors
/// When holds cannot be written.
pub(super) async fn close(
    host: &Generation,
    id: &str,
    (standing, ended_by): (Standing, Option<String>),
    is_still: impl FnOnce(&Hold) -> bool + Send + 'static,
) -> Result<Option<Kept>, Unusable> {
    let close = move |kept: &mut Kept, _: &str| {
        if !is_still(&kept.hold) {
            return Ok::<_, Infallible>(None);
        }
        kept.hold.ended_by = ended_by.or(kept.hold.ended_by.take());
        let told = Hold { standing, ..kept.hold.clone() };
        kept.close(standing);
        Ok(Some(told))
    };
    let changed = host.holds().change(host.environment(), id.to_owned(), close).await?;
    Ok(changed.and_then(Result::ok).map(|(told, kept)| {
        told.iter().for_each(|hold| host.tell_of(hold));
        kept
    }))
}

/// Ends the hold of a call whose time is over, and which is made again: this call is the end, and its record says so.
pub(super) async fn expired(host: &Generation, known: Kept, events: &Events<'_>) -> Result<Kept, Failed> {
    let (now_unix_ms, record) = (events.started_unix_ms(), events.head.id.clone());
    let is_due = move |hold: &Hold| hold.is_due(now_unix_ms);
    let closed = close(host, &known.hold.id, (Standing::Expired, Some(record)), is_due).await;
    closed.map_err(|_| unusable(events))?.ok_or_else(|| unusable(events))
}

/// Ends a hold whose approved call ended without word of it: by the records, or since its process is gone and it never began.
///
/// # Errors
/// When holds or records cannot be read.
pub(crate) async fn settled(host: &Generation, kept: Kept) -> Result<Kept, Unusable> {
    let (record, open) = host.record(kept.hold.ended_by.clone().unwrap_or_default()).await?;
    let is_over = record.is_some() || open.as_ref().is_some_and(|open| !open.is_running);
    let lives = host.holds().lives(host.environment(), kept.owner.clone()).await?;
    if !is_over && (lives || open.is_some()) {
        return Ok(kept);
    }
    let standing = if is_over { Standing::Done } else { Standing::Void };
    let is_running = |hold: &Hold| hold.standing == Standing::Running;
    Ok(close(host, &kept.hold.id, (standing, None), is_running).await?.unwrap_or(kept))
}

/// What is known of the end of a hold.
pub(crate) struct End {
    /// The reply, where it is kept.
    pub(crate) reply: Option<Reply>,
    /// Whether the call was cut off, so that nobody knows what it did.
    pub(crate) is_unknown: bool,
}

/// The end of a hold, for whoever made the call. Their session learns what was made, in whichever process that was.
///
/// # Errors
/// When records cannot be read.
pub(crate) async fn end_of(host: &Generation, hold: &Hold, session: Option<&str>) -> Result<End, Unusable> {
    let (record, open) = match &hold.ended_by {
        Some(id) => host.record(id.clone()).await?,
        None => (None, None),
    };
    // Of a call that was cut off: its record says that nobody knows.
    let record = record.or_else(|| open.filter(|open| !open.is_running).map(|open| open.record));
    if let (Some(record), Some(session)) = (&record, session) {
        ledger::note(host, &Caller::recorded(&hold.caller), session, record);
    }
    let is_unknown = record.as_ref().is_some_and(|record| record.code == Code::OutcomeUnknown.as_str());
    let reply = match host.holds().apart(&hold.id).and_then(|apart| apart.reply) {
        Some(reply) => Some((*reply).clone()),
        // What is confidential of it is not on record.
        None => {
            let record = record.filter(|record| record.confidential.is_none());
            record.and_then(|record| serde_json::from_value(record.reply?).ok())
        }
    };
    Ok(End { reply, is_unknown })
}

/// The end of a hold for whoever makes the same call again: once, and after it the call is a new one.
pub(super) async fn again(
    host: &Generation,
    kept: Kept,
    events: &mut Events<'_>,
) -> Result<Delivered, Failed> {
    let hold = kept.hold;
    let end = end_of(host, &hold, reply::session(events).map(String::as_str)).await;
    let End { reply, is_unknown } = end.map_err(|_| unusable(events))?;
    // The call that ends the hold is the one that was made, and not this one.
    events.pending = None;
    fetched(host, &hold.id).await;
    let age_ms = events.started_unix_ms().saturating_sub(hold.created_unix_ms);
    if let Some(again) = reply.and_then(|reply| recall::again(reply, age_ms)) {
        return again;
    }
    Err(not_approved(events, &hold).unwrap_or_else(|| gone(events, &hold, is_unknown)))
}

/// Notes that whoever made a call has its end, by their idempotency key, and tells their session of it.
pub(in crate::call) async fn told_by_key(host: &Generation, hold: &Hold, end: &Record, events: &Events<'_>) {
    if let Some(session) = reply::session(events) {
        ledger::note(host, &Caller::recorded(&hold.caller), session, end);
    }
    fetched(host, &hold.id).await;
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
