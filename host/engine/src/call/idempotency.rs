//! The idempotency key of a call: whether a call came with it before, and what became of that one.
//!
//! Owns what follows: the stored reply, a conflict while the first one runs, a refusal for other arguments. Must not know how
//! keys are kept. A call without a key costs one comparison.

use super::details::Details;
use super::events::Events;
use super::fold;
use super::hold;
use super::recall;
use super::reply::{self, Delivered, Failed};
use super::report;
use crate::generation::{Generation, RunningKey};
use airlock_contract::tool::ValidArgs;
use airlock_journal::OpenCall;
use airlock_journal::holds::{Found as HoldFound, Kept};
use airlock_journal::keys::{Asked, Begun};
use airlock_types::call::IDEMPOTENCY_KEY_CHARS_MAX;
use airlock_types::code::{Code, Ran};
use airlock_types::digest::sha256;
use airlock_types::event::{Event, Repeated};
use airlock_types::hold::{Hold, Standing};
use airlock_types::record::Record;
use airlock_types::reply::Reply;

/// The least time for which retention keeps a record. A call with effects that has none after it may have been made; one without
/// any before it never began.
const KEPT_MS_MIN: u64 = 60_000;

/// Most holds of one call: of itself, and of its result.
const HOLDS_OF_CALL_MAX: usize = 2;

/// Looks whether a call came with this key before. The reply of that one is returned; without one this call goes on, and its key
/// is on disk.
///
/// # Errors
/// When the first call runs, was another one, or left no reply that could be given again.
pub(super) async fn check(
    host: &Generation,
    key: &str,
    args: &ValidArgs,
    events: &mut Events<'_>,
) -> Result<Option<Delivered>, Failed> {
    if let Some(why) = unfit(key, events) {
        return Err(refused(events, &why, "Send it without a key, or with one that can be used."));
    }
    let caller = events.caller().to_string();
    let digest = sha256(format!("{caller}\n{key}").as_bytes());
    let Some(running) = host.keys().run(digest.clone()) else { return Err(conflict(events)) };
    let asked = Asked {
        caller,
        key: digest,
        fingerprint: sha256(format!("{}\n{}", events.tool(), args.canonical()).as_bytes()),
        record: events.head.id.clone(),
        now_unix_ms: events.started_unix_ms(),
    };
    let mut void = None;
    // Twice at most: the record of a call that did nothing gives its place to this one.
    while let Some(first) = begin(host, &asked, void.take(), events).await? {
        if first.fingerprint != asked.fingerprint {
            let mend = "The same key is for the same call, as it was sent before. If this is to be that call, find out what that one \
                        did before you send this one with another key: both would be made.";
            return Err(refused(events, "it came with another tool or other arguments before", mend));
        }
        let age_ms = asked.now_unix_ms.saturating_sub(first.begun_unix_ms);
        let is_young = age_ms < KEPT_MS_MIN;
        let became = match find(host, first.record.clone(), events).await? {
            Found::Ended(record) => Some(followed(host, *record, events).await?),
            Found::Running => return Err(conflict(events)),
            // Another process has it, and is about to begin it or to write its record.
            Found::Nothing if first.is_elsewhere && is_young => return Err(conflict(events)),
            Found::Nothing => None,
        };
        let is_read = fold::effect(&events.list).repeatable();
        if became.as_ref().map_or(is_read || is_young, |became| became.may_run_again(is_read, events)) {
            void = Some(first.record);
            continue;
        }
        events.push(Event::Repeated {
            repeated: Repeated { of: Some(first.record.clone()), how: Repeated::KEY },
        });
        return match became {
            Some(Became { hold: Some(kept), is_end: false, .. }) => {
                hold::of_key(host, kept, events).await.map(Some)
            }
            Some(Became { record, hold, is_end: _ }) => {
                if let Some(kept) = hold {
                    hold::told_by_key(host, &kept.hold, &record, events).await;
                }
                again(events, Some(record), &first).map(Some)
            }
            None => again(events, None, &first).map(Some),
        };
    }
    events.key = Some(Box::new(running));
    Ok(None)
}

