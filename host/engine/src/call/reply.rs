//! The reply stage: turns the end of a call into the envelope that answers it.
//!
//! Owns which facts go into which field of the envelope. Must not know how the envelope is written for a client.

use super::attempt::EndedAttempt;
use super::details::Details;
use super::events::Events;
use super::judge::{Accepted, Judged};
use super::permit::PermittedRoute;
use super::{fold, notice, pause, report};
use airlock_contract::tool::ValidArgs;
use airlock_types::answer::{Clarify, Refusal};
use airlock_types::code::{Code, Ran};
use airlock_types::environment::us;
use airlock_types::event::Event;
use airlock_types::finding::Finding;
use airlock_types::hold::HeldAt;
use airlock_types::plan::{BreakerView, Plan};
use airlock_types::reply::{Confidence, Failure, Provenance, Reply, TotalUsage};
use airlock_types::shorten::clean_lines;

/// A call that ended with a result.
pub(super) struct Delivered {
    code: Code,
    accepted: Box<Accepted>,
    provenance: Provenance,
}

impl Delivered {
    /// What the doors found.
    pub(super) fn findings(&self) -> &[Finding] {
        &self.accepted.findings
    }

    /// The answer of an earlier call, once more.
    pub(super) fn again(code: Code, mut accepted: Box<Accepted>, provenance: Provenance) -> Delivered {
        let cached = accepted.cached.take();
        Delivered { code, accepted, provenance: Provenance { cached, ..provenance } }
    }
}

/// A call that ended without a result.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) code: Code,
    pub(super) report: Box<Failure>,
    pub(super) refusal: Option<Box<Refusal>>,
    clarify: Option<Box<Clarify>>,
    pub(super) hold: Option<Box<HeldAt>>,
    findings: Vec<Finding>,
}

impl Failed {
    /// The end of a call that ends as an earlier one did.
    pub(super) fn before(code: Code, report: Failure, refusal: Option<Box<Refusal>>) -> Failed {
        Failed { refusal, ..Failed::new(code, report) }
    }

    pub(super) fn new(code: Code, report: Failure) -> Failed {
        Failed {
            code,
            report: Box::new(report),
            refusal: None,
            clarify: None,
            hold: None,
            findings: Vec::new(),
        }
    }

    /// The end of a call with a reply of an error, once more.
    pub(super) fn again(reply: Reply) -> Failed {
        let Reply { code, error, refusal, clarify, hold, findings, .. } = reply;
        let report = error.unwrap_or_else(|| Failure::plain(String::new()));
        let (refusal, clarify, hold) = (refusal.map(Box::new), clarify.map(Box::new), hold.map(Box::new));
        Failed { code, report: Box::new(report), refusal, clarify, hold, findings }
    }
}

/// The last attempt, with the index of its route in the plan. None when no attempt was made.
type Last = Option<(usize, EndedAttempt)>;

/// Delivers the value of the last attempt.
pub(super) fn accepted(
    events: &mut Events<'_>,
    (routes, args): (&[PermittedRoute], &ValidArgs),
    last: Last,
    code: Code,
    fallback_because: Option<Code>,
) -> Result<Delivered, Failed> {
    // A plan accepts only an attempt whose value was accepted. Anything else is a fault of the host.
    let Some((route, EndedAttempt { judged: Judged { accepted: Some(mut accepted), .. }, .. })) = last else {
        return Err(report::failed(events.tool(), Code::HostInternal, &Details::default()));
    };
    let candidate = &routes[route].candidate;
    events.give(&candidate.tool, args, &accepted);
    let as_of = accepted.answered.as_of.as_ref();
    let provenance = Provenance {
        route: candidate.shown_name(),
        component: candidate.shown_digest(),
        attempts: fold::usage(&events.list).attempts,
        fallback_because,
        cached: accepted.cached.take(),
        as_of: as_of.map(|as_of| as_of.time.clone()),
        source: as_of.and_then(|as_of| as_of.source.clone()),
    };
    // First of the findings: it is the reason of the status.
    let fallback = fallback_because.map(|why| notice::fallback(events.tool(), &provenance, why));
    accepted.findings.splice(..0, fallback);
    // Only where there can be any: a call without facts and without a ledger looks for none.
    if events.facts.is_some() || events.pending.is_some() {
        accepted.findings.extend(events.unchecked_findings().chain(events.repeat_findings()));
    }
    Ok(Delivered { code, accepted, provenance })
}

