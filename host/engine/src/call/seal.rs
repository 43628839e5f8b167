//! The end of a call: charged, put on record, counted and answered; and its answer where the record cannot be written.

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
    /// Puts the call on record and answers it.
    pub(super) async fn seal(mut self, ended: Result<Delivered, Failed>) -> Reply {
        let (mut reply, result_bytes) = reply::reply(&self, ended);
        self.warn_of_loop(&mut reply);
        let host = self.host;
        // Before anything is given away: dropped while it waits, the call still seals itself as cancelled.
        let place = host.journal().place().await;
        self.sealed = true;
        self.push(Event::Answered { code: reply.code, result_bytes });
        // Before the commit is awaited: a caller that goes away meanwhile has used it all the same.
        self.charge();
        let (counted, durability) = (fold::counted(&self), self.durability());
        let record = self.take_record(reply.code, Json::of(&reply));
        let spare = (durability == Durability::Committed).then(|| record.clone());
        let sealed = match place {
            Ok(place) => place.seal(record, durability).await,
            Err(err) => Err(err),
        };
        if let Err(err) = sealed {
            reply = self.unsealed(reply, spare, &err);
        }
        self.finish(&reply);
        counted.count(&self, reply.code, &reply.findings);
        reply
    }

    /// What a call is answered with whose record is not where it should be. `spare` is the record of a call that began
    /// and could have effects: what ran, ran, but its result is not given away.
    fn unsealed(&self, mut reply: Reply, spare: Option<Box<Record<Json>>>, err: &JournalError) -> Reply {
        let began = spare.is_some();
        if let (JournalError::Late, Some(spare)) = (err, spare) {
            // Its record is queued; this one, of what was answered, replaces it.
            let reply = reply::unrecorded(reply);
            let record = Record { code: reply.code.into(), reply: Json::of(&reply), ..*spare };
            self.host.journal().seal_now(Box::new(record), Durability::Committed);
            return reply;
        }
        self.host.journal().lose(err);
        if began {
            reply = reply::unrecorded(reply);
        }
        reply.findings.push(Finding::record_lost());
        reply
    }

    /// The same call that fails the same way again and again: a model may not notice by itself.
    fn warn_of_loop(&self, reply: &mut Reply) {
        let session =
            reply::session(self).and_then(|id| self.host.sessions().get(&self.head.call.caller, id));
        let Some(session) = session else { return };
        let failed = reply.error.as_mut().filter(|error| !error.retryable);
        let times = session.note(|| self.digest(), failed.is_some());
        if let Some(error) = failed.filter(|_| times >= LOOP_FROM) {
            let warning = format!("You have sent this same call {times} times; its answer will not change.");
            error.message = format!("{warning}\n{}", error.message);
        }
    }

    /// What makes two calls the same: the tool, and the arguments, canonical where they were valid.
    fn digest(&self) -> String {
        let valid = self.list.iter().find_map(|event| {
            if let Event::Validated { args } = event { Some(args.as_str().to_owned()) } else { None }
        });
        let args = valid.unwrap_or_else(|| fold::args_as_they_came(&self.head.call.arguments));
        sha256(format!("{}\n{args}", self.head.tool).as_bytes())
    }
}
