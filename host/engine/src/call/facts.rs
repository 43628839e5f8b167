//! The facts of a session in one call: what its arguments are held against, and what its result adds.
//!
//! Owns which results count: those that the outer door found nothing suspect about. Must not know how a session keeps facts,
//! nor how a relation is evaluated. A call of a tool without facts costs one comparison here.

use std::sync::Arc;

use super::events::Events;
use super::judge::Accepted;
use super::{fold, reply};
use crate::caller::facts::{Origin, Stored, Wanted, on_record, recalled};
use crate::caller::session::Session;
use crate::generation::{Admitted, Generation};
use crate::registry::Tool;
use airlock_contract::check::parse_rfc3339_ms;
use airlock_contract::facts::{Fact, Facts, Gives, ReadFact};
use airlock_contract::tool::ValidArgs;
use airlock_types::code::Code;
use airlock_types::event::Event;
use airlock_types::finding::{Finding, Verdict};
use airlock_types::reply::Reply;

/// What a call of a tool with facts does to its session.
pub(super) struct FactsOfCall {
    tool: Arc<Tool>,
    session: Option<Arc<Session>>,
    given: Vec<Stored>,
}

/// The facts that relations of a tool may look up. None for a tool whose relations look up none, and without a session.
pub(super) fn seen(
    host: &Generation,
    tool: &Arc<Tool>,
    admitted: &Admitted,
    events: &mut Events<'_>,
) -> Option<Box<Facts>> {
    let rules = tool.contract.facts.as_ref()?;
    let session = admitted.session().and_then(|id| host.sessions().get(events.caller(), id));
    let seen = session.as_ref().filter(|_| !rules.reads.is_empty());
    let wanted = Wanted { reads: &rules.reads, sources: &tool.facts };
    let seen =
        seen.map(|session| Box::new(session.facts().seen(&origin(tool), wanted, events.started_unix_ms())));
    // The session of a held call may have ended while it waited.
    let held = events.resumed.as_ref().and_then(|resume| resume.facts.as_ref());
    let recalled = held.map(|facts| recalled(&rules.reads, facts, events.started_unix_ms()));
    let seen = seen.or_else(|| recalled.map(Box::new));
    events.facts = Some(Box::new(FactsOfCall { tool: tool.clone(), session, given: Vec::new() }));
    seen
}

/// Has a session forget the facts that a call of this tool may have made untrue which ended then.
pub(super) fn forget_changed(session: &Session, tool: &Tool, ended_unix_ms: u64) {
    if let Some(rules) = &tool.contract.facts {
        session.facts().forget(&origin(tool), &rules.changes, ended_unix_ms);
    }
}

fn origin(tool: &Tool) -> Origin {
    Origin { tool: tool.name.clone(), entry: tool.key.clone(), digest: tool.component.digest.clone() }
}

