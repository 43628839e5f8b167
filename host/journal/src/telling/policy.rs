//! What policy decided, by which rules, and what a registry would have to say for a use that was denied.

use super::text::{self, listed, name};
use super::{Line, Section, Tone};
use airlock_types::decision::Ruling;
use airlock_types::record::Record;
use airlock_types::record::v3::{Attempt, Decision, Denial};

/// The decision. Denials are in [`super::usage::touched`], with what the attempts did.
pub(super) fn brief(record: &Record) -> Section {
    let mut lines = decided(record);
    lines.extend(lacks(record, refused));
    Section::new("policy", lines)
}

/// The decision and every denial, each with its rule and the grant that would allow it.
pub(super) fn whole(record: &Record) -> Section {
    let mut lines = decided(record);
    lines.extend(lacks(record, explained));
    for attempt in &record.attempts {
        lines.extend(listed(&attempt.denied, explained));
        // Of formats before 3 the kinds alone are known.
        if attempt.denied.is_empty() {
            lines.extend(listed(&attempt.denials, |kind| vec![Line::new(Tone::Bad, text::line(kind))]));
        }
    }
    Section::new("policy", lines)
}

/// What identifies the rules and the tool.
pub(super) fn digests(record: &Record) -> Section {
    let known = [("what it was allowed", &record.policy), ("its component", &record.component)];
    let lines = known.into_iter().filter_map(|(what, digest)| {
        digest.as_ref().map(|digest| Line::quiet(format!("{what}: {}", text::line(digest))))
    });
    Section::new("digests", lines.collect())
}

fn decided(record: &Record) -> Vec<Line> {
    let Some(Decision { ruling, reasons, denied: _ }) = &record.decision else { return Vec::new() };
    let is = |one: Ruling| *ruling == one.as_str();
    let mut lines = vec![if is(Ruling::Allow) {
        Line::new(Tone::Good, "The call was allowed.")
    } else if is(Ruling::Hold) {
        Line::new(Tone::Doubt, "The call was held: a human must approve it first.")
    } else if is(Ruling::Deny) {
        Line::new(Tone::Bad, "The call was denied.")
    } else {
        Line::new(Tone::Bad, format!("The decision was {}.", name(ruling)))
    }];
    lines.extend(listed(reasons, |reason| vec![Line::plain(text::line(reason))]));
    lines
}

fn lacks(record: &Record, tell: fn(&Denial) -> Vec<Line>) -> Vec<Line> {
    record.decision.as_ref().map_or_else(Vec::new, |decision| listed(&decision.denied, tell))
}

/// The denials of an attempt, each on a line.
pub(super) fn refusals(attempt: &Attempt) -> Vec<Line> {
    listed(&attempt.denied, refused)
}

fn refused(denial: &Denial) -> Vec<Line> {
    let grant = denial
        .grant
        .as_ref()
        .map(|grant| Line::plain(format!("to allow it, {}: {}", place(denial), text::whole(grant))).below());
    // What no line of the registry allows needs its reason.
    let why =
        (grant.is_none() && !denial.kind.is_empty()).then(|| Line::quiet(text::line(&denial.kind)).below());
    std::iter::once(asked(denial)).chain(grant).chain(why).collect()
}

fn explained(denial: &Denial) -> Vec<Line> {
    let mut lines = vec![asked(denial)];
    if !denial.kind.is_empty() {
        lines.push(Line::quiet(text::line(&denial.kind)).below());
    }
    if let Some(grant) = &denial.grant {
        lines.push(Line::plain(format!("to allow it, {}:", place(denial))).below());
        lines.extend(text::whole_lines(grant).into_iter().map(|line| Line::plain(line).below().below()));
    }
    lines
}

/// What was asked for, and the rule that decided.
fn asked(denial: &Denial) -> Line {
    let Denial { capability, asked, reported, .. } = denial;
    // Retention erases what was asked for.
    let what = if asked.is_empty() { String::new() } else { format!(" ({})", text::line(asked)) };
    let what = format!("{}{what}", name(capability));
    let by = rule(denial);
    if *reported {
        let text = format!("{what}: passed by a grant of `report` alone; else refused{by}");
        return Line::new(Tone::Doubt, text);
    }
    Line::new(Tone::Bad, format!("{what}: refused{by}"))
}

/// The rule with its file and line. Formats before 3 have neither.
fn rule(denial: &Denial) -> String {
    let Denial { rule, at, .. } = denial;
    if rule.is_empty() {
        return String::new();
    }
    let at = if at.is_empty() { String::new() } else { format!(", {}", text::line(at)) };
    format!(" by {}{at}", name(rule))
}

/// Where the line goes that would allow a use.
fn place(denial: &Denial) -> String {
    let Denial { below, how, replaces, .. } = denial;
    if let Some(how) = how {
        let verb = if how.starts_with("in place") {
            "write"
        } else if *replaces {
            "replace it"
        } else {
            "add"
        };
        return format!("{verb} in `{}`, {}", text::line(below), text::line(how));
    }
    let table = if below.is_empty() { String::new() } else { format!(" in `[{}]`", text::line(below)) };
    if *replaces { format!("write in place of the rule{table}") } else { format!("add{table}") }
}