/// Reports why there is no result: no attempt was made, or the last one failed.
pub(super) fn given_up(
    events: &Events<'_>,
    plan: &Plan,
    last: Last,
    code: Code,
    not_run_because: Option<String>,
) -> Failed {
    let (tool, now_unix_ms) = (events.tool(), events.head.started_unix_ms);
    // The first route is the called tool.
    let breaker = plan.routes.first().map_or(BreakerView::Closed, |route| route.input.breaker);
    let Some((_, EndedAttempt { judged, .. })) = last else {
        // Without an attempt the called tool is paused, or too little time was left to start one.
        let report = match breaker {
            BreakerView::Open { remaining_ms, scope } => {
                pause::paused(tool, scope, remaining_ms, now_unix_ms)
            }
            BreakerView::Closed | BreakerView::Probing => not_run(tool, code, not_run_because),
        };
        return Failed::new(code, report);
    };
    let Judged { refusal, clarify, mut details, .. } = judged;
    details.attempts = fold::usage(&events.list).attempts;
    let mut report = match (&refusal, &clarify) {
        (Some(refusal), _) => report::refusal(tool, refusal),
        (None, Some(clarify)) => report::clarify(tool, clarify),
        (None, None) => report::report(tool, code, &details),
    };
    if let BreakerView::Open { remaining_ms, scope } = breaker {
        // The called tool was paused and its fallbacks failed. Without this line the error would read as the tool's
        // own.
        let pause = pause::pause(tool, scope, remaining_ms, now_unix_ms);
        report.message = format!("{pause} A fallback was tried.\n{}", report.message);
    }
    Failed { refusal, clarify, findings: details.findings, ..Failed::new(code, report) }
}

/// The report of a call for which the plan started no attempt, for example because too little time was left.
fn not_run(tool: &str, code: Code, why: Option<String>) -> Failure {
    let mut report = report::report(tool, code, &Details::default());
    if let Some(why) = why {
        report.message = format!("`{tool}` was not run: {why}.\n{}", report.message);
    }
    report
}

/// Makes the envelope. Also returns the bytes of the result, which the caller's budget pays for.
pub(super) fn reply(events: &Events<'_>, ended: Result<Delivered, Failed>) -> (Reply, u64) {
    let code = ended.as_ref().map_or_else(|failed| failed.code, |delivered| delivered.code);
    let mut reply = empty(events, code);
    let bytes = match ended {
        Ok(Delivered { accepted, provenance, .. }) => {
            let bytes = accepted.bytes;
            fill(&mut reply, *accepted, provenance);
            bytes
        }
        Err(Failed { report, refusal, clarify, hold, findings, .. }) => {
            // Cleaned here and not where texts are made, so that no way to fail can forget it.
            reply.error = Some(fit_to_be_shown(*report));
            reply.refusal = refusal.map(|refusal| *refusal);
            reply.clarify = clarify.map(|clarify| *clarify);
            reply.hold = hold.map(|hold| *hold);
            reply.findings = findings;
            0
        }
    };
    // Whoever reads the answer must know that it is one to another call.
    reply.findings.extend(events.edited());
    reply.notice = notice::of(&reply);
    (reply, bytes)
}

/// The envelope with the fields that every call has.
fn empty(events: &Events<'_>, code: Code) -> Reply {
    let mut usage = fold::usage(&events.list);
    // Measured here: the fold over attempts does not know when the reply is made.
    usage.wall_us = us(events.elapsed());
    bare(code, events.tool().to_owned(), usage, events.head.id.clone(), handle(events))
}

