//! What is confidential in the parts of a record.

// Every part is destructured without `..`: a new field does not compile until it is masked or left as it is, by name.

use serde_json::Value;

use super::texts::Texts;
use super::{Confidential, Mask, WHY, leaves};
use crate::call::judge::decision_id;
use crate::registry::Tool;
use airlock_contract::published::JSON;
use airlock_types::code::Code;
use airlock_types::finding::ARGS_IGNORED;
use airlock_types::json::Json;
use airlock_types::record::Record;
use airlock_types::record::v3::{
    Attempt, Decision, Denial, Effects, Finding, Jitter, LookedFact, Plan, Recording, Step, Trap, Use,
};
use airlock_types::reply::Reply;

impl Confidential<'_> {
    /// The record without what is confidential.
    pub(super) fn without(self, mut record: Record<Json>, mut mask: Mask) -> Record<Json> {
        let mut args = record.args.as_ref().and_then(|args| serde_json::from_str(args.as_str()).ok());
        let reply = record.reply.as_ref().and_then(|reply| serde_json::from_str(reply.as_str()).ok());
        let mut reply: Option<Reply> = reply;
        self.salt_decision(&record, &mut reply, &mask);
        mask.texts = Texts::of(&self.all_values(args.as_ref(), reply.as_ref()));
        let is_blind = record.attempts.last().is_some_and(|attempt| self.is_blind(attempt));
        if let Some(args) = &mut args {
            self.args(args, &mask);
        }
        if let Some(reply) = &mut reply {
            self.reply(reply, is_blind, &mask);
        }
        self.parts(&mut record, &mask);
        let args = args.as_ref().and_then(Json::of);
        let reply = reply.as_ref().and_then(Json::of);
        Record { args, reply, ..record }
    }

    /// Every value that no text may repeat.
    fn all_values(&self, args: Option<&Value>, reply: Option<&Reply>) -> Vec<Value> {
        let mut found = self.values.clone();
        let mut args = args.filter(|_| self.is_valid).cloned().unwrap_or_default();
        let mut result = reply.and_then(|reply| reply.result.clone()).unwrap_or_default();
        for tool in &self.routes {
            let confidential = &tool.contract.confidential;
            confidential.each_arg(&mut args, &mut |value| leaves(value, &mut found));
            confidential.each_result(&mut result, self.result_form(), &mut |value| leaves(value, &mut found));
        }
        found
    }

    /// The id of a refusal to which the tool gave none is a digest of the arguments, from which they could be guessed.
    fn salt_decision(&self, record: &Record<Json>, reply: &mut Option<Reply>, mask: &Mask) {
        let refusal = reply.as_mut().and_then(|reply| reply.refusal.as_mut());
        if let (Some(refusal), Some(attempt), Some(args)) = (refusal, record.attempts.last(), &record.args)
            && self.has_args()
            && refusal.decision_id == decision_id(&attempt.component, args.as_str(), &refusal.code)
        {
            let mut salted = mask.digest(&refusal.decision_id);
            salted.truncate(refusal.decision_id.len());
            refusal.decision_id = salted;
        }
    }

    fn args(&self, args: &mut Value, mask: &Mask) {
        // Of arguments that were not accepted nothing is known: a field may be misspelled.
        if !self.is_valid && (self.has_args() || self.routes.is_empty()) {
            return mask.value(args);
        }
        for tool in &self.routes {
            tool.contract.confidential.each_arg(args, &mut |value| mask.value(value));
        }
        mask.tree(args);
    }

    fn parts(&self, record: &mut Record<Json>, mask: &Mask) {
        let Record {
            format: _,
            id: _,
            tool: _,
            caller: _,
            session: _,
            trace: _,
            started_unix_ms: _,
            ended_unix_ms: _,
            code: _,
            // Before this.
            args: _,
            facts,
            repeat: _,
            component: _,
            // Who decided, and what: not what they wrote.
            hold: _,
            decision,
            policy: _,
            plan,
            path,
            attempts,
            reply: _,
            parts: _,
            confidential: _,
            erased_unix_ms: _,
        } = record;
        // A fact has no confidential field of the tool that gave it, and can repeat what this one was given.
        for LookedFact { name: _, key, seen } in facts.iter_mut().flat_map(|facts| &mut facts.looked) {
            mask.text(key);
            if let Some(seen) = seen {
                mask.tree(&mut seen.value);
            }
        }
        if let Some(Decision { ruling: _, reasons, denied }) = decision {
            reasons.iter_mut().for_each(|reason| mask.text(reason));
            denied.iter_mut().for_each(|denial| self::denial(denial, mask));
        }
        if let Some(Plan { version: _, args_digest, jitter, deadline_ms: _, routes: _, worst_case: _ }) = plan
            && self.has_args()
        {
            // The waits of a plan follow from both: the seed would tell whether a guess of the arguments is right.
            args_digest.clear();
            *jitter = Jitter::Seeded(String::new());
        }
        path.iter_mut().for_each(|step| self::step(step, mask));
        attempts.iter_mut().for_each(|attempt| self.attempt(attempt, mask));
    }

    fn attempt(&self, attempt: &mut Attempt, mask: &Mask) {
        let is_blind = self.is_blind(attempt);
        let Attempt {
            route,
            component: _,
            number: _,
            code: _,
            usage: _,
            log,
            trap,
            denials: _,
            denied,
            uses,
            findings,
            effects,
            recording,
        } = attempt;
        if is_blind {
            Mask::whole(log)
        } else {
            mask.text(log)
        }
        if let Some(Trap { message, frames: _ }) = trap {
            mask.text(message);
        }
        denied.iter_mut().for_each(|denial| self::denial(denial, mask));
        uses.iter_mut().for_each(|Use { capability: _, what, times: _ }| mask.text(what));
        for Finding { kind, verdict: _, path, expected, got } in findings {
            let is_covered = self.covers_finding(Some(route), kind, path);
            for text in [expected, got] {
                if is_covered { Mask::whole(text) } else { mask.text(text) }
            }
        }
        if let Some(Effects { dispatched: _, settled: _, open_at }) = effects {
            open_at.iter_mut().for_each(|place| mask.text(place));
        }
        if let Some(recording) = recording {
            self.recording(recording, mask);
        }
    }

    /// Cassettes are sealed by the attempt that recorded them. Digests of short ones, and of outcomes, tell whether a guess
    /// is right: they are in what is sealed.
    fn recording(&self, recording: &mut Recording, mask: &Mask) {
        let Recording { mode: _, imports: _, bytes: _, sha256, end_sha256, lacks, sealed, cassette } =
            recording;
        [sha256, end_sha256].into_iter().for_each(String::clear);
        if !*sealed {
            cassette.clear();
        }
        if !mask.is_sealed {
            lacks.get_or_insert_with(|| format!("{WHY}, and no `journal.recipient` is set to encrypt it to"));
        }
    }

    /// Whether an attempt has no value that the outer door saw, so that what its tool wrote cannot be searched for the
    /// confidential fields of its result.
    fn is_blind(&self, attempt: &Attempt) -> bool {
        let has_value = [Code::Ok, Code::Degraded, Code::Implausible];
        let is_known = has_value.iter().any(|code| code.as_str() == attempt.code);
        // A fallback answers in the place of the called tool, whose fields are marked whoever answers.
        let is_route = self.routes.iter().any(|tool| *tool.name == *attempt.route);
        let mut own = self.tools().filter(|tool| *tool.name == *attempt.route);
        let is_marked = own.any(|tool| tool.contract.confidential.has_result());
        !is_known && (is_marked || (is_route && self.has_result()))
    }

    /// Whether a finding may quote a confidential value. Those of the host, which no check made, quote none that is not found.
    /// `route` is the tool whose result it is about; none where that is one of the routes.
    pub(super) fn covers_finding(&self, route: Option<&str>, kind: &str, path: &str) -> bool {
        let is_of = |tool: &&&Tool| {
            self.routes.iter().any(|one| std::ptr::eq(*one, **tool)) || route == Some(&*tool.name)
        };
        let tools: Vec<_> = self.tools().collect();
        let mut of = tools.iter().filter(is_of);
        let is_of_form = [ARGS_IGNORED, JSON].contains(&kind);
        let is_check = is_of_form || tools.iter().any(|tool| tool.contract.checks.has(kind));
        is_check
            && of.any(|tool| {
                let is_route = self.routes.iter().any(|one| std::ptr::eq(*one, *tool));
                let form = if is_route { self.result_form() } else { tool.contract.result_form() };
                tool.contract.confidential.covers_finding(form, kind, path)
            })
    }

    pub(super) fn tools(&self) -> impl Iterator<Item = &Tool> {
        self.routes.iter().chain(&self.verifying).copied()
    }
}

fn denial(denial: &mut Denial, mask: &Mask) {
    let Denial {
        capability: _,
        asked,
        kind: _,
        rule: _,
        at: _,
        grant,
        below: _,
        how: _,
        replaces: _,
        reported: _,
    } = denial;
    mask.text(asked);
    grant.iter_mut().for_each(|grant| mask.text(grant));
}

fn step(step: &mut Step, mask: &Mask) {
    match step {
        Step::Skipped { tool: _, why } | Step::Stopped { tool: _, why } => mask.text(why),
        Step::Attempt { .. }
        | Step::Ended { .. }
        | Step::Asked { .. }
        | Step::Verified { .. }
        | Step::Recalled { .. } => {}
    }
}