async fn begin(
    host: &Generation,
    asked: &Asked,
    void: Option<String>,
    events: &Events<'_>,
) -> Result<Option<Begun>, Failed> {
    let begun = host.keys().begin(host.environment(), asked.clone(), void).await;
    begun.map_err(|_| unusable(events))
}

/// What the journal has of the first call.
enum Found {
    Ended(Box<Record>),
    Running,
    Nothing,
}

async fn find(host: &Generation, id: String, events: &Events<'_>) -> Result<Found, Failed> {
    let (ended, open) = host.record(id).await.map_err(|_| unusable(events))?;
    Ok(match (ended, open) {
        (Some(record), _) => Found::Ended(Box::new(record)),
        (None, Some(OpenCall { is_running: true, .. })) => Found::Running,
        // Of a process that is gone: its record says that nobody knows.
        (None, Some(OpenCall { record, .. })) => Found::Ended(Box::new(record)),
        (None, None) => Found::Nothing,
    })
}

/// What became of the first call.
struct Became {
    /// The record that ended the last hold in which the call, or its result, waited; the call's own if it waits, or was not held.
    record: Record,
    /// That hold.
    hold: Option<Box<Kept>>,
    /// Whether the record is the end of the hold.
    is_end: bool,
}

/// Follows a record to the end of the holds in which its call, or its result, waited.
async fn followed(host: &Generation, record: Record, events: &Events<'_>) -> Result<Became, Failed> {
    let mut became = Became { record, hold: None, is_end: false };
    // A call can wait, and its result after it. An end is not followed further.
    for _ in 0..HOLDS_OF_CALL_MAX {
        let Some(id) = waited_in(&became.record) else { break };
        let found = host.holds().find(host.environment(), id).await.map_err(|_| unusable(events))?;
        let HoldFound::One(kept) = found else { break };
        let ended_by = kept.hold.ended_by.clone();
        (became.hold, became.is_end) = (Some(kept), false);
        let Some(id) = ended_by else { break };
        match find(host, id, events).await? {
            Found::Ended(ended) => (became.record, became.is_end) = (*ended, true),
            Found::Running | Found::Nothing => break,
        }
    }
    Ok(became)
}

/// The hold in which a call waits, or whose end it was told.
fn waited_in(record: &Record) -> Option<String> {
    waits_in(record).map(str::to_owned).or_else(|| {
        // One with the record of a held call is itself the end of that hold.
        let held = record.hold.as_ref().filter(|held| held.of.is_none())?;
        Some(held.hold.clone())
    })
}

fn waits_in(record: &Record) -> Option<&str> {
    record.reply.as_ref()?.pointer("/hold/id")?.as_str()
}

impl Became {
    /// Whether the call may run: the first one neither ran nor may have, as it was cancelled, or stopped, before its first
    /// attempt; or it only read, and its reply cannot be given.
    fn may_run_again(&self, is_read: bool, events: &Events<'_>) -> bool {
        let Became { record, hold, is_end } = self;
        if is_read && (record.reply.is_none() || record.confidential.is_some()) {
            return true;
        }
        let is_unknown = record.code == Code::OutcomeUnknown.as_str();
        let has_run = !record.attempts.is_empty() || is_unknown || record.code.starts_with("ok");
        if has_run || record.repeat.is_some() {
            return false;
        }
        match hold.as_deref() {
            Some(kept) if *is_end => !is_decided(&kept.hold, record),
            // In the same session it meets its hold, if a rule still holds it. In another one it would get a second hold.
            Some(kept) => kept.hold.standing == Standing::Void || is_of_session(record, events),
            // What was told of the end of a hold that is forgotten by now still is the end.
            None => record.hold.is_none() || record.reply.is_none() || waits_in(record).is_some(),
        }
    }
}

/// Whether a recorded call was made in the session of this one.
fn is_of_session(record: &Record, events: &Events<'_>) -> bool {
    let own = reply::session(events).map(|id| fold::session_digest(id));
    record.session == own
}

/// Whether the end of a hold is the end of its call for good, although that did not run then: a person said no or answered in its
/// place, or nobody approved it in time. A void one is judged anew, unless its tool ran.
fn is_decided(hold: &Hold, end: &Record) -> bool {
    let is_void = matches!(hold.standing, Standing::Open | Standing::Running | Standing::Void);
    hold.is_result || (!is_void && end.reply.is_some())
}