/// The envelope of a call that has nothing to say but how it ended.
fn bare(code: Code, tool: String, usage: TotalUsage, record: String, session: Option<String>) -> Reply {
    Reply {
        status: code.facts().status,
        code,
        notice: None,
        tool,
        result: None,
        content: Vec::new(),
        error: None,
        refusal: None,
        clarify: None,
        hold: None,
        confidence: None,
        interpretation: None,
        assumptions: Vec::new(),
        uncertainty: None,
        next_steps: Vec::new(),
        findings: Vec::new(),
        provenance: None,
        usage,
        record,
        session,
    }
}

/// The session's handle, when the caller refers to the session by a handle and needs it for the next call.
fn handle(events: &Events<'_>) -> Option<String> {
    events.head.call.session.has_handle().then(|| session(events).cloned()).flatten()
}

/// The id of the session that the call was admitted to.
pub(super) fn session<'e>(events: &'e Events<'_>) -> Option<&'e String> {
    events
        .list
        .iter()
        .find_map(|event| if let Event::Admitted { session } = event { session.as_ref() } else { None })
}

/// Fills in an accepted value and what the tool said beside it.
fn fill(reply: &mut Reply, accepted: Accepted, provenance: Provenance) {
    let Accepted { result, answered, findings, bytes: _, cached: _ } = accepted;
    let assessment = answered.assessment;
    reply.result = result;
    reply.content = answered.content;
    reply.findings = findings;
    reply.confidence = assessment.confidence.map(|value| Confidence { value });
    reply.interpretation = assessment.interpretation;
    reply.assumptions = assessment.assumptions;
    reply.uncertainty = assessment.uncertainty;
    reply.next_steps = assessment.next_steps;
    reply.provenance = Some(provenance);
}

/// Removes hidden characters from the message of an error. Parts of it may come from a tool or a caller.
fn fit_to_be_shown(mut report: Failure) -> Failure {
    report.message = clean_lines(&report.message);
    report
}

/// The reply of a call that ended before, of which no more is known.
pub(super) fn failed(code: Code, tool: &str, record: &str, report: Failure) -> Reply {
    let mut reply = bare(code, tool.to_owned(), TotalUsage::default(), record.to_owned(), None);
    reply.error = Some(fit_to_be_shown(report));
    reply.notice = notice::of(&reply);
    reply
}

/// Replaces the reply of a call that may have had effects and whose record could not be written.
pub(super) fn unrecorded(reply: Reply) -> Reply {
    let mut report = report::report(&reply.tool, Code::HostJournal, &Details::default());
    if reply.usage.attempts > 0 {
        // The result is withheld, but the effect may have happened: the agent must not repeat the call blindly.
        report.ran = Ran::MayHave;
        report.retryable = false;
        report.message = format!(
            "`{}` ran, but the host could not write its record, so that there is no answer to rely on.\n\
             Do not repeat a call with effects before you know whether it happened.",
            reply.tool
        );
    }
    // Nothing else is kept: what the tool said beside its result could tell what is withheld.
    let Reply { tool, usage, record, session, .. } = reply;
    let mut reply = bare(Code::HostJournal, tool, usage, record, session);
    reply.error = Some(report);
    reply.notice = notice::of(&reply);
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_ran_and_has_no_record_is_not_to_be_repeated() {
        let unrecorded = |attempts| {
            let usage = TotalUsage { attempts, ..TotalUsage::default() };
            let reply = unrecorded(bare(Code::Ok, "order".into(), usage, "id".into(), None));
            let error = reply.error.unwrap();
            (reply.code, error.ran, error.retryable)
        };
        assert_eq!(unrecorded(1), (Code::HostJournal, Ran::MayHave, false));
        // Nothing ran, so the same call may be sent again.
        assert_eq!(unrecorded(0), (Code::HostJournal, Ran::No, true));
    }
}
