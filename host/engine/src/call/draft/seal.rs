//! How a call is put on record, and what it is answered with where it cannot be.

use super::Draft;
use crate::call::stage::End;
use airlock_journal::{Durability, JournalError};
use airlock_types::finding::Finding;
use airlock_types::record::{CallRecord, Json};
use airlock_types::reply::Reply;

impl Draft<'_> {
    /// Puts the call on record and answers.
    pub(in crate::call) async fn seal(mut self, end: End) -> Reply {
        let mut reply = self.reply(end);
        // Now, as a caller may go away while the record is written.
        self.settle_account();
        self.warn_of_loop(&mut reply);
        let durability = self.durability();
        // Dropped while it waits, the draft still seals itself as cancelled.
        let place = self.host.journal().place().await;
        self.sealed = true;
        let record = self.take(&reply);
        let spare = (durability == Durability::Committed).then(|| record.clone());
        let sealed = match place {
            Ok(place) => place.seal(record, durability).await,
            Err(err) => Err(err),
        };
        if let Err(err) = sealed {
            reply = self.unsealed(reply, spare, &err);
        }
        self.count(&reply);
        reply
    }

    /// What a call is answered with whose record is not where it should be. `spare` is the record of one that began
    /// and could have effects: what ran, ran, but its result is not given away.
    fn unsealed(&self, mut reply: Reply, spare: Option<Box<CallRecord<Json>>>, err: &JournalError) -> Reply {
        let began = spare.is_some();
        if let (JournalError::Late, Some(spare)) = (err, spare) {
            // Its record is queued; this one, of what was answered, replaces it.
            let reply = self.unrecorded(reply);
            let record = CallRecord { code: reply.code, reply: Json::of(&reply), ..*spare };
            self.host.journal().seal_now(Box::new(record), Durability::Committed);
            return reply;
        }
        self.host.journal().lose(err);
        if began {
            reply = self.unrecorded(reply);
        }
        reply.findings.push(Finding::record_lost());
        reply
    }

    /// A call that never began has nothing that a crash could leave open, whatever it could have done.
    pub(super) fn durability(&self) -> Durability {
        if self.intended { Durability::Committed } else { Durability::Queued }
    }
}