impl Events<'_> {
    /// Notes the facts that were looked up to judge the arguments.
    pub(super) fn looked(&mut self, facts: Option<&Facts>) {
        let Some(facts) = facts else { return };
        if let Some(session) = self.facts.as_ref().and_then(|of| of.session.as_ref()) {
            session.facts().note(&facts.looked().0);
        }
        if let Some(facts) = on_record(facts) {
            self.push(Event::Looked { facts });
        }
    }

    /// Notes the relations that were not checked.
    pub(super) fn unchecked(&mut self, args: &ValidArgs) {
        if !args.unchecked().is_empty() {
            self.push(Event::Unchecked { relations: args.unchecked().to_vec() });
        }
    }

    /// The findings about relations that were not checked.
    pub(super) fn unchecked_findings(&self) -> impl Iterator<Item = Finding> {
        let relations = self.list.iter().find_map(|event| {
            if let Event::Unchecked { relations } = event { Some(relations.as_slice()) } else { None }
        });
        relations.unwrap_or_default().iter().map(|relation| Finding::unchecked(relation))
    }

    /// Remembers the values of a result that is delivered although it is suspect, where a rule may ask for them.
    fn suspect(&self, args: &ValidArgs, accepted: &Accepted) {
        let Some(value) = accepted.answered.value.as_ref().filter(|_| self.host.hold_rules().know_suspects())
        else {
            return;
        };
        let is_suspect = accepted.findings.iter().any(|finding| finding.verdict >= Verdict::Suspect);
        let session = reply::session(self).filter(|_| is_suspect);
        if let Some(session) = session.and_then(|id| self.host.sessions().get(self.caller(), id)) {
            session.suspects().remember(value, args.values(), &self.head.id);
        }
    }

    /// Reads the facts of an accepted value, which count once the call is on record.
    pub(super) fn give(&mut self, tool: &Arc<Tool>, args: &ValidArgs, accepted: &Accepted) {
        self.suspect(args, accepted);
        let (Some(rules), Some(value)) = (&tool.contract.facts, &accepted.answered.value) else { return };
        let is_doubtful = accepted.findings.iter().any(|finding| finding.verdict >= Verdict::Suspect);
        if is_doubtful || rules.gives.is_empty() {
            return;
        }
        let Some(session) = self.session_of_facts(tool) else { return };
        let (max, now_unix_ms) = (self.host.fact_limits().facts_max as usize, self.started_unix_ms());
        let told = accepted.answered.as_of.as_ref().and_then(|as_of| parse_rfc3339_ms(&as_of.time));
        // A tool cannot make its facts last longer by a date of the future.
        let as_of_unix_ms =
            told.and_then(|ms| u64::try_from(ms).ok()).map_or(now_unix_ms, |ms| ms.min(now_unix_ms));
        let params = &tool.contract.function.ty.params;
        let record: Arc<str> = self.head.id.as_str().into();
        let origin = Arc::new(origin(tool));
        let stored = |gives: &Gives, read: ReadFact| {
            let ReadFact { key, value, json } = read;
            let (until_unix_ms, component) = (as_of_unix_ms + gives.ttl_ms, tool.component.digest.clone());
            let fact = Fact { value, json, as_of_unix_ms, until_unix_ms, record: record.clone(), component };
            let (name, ty) = (gives.name.clone(), gives.ty.clone());
            Stored { origin: origin.clone(), name, key: key.into(), ty, fact: Arc::new(fact) }
        };
        let read = |gives| Gives::read(gives, params, args.values(), value, max);
        let given =
            rules.gives.iter().flat_map(|gives| read(gives).into_iter().map(|read| stored(gives, read)));
        let given = given.collect();
        self.facts = Some(Box::new(FactsOfCall { given, ..session }));
    }

    /// What is known of facts in this call. A fallback can give some where the called tool has none.
    fn session_of_facts(&mut self, tool: &Arc<Tool>) -> Option<FactsOfCall> {
        if let Some(facts) = self.facts.take() {
            return Some(*facts);
        }
        let session = reply::session(self).and_then(|id| self.host.sessions().get(self.caller(), id))?;
        Some(FactsOfCall { tool: tool.clone(), session: Some(session), given: Vec::new() })
    }

    /// Tells the session of the call what it may have changed, and how it ended: `reply` is none for one that was cut off. Must
    /// run before the events are taken. Returns whether anything may have changed.
    pub(super) fn tell_session(&mut self, code: Code, reply: Option<&Reply>) -> bool {
        // Without either no session has to know, and the fold is spared.
        let is_noted = self.facts.is_some() || self.pending.is_some();
        let has_changed = is_noted && self.may_have_changed(code);
        if let Some(facts) = self.facts.as_ref().filter(|_| has_changed) {
            facts.forget_changed();
        }
        self.settle(reply, has_changed);
        has_changed
    }

    /// Whether the call may have changed what facts say: it ran, and did not end with an answer of its tool that nothing was
    /// done.
    fn may_have_changed(&self, code: Code) -> bool {
        let says_no =
            [Code::ToolError, Code::Refused, Code::Clarify, Code::ToolThrottled, Code::ToolUnavailable];
        fold::usage(&self.list).attempts > 0 && !says_no.contains(&code)
    }
}

impl FactsOfCall {
    /// Drops what the result would add.
    pub(super) fn withhold(&mut self) {
        self.given.clear();
    }

    /// Has its session forget the facts that the call may have made untrue.
    fn forget_changed(&self) {
        if let Some(session) = &self.session {
            // All of them: a read that began while it ran may have seen what was before.
            forget_changed(session, &self.tool, u64::MAX);
        }
    }

    /// Adds the facts of a call that is on record to its session.
    pub(super) fn remember(self, host: &Generation) {
        let Some(session) = self.session else { return };
        let (mut facts, limits) = (session.facts(), host.fact_limits());
        self.given.into_iter().for_each(|stored| facts.add(stored, limits));
    }
}
