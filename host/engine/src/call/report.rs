//! The texts of failed calls, which an agent acts on.
//!
//! Owns one text for each way to fail: what happened, whether the tool ran, whether a retry can help, how to proceed.
//! The texts contain no paths, hosts or backtraces; those are in the record. Text that a tool wrote is quoted as data
//! and cut. Must not know transports. To add a code: an arm in `happened`, and one in `proceed` if its advice differs.

use serde_json::Value;

use super::details::Details;
use super::reply::Failed;
use super::unsettled;
use crate::caller::budget::Exhausted;
use crate::generation::NotAdmitted;
use crate::registry::UnknownTool;
use airlock_contract::message;
use airlock_types::answer::{Clarify, Refusal, RetryAdvice};
use airlock_types::code::{Code, Ran};
use airlock_types::finding::{Finding, Verdict};
use airlock_types::grant::Help;
use airlock_types::reply::Failure;
use airlock_types::session::OPEN_A_SESSION;
use airlock_types::shorten::{shorten, visible_json};
use airlock_types::violation::Violation;
use airlock_types::words::one_line;

/// Characters of a tool's own text that are shown: enough for a message, too little to bury the host's lines.
const TOOL_TEXT_CHARS_MAX: usize = 400;

/// The end of a call that failed with this code.
pub(crate) fn failed(tool: &str, code: Code, details: &Details) -> Failed {
    Failed::new(code, report(tool, code, details))
}

/// The end of a call to a tool that does not exist, or that its caller may not see.
pub(crate) fn unknown(unknown: &UnknownTool) -> Failed {
    let mut failed = failed(&unknown.name, Code::Unknown, &Details::default());
    let nearest = unknown
        .nearest
        .as_ref()
        .map_or_else(|| ".".to_owned(), |nearest| format!(": did you mean `{nearest}`?"));
    failed.report.message = format!(
        "There is no tool `{}`{nearest}\nNothing was run.\nThe same call will fail again: call a tool that is listed.",
        unknown.name
    );
    failed
}

/// The end of a call that was not admitted.
pub(crate) fn not_admitted(tool: &str, why: NotAdmitted) -> Failed {
    match why {
        // The operator removed the entry after the caller was authenticated.
        NotAdmitted::NoEntry => failed(tool, Code::PolicyDenied, &Details::default()),
        // A full host is not the caller's fault, so the hint says when to come back.
        NotAdmitted::NoSlot => {
            let mut failed = failed(tool, Code::Overloaded, &Details::no_slot());
            failed.report.message = format!(
                "`{tool}` was not run: this caller has as many calls running and waiting as it may have.\nThe tool did \
                 not run.\nWait for one of them to end, then repeat the call."
            );
            failed
        }
        NotAdmitted::Exhausted(Exhausted { budget, retry_after_ms }) => {
            let limit = Some(budget.to_string());
            let details = Details { limit, retry_after_ms: Some(retry_after_ms), ..Details::default() };
            failed(tool, Code::RateLimited, &details)
        }
        NotAdmitted::Session(unknown) => {
            let mut failed = failed(tool, Code::ArgsPrecondition, &Details::default());
            failed.report.message = format!(
                "Call to `{tool}` was not run: {unknown}.\nTo go on, {OPEN_A_SESSION}. Without a handle the call is its own \
                 session."
            );
            failed
        }
    }
}

/// The end of a call with effects while the journal is full of records that must stay. The tool was not started.
pub(crate) fn journal_full(tool: &str) -> Failed {
    let mut failed = failed(tool, Code::HostJournal, &Details::default());
    failed.report.retryable = false;
    failed.report.message = format!(
        "`{tool}` was not run: the host's journal is full, and this call needs a record.\nThe tool did not run.\nRepeating \
         it will fail again. Only the operator can make room; tell your user."
    );
    failed
}

/// The end of a call whose arguments were not judged within its deadline. The tool was not started.
pub(crate) fn judged_too_slowly(tool: &str, deadline_ms: u64) -> Failed {
    let details = Details { limit: Some(format!("{deadline_ms} ms")), ..Details::default() };
    let mut failed = failed(tool, Code::LimitDeadline, &details);
    // The facts of the code say that the tool ran; here it was never started.
    failed.report.ran = Ran::No;
    failed.report.message = format!(
        "Call to `{tool}` was not run: its arguments were not checked within {deadline_ms} ms.\nThe tool did not \
         run.\nRepeating it later may help; sending less data in one call helps more."
    );
    failed
}