/// Without the file nobody knows whether the call was made before.
fn unusable(events: &Events<'_>) -> Failed {
    report::failed(events.tool(), Code::HostJournal, &Details::default())
}

/// Why a key cannot be one.
fn unfit(key: &str, events: &Events<'_>) -> Option<String> {
    let is_text = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
    if events.caller().is_anonymous() {
        // One stranger must not get what another one was answered.
        Some("a key is of a caller, and this one has no credentials".to_owned())
    } else if !is_text || key.len() > IDEMPOTENCY_KEY_CHARS_MAX {
        Some(format!("a key is 1 to {IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters without spaces"))
    } else {
        None
    }
}

fn refused(events: &Events<'_>, why: &str, mend: &str) -> Failed {
    let mut failed = report::failed(events.tool(), Code::ArgsIdempotency, &Details::default());
    failed.report.message = format!(
        "Call to `{}` was not run: its idempotency key (header `Idempotency-Key`, `dev.airlock/idempotency_key` in `_meta`, \
         or `--idempotency-key`) cannot be used: {why}.\nThe tool did not run.\n{mend}",
        events.tool()
    );
    failed
}

fn conflict(events: &Events<'_>) -> Failed {
    let details = Details { retry_after_ms: Some(1_000), ..Details::default() };
    let mut failed = report::failed(events.tool(), Code::PolicyConflict, &details);
    failed.report.message = format!(
        "`{}` was not run: a call with the same idempotency key is running.\nThe tool did not run a second time.\nSend it again with \
         the same key after 1000 ms: then the reply of that call is given.",
        events.tool()
    );
    failed
}

/// The reply of the first call, once more.
fn again(events: &Events<'_>, record: Option<Record>, first: &Begun) -> Result<Delivered, Failed> {
    let reply = record.as_ref().filter(|record| record.confidential.is_none());
    let reply = reply.and_then(|record| serde_json::from_value::<Reply>(record.reply.clone()?).ok());
    let Some(reply) = reply else { return Err(gone(events, record.as_ref(), first)) };
    let age_ms = events.started_unix_ms().saturating_sub(first.begun_unix_ms);
    recall::again(reply, age_ms).unwrap_or_else(|| Err(gone(events, record.as_ref(), first)))
}

/// The end of a call whose first one left no reply: its process ended, or the reply is not kept in the clear.
fn gone(events: &Events<'_>, record: Option<&Record>, first: &Begun) -> Failed {
    let cut_off = [Code::OutcomeUnknown, Code::Cancelled];
    let is_unknown = record.is_some_and(|record| cut_off.iter().any(|code| record.code == code.as_str()));
    let (code, what) = if is_unknown {
        (Code::OutcomeUnknown, "was cut off, and may have been made or not")
    } else if record.is_some_and(|record| record.attempts.is_empty()) {
        (Code::PolicyDuplicate, "waited for a person, who decided about it, and its reply is not kept")
    } else {
        (Code::PolicyDuplicate, "was made, and its reply is not kept")
    };
    let mut failed = report::failed(events.tool(), code, &Details::default());
    failed.report.ran = if is_unknown { Ran::MayHave } else { Ran::No };
    failed.report.message = format!(
        "`{}` was not run: the call with the same idempotency key {what} (record {}).\nDo not send it with another key before you \
         know whether the change was made; ask your user.",
        events.tool(),
        first.record
    );
    failed
}

impl Events<'_> {
    /// Lets a key go whose call did not run, so that it can be sent again.
    pub(super) async fn release_key(&mut self, reply: &Reply, is_of_hold: bool) {
        let Some(key) = self.key.take() else { return };
        // That of a call that waits leads to the hold, and by it to the call that its approval makes. That of a call which was
        // told the end of a hold leads to that end.
        if !is_of_hold && reply.error.as_ref().is_some_and(|error| error.ran == Ran::No) {
            let RunningKey { key, .. } = &*key;
            let host = self.host;
            host.keys().forget(host.environment(), key.clone(), reply.record.clone()).await;
        }
    }
}
