//! What the agent of a held call is told, at each end that a hold can have.
//!
//! Owns these texts. Must not know how a call comes to one of them.

use super::ended::not_approved;
use crate::call::details::Details;
use crate::call::events::Events;
use crate::call::reply::{self, Failed};
use crate::call::report;
use airlock_types::answer::{Refusal, RetryAdvice};
use airlock_types::code::{Code, Ran};
use airlock_types::duration;
use airlock_types::hold::{HeldAt, Hold, HoldRule, Standing};
use airlock_types::reply::{Failure, Reply};

/// The end of a call that waits.
pub(super) fn held(events: &Events<'_>, hold: Hold, code: Code, ran: Ran) -> Failed {
    let (name, id) = (events.tool(), &hold.id);
    let left_ms = hold.expires_unix_ms.saturating_sub(events.started_unix_ms() + events.elapsed_ms());
    let (what, tool) = match ran {
        Ran::No => ("was not run", "The tool did not run."),
        Ran::Ran | Ran::MayHave => {
            ("ran, and its result was not delivered", "The tool ran: do not ask another one to do the same.")
        }
    };
    // What a rule met of a result is a part of it.
    let why = |rule: &HoldRule| told(rule, !hold.is_result);
    let why: Vec<String> = hold.rules.iter().map(why).collect();
    let stands = match (hold.standing, hold.approvals) {
        (Standing::Running, _) => "It was approved, and runs at this moment.".to_owned(),
        (Standing::Open, _) if hold.is_approved() => {
            "It was approved, and found no room to run: it is tried again.".to_owned()
        }
        (_, 1) => format!("A person must approve it within {}.", duration::about(left_ms)),
        (_, n) => format!("{n} persons must approve it within {}.", duration::about(left_ms)),
    };
    let message = format!(
        "`{name}` {what}: it is held until a person approves it.\n{}\n{tool}\n{stands} Tell your user that it waits, as hold {id}. To \
         ask what was decided, send the same call again: it gets the answer, and is not made twice.",
        why.join("\n")
    );
    let held_at = HeldAt {
        id: id.clone(),
        expires_unix_ms: hold.expires_unix_ms,
        approvals: hold.approvals,
        rules: hold.rule_texts(),
    };
    let mut failed = report::failed(name, code, &Details::default());
    (failed.report.message, failed.report.ran) = (message, ran);
    failed.hold = Some(Box::new(held_at));
    failed
}

/// What a call is told that would be held.
pub(in crate::call) fn would_wait(tool: &str) -> Failure {
    let mut failure = report::report(tool, Code::PolicyHeld, &Details::default());
    failure.message = format!("`{tool}` would wait until a person approves the call.");
    failure
}

/// One rule, for an agent: what its author says, and what it met.
fn told(rule: &HoldRule, is_open: bool) -> String {
    let is_told = is_open && !rule.values.is_empty();
    let values = if is_told { format!(" ({})", rule.values.join("; ")) } else { String::new() };
    format!("Held by: {}{values}.", rule.message.as_deref().unwrap_or(&rule.rule).trim_end_matches('.'))
}

pub(super) fn said(note: &str) -> String {
    if note.is_empty() { String::new() } else { format!(": \"{}\"", note.replace('"', "'")) }
}

/// The end of a call that was not approved.
pub(super) fn not_run(events: &Events<'_>, hold: &Hold, why: &str) -> Failed {
    let (what, ran) =
        if hold.is_result { ("ran, and its result is withheld", Ran::Ran) } else { ("was not run", Ran::No) };
    let mut failed = report::failed(events.tool(), Code::PolicyDenied, &Details::default());
    failed.report.ran = ran;
    failed.report.message = format!(
        "`{}` {what}: it waited for a person, and {why}.\n{}\nDo not send the same call again unless your user asks for it.",
        events.tool(),
        report::ran(ran)
    );
    failed
}

/// The end of a call that was approved as something else than it would be now.
pub(super) fn void(events: &Events<'_>, hold: &Hold, why: &str) -> Failed {
    let mut failed = not_run(events, hold, why);
    if !hold.is_result {
        failed.report.message = format!(
            "`{}` was not run: it waited for a person, and {why}.\nThe tool did not run.\nSend the call again: it is judged anew.",
            events.tool()
        );
    }
    failed
}

