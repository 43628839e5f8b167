//! The end of a call: charged, recorded, counted and answered.
//!
//! Owns the order of these steps, and the answer when the record cannot be written. Must not know how records are
//! stored.

use super::events::Events;
use super::fold;
use super::repeat;
use super::reply::{self, Delivered, Failed};
use airlock_journal::{Durability, JournalError};
use airlock_types::code::Code;
use airlock_types::event::Event;
use airlock_types::finding::Finding;
use airlock_types::json::Json;
use airlock_types::record::Record;
use airlock_types::reply::Reply;

impl Events<'_> {
    /// Records the call and returns its reply.
    pub(super) async fn seal(&mut self, ended: Result<Delivered, Failed>) -> Reply {
        let (mut reply, result_bytes) = reply::reply(self, ended);
        // Before the record is made: the record holds the reply as it is sent.
        self.warn_of_loop(&mut reply);
        self.decide(&mut reply);
        let host = self.host;
        // The only wait before the record exists. Nothing has been taken out of the events yet, so a call that is
        // dropped here still seals itself as cancelled.
        let place = host.journal().place().await;
        // From here on the drop does nothing: a call has one record.
        self.sealed = true;
        self.push(Event::Answered { code: reply.code, result_bytes });
        // Before the wait for the commit: a caller that disconnects during the wait has still used the tool.
        self.charge();
        // Both are folds over the events, which the record takes next.
        let (counted, durability) = (fold::counted(self), self.durability());
        let (key, is_of_hold) = (self.key_to_keep(&reply), self.held().is_some());
        // Before the wait, too: what was changed does not depend on whether the caller waits for the record.
        let has_changed = self.tell_session(reply.code, Some(&reply));
        let record = self.take_record(reply.code, Json::of(&reply));
        let kept = key.zip(record.reply.clone());
        // A copy only for calls with effects: if the commit is late, a second record must replace the queued one.
        let spare = (durability == Durability::Committed).then(|| record.clone());
        // A missing place and a failed commit are answered alike.
        let sealed = match place {
            Ok(place) => place.seal(record, durability).await,
            Err(err) => Err(err),
        };
        if let Err(err) = sealed {
            reply = self.unsealed(reply, spare, &err);
        }
        // Facts refer to the record, so they count from here on; those of a result that is withheld do not.
        if let Some(mut facts) = self.facts.take() {
            if !reply.code.has_result() {
                facts.withhold();
            }
            facts.remember(host);
        }
        // Once more: a reply whose record was not written in time is another one.
        self.settle(Some(&reply), has_changed);
        self.pending = None;
        self.keep_for_session(&reply);
        // Boxed: few calls have a key.
        if self.key.is_some() {
            Box::pin(self.release_key(&reply, is_of_hold)).await;
        }
        // Before the answer leaves, so that the next call finds it. Boxed: few calls keep an answer.
        if let Some((key, kept)) = kept {
            let answer = kept.as_str().to_owned();
            let kept = host.answers().keep(host.environment(), key, answer, self.head.started_unix_ms);
            Box::pin(kept).await;
        }
        // After the commit: a lost record changes the code, and span and metrics must show the final one.
        self.finish(&reply);
        counted.count(self, reply.code, &reply.findings);
        reply
    }

    /// The reply when the record was not written in time. `spare` is the record of a call that began and could have
    /// effects. The effects of such a call stand, but its result is withheld.
    fn unsealed(&self, mut reply: Reply, spare: Option<Box<Record<Json>>>, err: &JournalError) -> Reply {
        let began = spare.is_some();
        if let (JournalError::Late, Some(spare)) = (err, spare) {
            // The first record is still queued. This one, with the reply that is sent, replaces it.
            let reply = reply::unrecorded(reply);
            let record = Record { code: reply.code.into(), reply: Json::of(&reply), ..*spare };
            self.host.journal().seal_now(Box::new(record), Durability::Committed);
            return reply;
        }
        // After every error but `Late` the record will never be written, so it is counted as lost here.
        self.host.journal().lose(err);
        if began {
            reply = reply::unrecorded(reply);
        }
        reply.findings.push(Finding::record_lost());
        reply
    }

    /// Warns when a caller sends the same failed call, or gets the same error, again and again.
    fn warn_of_loop(&self, reply: &mut Reply) {
        let failed = reply.error.as_ref();
        // A retryable failure may end differently next time, so repeating it is no loop, and it is no success either.
        // Asking what became of a call that waits is none either.
        if failed.is_some_and(|error| error.retryable) || self.held().is_some() {
            return;
        }
        // What was wrong is the key or the session, and not the call.
        let is_of_session =
            reply.code == Code::ArgsPrecondition && failed.is_some_and(|error| error.violations.is_empty());
        if reply.code == Code::ArgsIdempotency || is_of_session {
            return;
        }
        let (who, now_ms) = (&self.head.call.caller, self.head.started_unix_ms);
        let ended = || repeat::ended(self, reply.code, failed);
        let session = reply::session(self).and_then(|id| self.host.sessions().get(who, id));
        let in_session = session.and_then(|session| session.note(failed.is_some(), now_ms, ended));
        // Beside the session, since some clients have none and some open one for each call. Strangers share no memory:
        // one could learn from it what others sent.
        let of_caller = (!who.is_anonymous())
            .then(|| self.host.repeats().note(who, failed.is_some(), now_ms, ended))
            .flatten();
        let warning = in_session.map(repeat::in_session).or_else(|| of_caller.map(repeat::of_caller));
        if let (Some(warning), Some(error)) = (warning, reply.error.as_mut()) {
            error.message = format!("{warning}\n{}", error.message);
        }
    }
}