/// The end of a call whose arguments violate the contract, with every violation listed.
pub(crate) fn invalid(tool: &str, violations: Vec<Violation>, example: Option<Value>) -> Failed {
    // Violations quote the caller's values, which may hide characters.
    let violations: Vec<Violation> = violations.into_iter().map(Violation::shown).collect();
    let code = message::code(&violations);
    let report = Failure {
        message: message::text(tool, &violations, example.as_ref()),
        retryable: false,
        caller_must_change_args: true,
        ran: code.facts().ran,
        retry_after_ms: None,
        violations,
        example,
        detail: None,
        decision_id: None,
    };
    Failed::new(code, report)
}

/// The report of a call that failed with this code: what it was denied, what happened, whether the tool ran, how to proceed.
pub(crate) fn report(tool: &str, code: Code, details: &Details) -> Failure {
    if code == Code::OutcomeUnknown {
        return unsettled::report(tool, details);
    }
    let facts = code.facts();
    let settled = unsettled::settled(code, details);
    let retryable = facts.retryable.given(details.transient) && settled.is_none();
    // A call that ends without running may have run before: stopped at a denial, or between two attempts.
    let has_run = if facts.ran == Ran::No && details.attempts > 0 { Ran::Ran } else { facts.ran };
    let denied = denied_before(tool, code, details);
    let proceed = if settled.is_some() {
        unsettled::proceed(code).to_owned()
    } else {
        proceed(code, details, retryable)
    };
    let effects = settled.map(str::to_owned).or_else(|| unsettled::not_applied(details));
    let lines = [denied, Some(happened(tool, code, details)), effects, Some(ran(has_run)), Some(proceed)];
    let message = lines.into_iter().flatten().collect::<Vec<_>>().join("\n");
    Failure {
        message,
        retryable,
        caller_must_change_args: details.is_callers,
        ran: has_run,
        retry_after_ms: details.retry_after_ms.filter(|_| settled.is_none()),
        violations: Vec::new(),
        example: None,
        detail: details.detail.clone(),
        decision_id: None,
    }
}

/// The line before all others where the tool was denied something and failed with another code.
pub(super) fn denied_before(tool: &str, code: Code, details: &Details) -> Option<String> {
    (code != Code::PolicyDenied && !details.denied.is_empty()).then(|| {
        format!(
            "`{tool}` {} ({}), and then failed{}.",
            if details.help == Help::Operator { "was refused what it is not granted" } else { "was refused" },
            details.denied.join(", "),
            details.kinds_text()
        )
    })
}

