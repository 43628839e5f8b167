//! Answers of a session that are given again, of tools whose contract says for how long (`cache`).
//!
//! Owns which answers are kept and when one counts: within its time, under the same policy, and until a call of the session may
//! have changed what it read. Must not know how a session keeps them. A tool without `cache` costs one comparison.

use std::sync::Arc;

use super::confidential;
use super::events::Events;
use super::permit::PermittedRoute;
use super::recall::kept;
use super::reply::Delivered;
use crate::caller::answers::Read;
use crate::caller::session::Session;
use crate::registry::Tool;
use airlock_contract::tool::ValidArgs;
use airlock_types::code::Code;
use airlock_types::digest::sha256;
use airlock_types::event::{Event, Repeated};
use airlock_types::reply::Reply;

/// A call whose answer its session keeps.
pub(super) struct Keeping {
    session: Arc<Session>,
    digest: String,
}

/// The answer to the same call of the session, if it still counts. Otherwise the answer of this one is kept.
pub(super) fn check(
    routes: &[PermittedRoute],
    args: &ValidArgs,
    session: Option<&str>,
    events: &mut Events<'_>,
) -> Option<Delivered> {
    let tool = &routes.first()?.candidate.tool;
    let age_ms_max = tool.contract.cache_ms_max?;
    let id = session?;
    let session = events.host.sessions().get(events.caller(), id)?;
    let (component, policy) = (&tool.component.digest, events.policy()?);
    // Of this policy alone: what was read by a grant must not be told after it was taken back.
    let digest = sha256([&*tool.name, component, policy, args.canonical()].join("\n").as_bytes());
    let found = session.answers().find(&digest, events.started_unix_ms(), age_ms_max);
    let found = found.filter(|read| !may_have_changed(&session, tool, read.asked_unix_ms));
    // A held call of the session may run at this moment, or have run, by another process that has none of this session.
    let found = found.filter(|_| !events.host.holds().is_any_of(id));
    if let Some(again) = found.and_then(|read| again(&read, events)) {
        return Some(again);
    }
    events.keeping = Some(Box::new(Keeping { session, digest }));
    None
}

fn may_have_changed(session: &Session, tool: &Tool, since_unix_ms: u64) -> bool {
    let mut reads: Vec<String> = Vec::new();
    if let Some(facts) = &tool.contract.facts {
        reads.extend(facts.reads.iter().map(|read| read.name.clone()));
        reads.extend(facts.gives.iter().map(|given| given.name.to_string()));
    }
    session.ledger().may_have_changed(&tool.component.digest, &reads, since_unix_ms)
}

fn again(read: &Read, events: &mut Events<'_>) -> Option<Delivered> {
    let reply: Reply = serde_json::from_str(&read.reply).ok()?;
    let age_ms = events.started_unix_ms().saturating_sub(read.asked_unix_ms);
    let (code, provenance, record) = (reply.code, reply.provenance.clone()?, reply.record.clone());
    let accepted = kept(reply, age_ms).accepted?;
    events.push(Event::Repeated { repeated: Repeated { of: Some(record), how: Repeated::CACHED } });
    Some(Delivered::again(code, accepted, provenance))
}

impl Events<'_> {
    /// Keeps the answer of a call for its repeats, if it is plainly its own.
    pub(super) fn keep_for_session(&mut self, reply: &Reply) {
        let Some(keeping) = self.keeping.take() else { return };
        // What is confidential stays where it was asked for once.
        let is_open = confidential::of(self.host, self.tool(), &[]).is_none();
        let Keeping { session, digest } = *keeping;
        if reply.code == Code::Ok
            && is_open
            && let Ok(reply) = serde_json::to_string(reply)
        {
            // From its start: what was written while it ran may not be in it.
            session.answers().keep(Read { digest, reply, asked_unix_ms: self.started_unix_ms() });
        }
    }
}