/// The end of a held call whose arguments do not pass any more. One that nobody approved ends as was decided; and what a person wrote
/// is not the caller's to mend.
pub(in crate::call) fn unfit(events: &Events<'_>, mut failed: Failed) -> Failed {
    let decided = events.resumed.as_deref().and_then(|resume| not_approved(events, &resume.hold));
    if let Some(decided) = decided {
        return decided;
    }
    if events.edited().is_none() {
        return failed;
    }
    failed.report.message = format!(
        "`{}` was not run: it waited for a person, who let it run with other arguments than yours, and those are refused.\nThe tool \
         did not run.\nSend the call again: it is judged anew.",
        events.tool()
    );
    failed
}

/// A person's answer in place of the tool's.
pub(super) fn responded(events: &Events<'_>, hold: &Hold, text: &str) -> Failed {
    let name = events.tool();
    let (what, ran) =
        if hold.is_result { ("ran, and its result is withheld", Ran::Ran) } else { ("was not run", Ran::No) };
    let refusal = Refusal {
        code: "answered-by-a-person".into(),
        cannot: format!("`{name}` {what}; a person answers instead{}", said(text)),
        needed: vec!["go on by that answer".to_owned()],
        contact: None,
        alternatives: Vec::new(),
        retryable: RetryAdvice::Never,
        decision_id: hold.id.clone(),
    };
    let mut failed = report::failed(name, Code::Refused, &Details::default());
    failed.report = Box::new(Failure { ran, ..report::refusal(name, &refusal) });
    failed.refusal = Some(Box::new(refusal));
    failed
}

/// Nobody knows whether the call is held.
pub(super) fn unusable(events: &Events<'_>) -> Failed {
    report::failed(events.tool(), Code::HostJournal, &Details::default())
}

pub(super) fn full(events: &Events<'_>) -> Failed {
    let mut failed = report::failed(events.tool(), Code::Overloaded, &Details::default());
    failed.report.message = format!(
        "`{}` was not run: a person would have to approve it, and as many calls wait for that as may.\nThe tool did not run.\n\
         Wait until some of them are decided.",
        events.tool()
    );
    failed
}

/// The end of a hold whose reply is nowhere.
pub(super) fn gone(events: &Events<'_>, hold: &Hold, is_unknown: bool) -> Failed {
    if is_unknown {
        let mut failed = report::failed(events.tool(), Code::OutcomeUnknown, &Details::default());
        failed.report = Box::new(cut_off(hold));
        return failed;
    }
    let record = hold.ended_by.as_deref().unwrap_or(&hold.record);
    let mut failed = report::failed(events.tool(), Code::PolicyDuplicate, &Details::default());
    failed.report.message = format!(
        "`{}` was not run again: it waited for a person, and ended as `{}`; its reply is not kept (record {record}).\nThe tool did \
         not run a second time.\nAsk your user before you send it again.",
        events.tool(),
        hold.standing
    );
    failed
}

/// The failure of an approved call that was cut off.
fn cut_off(hold: &Hold) -> Failure {
    let mut failure = report::report(&hold.tool, Code::OutcomeUnknown, &Details::default());
    failure.ran = Ran::MayHave;
    failure.message = format!(
        "`{}` was approved, and was cut off while it ran: it may have been made or not (record {}).\nDo not send it again before \
         you know whether the change was made; ask your user.",
        hold.tool,
        hold.ended_by.as_deref().unwrap_or(&hold.record)
    );
    failure
}

/// The reply of a hold whose end is on no record, or on one without a reply.
pub(crate) fn unkept(hold: &Hold, is_unknown: bool) -> Reply {
    let record = hold.ended_by.as_deref().unwrap_or(&hold.record);
    if is_unknown {
        return reply::failed(Code::OutcomeUnknown, &hold.tool, record, cut_off(hold));
    }
    let mut failure = report::report(&hold.tool, Code::PolicyDenied, &Details::default());
    failure.ran = if hold.is_result || hold.standing == Standing::Done { Ran::MayHave } else { Ran::No };
    failure.message = format!(
        "`{}` waited for a person, and its hold ended as `{}`; its reply is not kept.\nAsk your user before you send it again.",
        hold.tool, hold.standing
    );
    reply::failed(Code::PolicyDenied, &hold.tool, record, failure)
}