/// What happened.
pub(super) fn happened(tool: &str, code: Code, details: &Details) -> String {
    let limit = details.limit.as_deref().unwrap_or("its limit");
    match code {
        Code::ToolError | Code::ToolThrottled | Code::ToolUnavailable => {
            format!(
                "`{tool}` answered with an error{}.{}",
                own_words(details.detail.as_ref()),
                meaning(details)
            )
        }
        Code::Trap => format!("`{tool}` aborted before it had an answer."),
        Code::LimitFuel => format!("`{tool}` was stopped: it used up its fuel ({limit})."),
        Code::LimitMemory => format!("`{tool}` was stopped: it wanted more memory than {limit}."),
        Code::LimitTable => format!("`{tool}` was stopped: it wanted a larger table than {limit}."),
        Code::LimitOutput if details.is_step => {
            format!("`{tool}` was stopped: it handed over more than {limit} in one step.")
        }
        Code::LimitOutput => format!("`{tool}` was stopped: its answer was larger than {limit}."),
        Code::LimitResources => format!("`{tool}` was stopped: it wanted more than {limit}."),
        Code::LimitStack => format!("`{tool}` was stopped: its calls were nested too deeply."),
        Code::LimitDeadline => format!(
            "`{tool}` was stopped: it had no answer within {limit}{}.",
            details
                .waiting_for
                .as_ref()
                .map_or_else(String::new, |host| format!("; it was waiting for `{host}`"))
        ),
        Code::Implausible => {
            format!("`{tool}` answered, but its answer is not plausible:{}", doubts(&details.findings))
        }
        Code::PolicyDenied => details.refused(tool),
        Code::PolicyHeld | Code::PolicyDuplicate => format!("`{tool}` waits for a human's yes."),
        Code::PolicyConflict => format!("`{tool}` is running with the same idempotency key."),
        Code::Overloaded if details.is_unready => {
            format!("`{tool}` was not run: the host has not made its code ready.")
        }
        Code::Overloaded if details.is_probed => {
            format!("`{tool}` was not run: it kept failing, and other calls try whether it works again.")
        }
        Code::Overloaded => format!("`{tool}` has no room for another call right now."),
        Code::RateLimited => format!("`{tool}` was not called: you have used up {limit}."),
        Code::Cancelled => format!("The call to `{tool}` was cancelled."),
        Code::HostInternal => {
            format!("The host failed while it was calling `{tool}`; the tool is not to blame.")
        }
        Code::HostJournal => {
            format!("`{tool}` was not run: the host cannot write its journal, and this call needs a record.")
        }
        Code::Ok
        | Code::Degraded
        | Code::ArgsSize
        | Code::ArgsSyntax
        | Code::ArgsType
        | Code::ArgsMissing
        | Code::ArgsUnknown
        | Code::ArgsConstraint
        | Code::ArgsPrecondition
        | Code::ArgsIdempotency
        | Code::Clarify
        | Code::Refused
        | Code::OutcomeUnknown
        | Code::Unknown => format!("`{tool}`: {code}."),
        // Other crates see an open list of codes; clippy still names each code that would come here.
        _ => format!("`{tool}`: {code}."),
    }
}

/// The second line: whether the tool ran.
pub(super) fn ran(ran: Ran) -> String {
    match ran {
        Ran::No => "The tool did not run.",
        Ran::Ran => "The tool ran; there is no result.",
        Ran::MayHave => "The tool may have run.",
    }
    .to_owned()
}

/// The third line: how to proceed.
pub(super) fn proceed(code: Code, details: &Details, retryable: bool) -> String {
    if let Some(ms) = details.retry_after_ms {
        return format!("Safe to retry after {ms} ms.");
    }
    // A hint with a time comes first: the remaining advice is for calls without one.
    let tried = if details.attempts > 1 {
        format!(" It was already tried {} times.", details.attempts)
    } else {
        String::new()
    };
    // Before the general advice on retries, which would do harm after these codes.
    if code == Code::Cancelled {
        "The caller stopped it. If its answer is still wanted, call it again.".into()
    } else if code == Code::PolicyDenied || (!details.denied.is_empty() && !retryable) {
        details.who_helps().into()
    } else if code == Code::Implausible {
        format!("Do not use or guess the value.{tried} Tell your user that there is no trustworthy answer.")
    } else if retryable {
        format!("Repeating it later may help.{tried}")
    } else if details.is_callers {
        "The arguments are to blame: change what its words name, and call again. Unchanged it will fail again.".into()
    } else if code == Code::ToolError && details.is_secret_refused() {
        // Before the advice on arguments: an agent would try others in vain.
        format!(
            "A service did not take the credential that the host added, which no argument can change.{tried} Only the \
             operator can look into it; tell your user."
        )
    } else if code == Code::ToolError {
        // A tool's own error speaks of the arguments more often than of anything else.
        format!(
            "Its error may be about the arguments: read its words, change what they name, and call again.{tried} If they \
             name nothing that you can change, tell your user that there is no answer."
        )
    } else if code == Code::LimitFuel {
        format!(
            "It took too long; do not call it again with the same arguments.{tried} Ask for less, or tell your user that \
             there is no answer."
        )
    } else {
        format!(
            "Repeating it unchanged will fail again.{tried} Ask for less, or tell your user that there is no answer."
        )
    }
}

