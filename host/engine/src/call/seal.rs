//! The end of a call: charged, recorded, counted and answered.
//!
//! Owns the order of these steps, and the answer when the record cannot be written. Must not know how records are
//! stored.

use super::events::Events;
use super::fold;
use super::reply::{self, Delivered, Failed};
use crate::caller::session::LOOP_FROM;
use airlock_journal::{Durability, JournalError};
use airlock_types::digest::sha256;
use airlock_types::event::Event;
use airlock_types::finding::Finding;
use airlock_types::json::Json;
use airlock_types::record::Record;
use airlock_types::reply::Reply;

impl Events<'_> {
    /// Records the call and returns its reply.
    pub(super) async fn seal(mut self, ended: Result<Delivered, Failed>) -> Reply {
        let (mut reply, result_bytes) = reply::reply(&self, ended);
        // Before the record is made: the record holds the reply as it is sent.
        self.warn_of_loop(&mut reply);
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
        let (counted, durability) = (fold::counted(&self), self.durability());
        let record = self.take_record(reply.code, Json::of(&reply));
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
        // After the commit: a lost record changes the code, and span and metrics must show the final one.
        self.finish(&reply);
        counted.count(&self, reply.code, &reply.findings);
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

    /// Warns when the same call fails again and again, which a model may not notice by itself.
    fn warn_of_loop(&self, reply: &mut Reply) {
        // Without a session there is nothing to compare with: each call is then its own session.
        let session =
            reply::session(self).and_then(|id| self.host.sessions().get(&self.head.call.caller, id));
        let Some(session) = session else { return };
        // A retryable failure may end differently next time, so repeating it is no loop.
        let failed = reply.error.as_mut().filter(|error| !error.retryable);
        let times = session.note(|| self.digest(), failed.is_some());
        if let Some(error) = failed.filter(|_| times >= LOOP_FROM) {
            let warning = format!("You have sent this same call {times} times; its answer will not change.");
            error.message = format!("{warning}\n{}", error.message);
        }
    }

    /// The identity of a call for the loop guard: the tool and the arguments, in canonical form when they are valid.
    fn digest(&self) -> String {
        let valid = self.list.iter().find_map(|event| {
            if let Event::Validated { args } = event { Some(args.as_str().to_owned()) } else { None }
        });
        let args = valid.unwrap_or_else(|| fold::args_as_they_came(&self.head.call.arguments));
        // The cleaned name holds no line break, so the separator is unambiguous.
        sha256(format!("{}\n{args}", self.head.tool).as_bytes())
    }
}
