//! Effects that were dispatched and not settled: what they make of an attempt, and the text for an agent.
//!
//! Owns the code `outcome-unknown`. Must not know how effects leave, or what the plan does about one.

use super::details::Details;
use super::judge::Judged;
use super::report;
use airlock_types::code::{Code, Ran};
use airlock_types::effect::{Effects, Left, Verified};
use airlock_types::finding::Finding;
use airlock_types::reply::Failure;
use airlock_types::words::quoted_list;

/// What to do while it is unknown whether a change was made.
pub(super) const FIND_OUT: &str =
    "Do not repeat it. Find out first whether the change was made, or ask your user.";

/// Judges an attempt by its effects. One that failed while an effect was not settled ends as `outcome-unknown`, whatever
/// else it met: nothing that a tool or the host says of the failure tells whether the effect happened. A value is
/// delivered, as the tool knows more about its effect than the host, and flagged.
pub(super) fn judge(mut judged: Judged, effects: Effects) -> Judged {
    if effects.is_open() {
        match &mut judged.accepted {
            Some(accepted) => {
                judged.code = Code::Degraded;
                // First of the findings: it is the reason of the status.
                accepted.findings.insert(0, Finding::unsettled(&effects.open_at));
            }
            None => judged = unknown(judged),
        }
    }
    judged.details.effects = effects;
    judged
}

fn unknown(judged: Judged) -> Judged {
    let Judged { code, accepted, refusal, clarify, mut details } = judged;
    // A refusal or a question is shown as the tool's own words: by themselves they would read as if nothing happened.
    let own = refusal.map(|refusal| refusal.cannot).or(clarify.map(|clarify| clarify.question));
    details.detail = details.detail.take().or(own.map(Into::into));
    details.ended_by = Some(code);
    Judged { code: Code::OutcomeUnknown, accepted, refusal: None, clarify: None, details }
}

/// Takes in what a tool said that was asked about the effects of an attempt. `tool` is its name for the caller, `effects`
/// are those of the call after its answer.
pub(super) fn verified(judged: &mut Judged, tool: &str, found: Verified, effects: Effects) {
    let details = &mut judged.details;
    details.verified = Some((tool.to_owned(), found));
    details.effects = effects;
    if found == Verified::NotApplied {
        judged.code = details.ended_by.take().unwrap_or(judged.code);
    }
}

/// The report of a call that ended as `outcome-unknown`. Its first line is also the notice of the reply.
pub(super) fn report(tool: &str, details: &Details) -> Failure {
    let at = match details.effects.open_at.as_slice() {
        [] => String::new(),
        places => format!(" at {}", quoted_list(places.iter().map(String::as_str))),
    };
    let may_have = format!(
        "`{tool}` had begun to change something{at} and got no answer: the change may have been made, or not."
    );
    let asked =
        |text: &str| details.verified.as_ref().map(|(by, _)| format!("`{by}` was asked, and {text}."));
    let (fact, asked, ran) = match &details.verified {
        Some((_, Verified::Applied)) => {
            let fact = format!("`{tool}` has made its change{at}, and its answer was lost.");
            (fact, asked("says that the change was made"), Ran::Ran)
        }
        Some((_, Verified::NotApplied | Verified::Unknown)) => {
            (may_have, asked("cannot tell whether it was made"), Ran::MayHave)
        }
        None => (may_have, None, Ran::MayHave),
    };
    let proceed = if ran == Ran::Ran {
        "Do not repeat it: that would make the change a second time."
    } else {
        FIND_OUT
    };
    let how = details.ended_by.map(|code| how(tool, code, details));
    let denied = report::denied_before(tool, Code::OutcomeUnknown, details);
    let lines = [Some(fact), denied, how, asked, Some(proceed.to_owned())];
    Failure {
        message: lines.into_iter().flatten().collect::<Vec<_>>().join("\n"),
        retryable: false,
        caller_must_change_args: false,
        ran,
        retry_after_ms: None,
        violations: Vec::new(),
        example: None,
        detail: details.detail.clone(),
        decision_id: None,
    }
}

/// How the attempt ended.
fn how(tool: &str, code: Code, details: &Details) -> String {
    if matches!(code, Code::Refused | Code::Clarify) {
        format!("`{tool}` declined{}.", report::own_words(details.detail.as_ref()))
    } else {
        report::happened(tool, code, details)
    }
}

/// The line about the settled effects of a call that failed with another code. Where it is said, the call must not be
/// repeated blindly.
pub(super) fn settled(code: Code, details: &Details) -> Option<&'static str> {
    // A refusal or a question are the tool's own words about what it did.
    let has_left = details.effects.left != Left::Nothing && !matches!(code, Code::Refused | Code::Clarify);
    has_left.then_some("Before that it had sent a change, which was answered: it was made, or was refused.")
}

/// What to do after settled effects.
pub(super) fn proceed(code: Code) -> &'static str {
    if matches!(code, Code::ToolError | Code::ToolThrottled | Code::ToolUnavailable) {
        // The tool has read the answers, so its words may tell.
        "Call it again only if its words say that nothing was changed. Else find out first, or ask your user."
    } else {
        FIND_OUT
    }
}

/// The line about a tool that was asked and says that nothing happened.
pub(super) fn not_applied(details: &Details) -> Option<String> {
    let (by, found) = details.verified.as_ref()?;
    (*found == Verified::NotApplied).then(|| {
        format!("Before that it had begun to change something; `{by}` says that the change was not made.")
    })
}
