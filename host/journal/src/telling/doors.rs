//! What the two doors found: violations of the arguments, and doubts about results.

use super::text::{self, listed, name};
use super::{Line, Section, Tone};
use airlock_types::code::Code;
use airlock_types::finding;
use airlock_types::record::Record;
use airlock_types::record::v3::{Attempt, Finding};
use airlock_types::reply::Reply;
use airlock_types::violation::Violation;
use airlock_types::words::count;

pub(super) fn inner(record: &Record, reply: Option<&Reply>) -> Section {
    let violations = reply.and_then(|reply| reply.error.as_ref()).map_or(&[][..], |error| &error.violations);
    let lines = if violations.is_empty() {
        vec![passed(record)]
    } else {
        let many = count(violations.len() as u64, "violation");
        let mut lines = vec![Line::new(Tone::Bad, format!("It found {many}, and nothing ran."))];
        lines.extend(listed(violations, violation));
        lines
    };
    Section::new("inner door", lines)
}

/// What the door said of arguments of which no violation is on record.
fn passed(record: &Record) -> Line {
    if record.decision.is_some() || record.plan.is_some() {
        Line::new(Tone::Good, "The arguments are valid.")
    } else if record.code.starts_with("args.") {
        Line::new(Tone::Bad, format!("It refused the arguments: {}. Nothing ran.", name(&record.code)))
    } else if record.code == Code::Unknown.as_str() {
        Line::new(Tone::Bad, "There was no such tool for this caller.")
    } else {
        Line::quiet("The call ended before its arguments were looked at.")
    }
}

fn violation(violation: &Violation) -> Vec<Line> {
    let Violation { code, path, pointer: _, keyword, expected, got, hint } = violation;
    let place = if path.is_empty() { "the arguments".to_owned() } else { name(path) };
    let what = format!("{place}: expected {}, got {}", text::line(expected), text::line(got));
    let by = Line::quiet(format!("{} by the rule {}", name(code.as_str()), name(keyword)));
    let hint = hint.as_ref().map(|hint| Line::plain(text::line(hint)).below());
    std::iter::once(Line::plain(what)).chain(hint).chain([by.below()]).collect()
}

pub(super) fn outer(record: &Record, reply: Option<&Reply>) -> Section {
    let found: Vec<(Option<&Attempt>, Finding)> = record
        .attempts
        .iter()
        .flat_map(|attempt| attempt.findings.iter().map(move |finding| (Some(attempt), finding.clone())))
        .collect();
    // What the host found about the call as a whole.
    let whole = reply.map_or(&[][..], |reply| &reply.findings).iter().cloned().map(Finding::from);
    let whole: Vec<_> =
        whole.filter(|whole| !found.iter().any(|(_, one)| one == whole)).map(|whole| (None, whole)).collect();
    let found = [found, whole].concat();
    let lines = if found.is_empty() {
        nothing_found(record).into_iter().collect()
    } else {
        let several = record.attempts.len() > 1;
        listed(&found, |(attempt, finding)| vec![doubt(attempt.filter(|_| several), finding)])
    };
    Section::new("outer door", lines)
}

fn nothing_found(record: &Record) -> Option<Line> {
    let is_value =
        |attempt: &Attempt| [Code::Ok, Code::Degraded].iter().any(|code| code.as_str() == attempt.code);
    match record.attempts.as_slice() {
        [] => None,
        attempts if attempts.iter().any(is_value) => Some(Line::new(Tone::Good, "It found nothing.")),
        _ => Some(Line::quiet("No result came to it.")),
    }
}

fn doubt(attempt: Option<&Attempt>, finding: &Finding) -> Line {
    let Finding { kind, verdict, path, expected, got } = finding;
    let whose = attempt.map(|attempt| format!("attempt {} on {}, ", attempt.number, name(&attempt.route)));
    let place = if path.is_empty() { String::new() } else { format!(" at {}", name(path)) };
    let mut text =
        format!("{}{} ({}){place}", whose.unwrap_or_default(), text::line(verdict), text::line(kind));
    // Retention erases both.
    if !expected.is_empty() {
        text.push_str(&format!(": expected {}, got {}", text::line(expected), text::line(got)));
    }
    let is_rejected = *verdict == finding::Verdict::Reject.as_str();
    Line::new(if is_rejected { Tone::Bad } else { Tone::Doubt }, text)
}