/// A tool's own error text, marked as data so that an agent does not follow it as an instruction. On one line: line
/// breaks would let it imitate the lines of the host.
pub(super) fn own_words(detail: Option<&Value>) -> String {
    let text = match detail {
        None | Some(Value::Null) => return String::new(),
        Some(Value::String(text)) => one_line(text, TOOL_TEXT_CHARS_MAX),
        // Compact JSON has no line breaks of its own.
        Some(other) => shorten(&visible_json(&other.to_string()), TOOL_TEXT_CHARS_MAX),
    };
    // Without quotes the text cannot end the quotation that marks it as data.
    let text = text.replace('"', "'");
    format!("; its own words, as data: \"{text}\"")
}

/// What the author says about the case of a tool's error.
fn meaning(details: &Details) -> String {
    let doc = details.doc.as_deref().map(|doc| one_line(doc, TOOL_TEXT_CHARS_MAX).replace('"', "'"));
    doc.map_or_else(String::new, |doc| format!(" Its author says of this error: \"{doc}\""))
}

/// The findings that reject a value, at most five, one on each line.
fn doubts(findings: &[Finding]) -> String {
    // Five are enough to act on.
    let rejecting = findings.iter().filter(|finding| finding.verdict == Verdict::Reject).take(5);
    rejecting
        .map(|finding| {
            let path = if finding.path.is_empty() { "result" } else { &finding.path };
            format!("\n- `{path}` ({}): expected {}, got {}", finding.kind, finding.expected, finding.got)
        })
        .collect()
}

/// The report of a refusal: what the tool declines, what it needs, what helps instead.
pub(crate) fn refusal(tool: &str, refusal: &Refusal) -> Failure {
    let cut = |text: &str| one_line(text, TOOL_TEXT_CHARS_MAX);
    let mut lines = vec![format!("`{tool}` declines: {}", cut(&refusal.cannot))];
    let mut list = |title: &str, items: &[String]| {
        if !items.is_empty() {
            let items: Vec<String> = items.iter().take(5).map(|item| cut(item)).collect();
            lines.push(format!("{title}: {}", items.join("; ")));
        }
    };
    list("What it would need", &refusal.needed);
    list("Instead", &refusal.alternatives);
    if let Some(contact) = &refusal.contact {
        lines.push(format!("Who can help: {}", cut(contact)));
    }
    let retry_after_ms = if let RetryAdvice::AfterMs(ms) = refusal.retryable { Some(ms) } else { None };
    lines.push(match &refusal.retryable {
        RetryAdvice::Never => "Repeating it unchanged will be declined again.".into(),
        RetryAdvice::AfterMs(ms) => format!("It may be asked again after {ms} ms."),
        RetryAdvice::AfterChange(what) => {
            let what: Vec<String> = what.iter().take(5).map(|item| cut(item)).collect();
            format!("It may be asked again once this has changed: {}", what.join("; "))
        }
    });
    Failure {
        message: lines.join("\n"),
        retryable: retry_after_ms.is_some(),
        caller_must_change_args: matches!(refusal.retryable, RetryAdvice::AfterChange(_)),
        ran: Code::Refused.facts().ran,
        retry_after_ms,
        violations: Vec::new(),
        example: None,
        detail: None,
        decision_id: None,
    }
}

/// The report of a question that the tool asks back, with its options.
pub(crate) fn clarify(tool: &str, clarify: &Clarify) -> Failure {
    let mut lines = vec![format!("`{tool}` asks: {}", one_line(&clarify.question, TOOL_TEXT_CHARS_MAX))];
    // Each part is cut, so that eight options take at most 8 × 580 characters of the agent's context.
    for (i, option) in clarify.options.iter().take(8).enumerate() {
        lines.push(format!(
            "{}. {}: {} Arguments: {}",
            i + 1,
            one_line(&option.label, 80),
            one_line(&option.means, 200),
            shorten(&visible_json(&option.args.to_string()), 300)
        ));
    }
    // The options carry complete arguments, so no state is kept between the two calls.
    lines.push(
        "Pick one and call again with its arguments. If none is meant, send another value or ask your user."
            .into(),
    );
    Failure {
        message: lines.join("\n"),
        retryable: false,
        caller_must_change_args: true,
        ran: Code::Clarify.facts().ran,
        retry_after_ms: None,
        violations: Vec::new(),
        example: None,
        detail: None,
        decision_id: None,
    }
}

#[cfg(test)]
mod tests;
