//! The first sentence of a reply that is not plainly an answer: what it is instead, and why.
//!
//! Models and people read the beginning of a reply and skip the rest. Owns these sentences, for every status. Must not
//! know how the envelope is written for a client. For a new code: its arm in [`because`].

use airlock_types::code::Code;
use airlock_types::duration;
use airlock_types::finding::{Finding, Verdict};
use airlock_types::reply::{Cached, HIDDEN_ROUTE, Provenance, Reply};
use airlock_types::words::one_line;

/// Longest notice, in characters: it is read before anything else.
const NOTICE_CHARS_MAX: usize = 400;

/// Characters of a text that a tool gave, within a notice.
const TOOL_TEXT_CHARS_MAX: usize = 120;

/// The notice of a reply; none for one that is plainly ok.
pub(super) fn of(reply: &Reply) -> Option<String> {
    let notice = match (&reply.error, &reply.provenance) {
        // The first line of a failure says what happened.
        (Some(error), _) => error.message.lines().next().unwrap_or_default().to_owned(),
        (None, Some(provenance)) if provenance.fallback_because.is_some() => replaced(reply, provenance),
        (None, _) => doubt(&reply.findings)?,
    };
    Some(one_line(&notice, NOTICE_CHARS_MAX))
}

/// An answer of another tool, or of an earlier call.
fn replaced(reply: &Reply, provenance: &Provenance) -> String {
    let why = provenance.fallback_because.map_or("it had no answer", because);
    let mut notice = match &provenance.cached {
        Some(Cached { age_ms, .. }) => {
            let age = duration::about(*age_ms);
            format!("No new answer from `{}`: {why}. This is what it answered {age} ago", reply.tool)
        }
        None => format!("Not from `{}`: {why}. From {}", reply.tool, who(provenance)),
    };
    if let Some(as_of) = &provenance.as_of {
        notice += &format!(", as of {}", one_line(as_of, TOOL_TEXT_CHARS_MAX));
    }
    if let Some(interpretation) = &reply.interpretation {
        // In quotes, as data: the tool's own words could read like the host's.
        let words = one_line(interpretation, TOOL_TEXT_CHARS_MAX).replace('"', "'");
        notice += &format!(", which understood: \"{words}\"");
    }
    notice.push('.');
    // The finding of the fallback itself comes first, and is this notice.
    if let Some(doubt) = doubt(reply.findings.get(1..).unwrap_or_default()) {
        notice += &format!(" {doubt}");
    }
    notice
}

/// The tool that answered, as the caller may know it.
fn who(provenance: &Provenance) -> String {
    if &*provenance.route == HIDDEN_ROUTE {
        HIDDEN_ROUTE.to_owned()
    } else {
        format!("`{}`", provenance.route)
    }
}

/// The strongest doubt, with the number of the others.
fn doubt(findings: &[Finding]) -> Option<String> {
    // Of equals the first one, in the order of the contract's checks.
    let strongest = findings.iter().rev().max_by_key(|finding| finding.verdict)?;
    let word = match strongest.verdict {
        Verdict::Suspect | Verdict::Escalate | Verdict::Reject => "Doubtful",
        Verdict::Pass | Verdict::Warn => "Note",
    };
    let place = if strongest.path.is_empty() { "the answer" } else { &format!("`{}`", strongest.path) };
    let others = match findings.len() - 1 {
        0 => String::new(),
        1 => "; one more finding".to_owned(),
        n => format!("; {n} more findings"),
    };
    let Finding { kind, expected, got, .. } = strongest;
    Some(format!("{word}: {place} ({kind}): expected {expected}, got {got}{others}."))
}

/// The finding of an answer that is another tool's: every degraded reply has one that explains it.
pub(super) fn fallback(called: &str, provenance: &Provenance, why: Code) -> Finding {
    let (kind, got) = match &provenance.cached {
        Some(Cached { age_ms, .. }) => {
            ("cached", format!("what it answered {} ago", duration::about(*age_ms)))
        }
        None => ("fallback", format!("an answer from {}", who(provenance))),
    };
    Finding {
        kind: kind.into(),
        verdict: Verdict::Suspect,
        path: String::new(),
        expected: format!("an answer from `{called}`"),
        got: format!("{got}, since {}", because(why)),
    }
}

/// Why the called tool did not answer itself, as the end of "since …".
fn because(code: Code) -> &'static str {
    match code {
        Code::Implausible => "its answer was implausible and was discarded",
        Code::ToolError => "it answered with an error",
        Code::ToolThrottled => "what stands behind it asked to wait",
        Code::ToolUnavailable => "what stands behind it could not be reached",
        Code::Trap => "it aborted",
        Code::LimitDeadline => "it had no answer in time",
        Code::LimitFuel => "it took too long",
        Code::LimitMemory
        | Code::LimitTable
        | Code::LimitOutput
        | Code::LimitStack
        | Code::LimitResources => "it was stopped at a limit",
        Code::Overloaded => "it is paused or busy, or had too little time left",
        Code::Refused => "it declined",
        Code::PolicyDenied => "it is not permitted",
        // No call falls back from these.
        Code::Ok
        | Code::Degraded
        | Code::ArgsSize
        | Code::ArgsSyntax
        | Code::ArgsType
        | Code::ArgsMissing
        | Code::ArgsUnknown
        | Code::ArgsConstraint
        | Code::ArgsPrecondition
        | Code::Clarify
        | Code::PolicyHeld
        | Code::PolicyDuplicate
        | Code::PolicyConflict
        | Code::ArgsIdempotency
        | Code::OutcomeUnknown
        | Code::RateLimited
        | Code::Cancelled
        | Code::Unknown
        | Code::HostInternal
        | Code::HostJournal => "it had no answer",
        // Other crates see an open list of codes; clippy still names each code that would come here.
        _ => "it had no answer",
    }
}
