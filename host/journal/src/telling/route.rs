//! What was planned, and what was done of it: attempts, waits, fallbacks, and why there was no further one.

use super::text::{self, listed, name};
use super::{Line, Section, Tone, tone};
use airlock_types::duration;
use airlock_types::record::Record;
use airlock_types::record::v3::{Attempt, Breaker, Plan, Route, Step, Trap};
use airlock_types::words::count;

/// A frame of a component without names.
const UNNAMED: &str = "<unknown>";

/// Frames of a trap that are shown.
const FRAMES_MAX: usize = 8;

/// The path through the plan.
pub(super) fn taken(record: &Record) -> Section {
    let lines = match &record.plan {
        None => Vec::new(),
        Some(_) if record.path.is_empty() => vec![Line::quiet("What was done of the plan is not on record.")],
        Some(_) => {
            let mut told = Telling { record, running: None, ended: None };
            let mut lines = listed(&record.path, |step| told.step(step));
            lines.extend(told.cut_off());
            lines
        }
    };
    Section::new("route", lines)
}

/// The path, while it is told.
struct Telling<'r> {
    record: &'r Record,
    /// What to say of the attempt that runs, and its tool and number.
    running: Option<(String, &'r str, u32)>,
    /// The last attempt that ended: its tool and its code.
    ended: Option<(&'r str, &'r str)>,
}

impl<'r> Telling<'r> {
    fn step(&mut self, step: &'r Step) -> Vec<Line> {
        match step {
            Step::Attempt { tool, number, wait_ms } => {
                self.running = Some((self.begun(tool, *number, *wait_ms), tool, *number));
                Vec::new()
            }
            Step::Ended { tool, code } => self.end(tool, code),
            Step::Skipped { tool, why } => {
                vec![Line::new(Tone::Doubt, format!("{} was passed over: {}.", name(tool), text::line(why)))]
            }
            Step::Stopped { tool, why } => {
                vec![Line::plain(format!("No further attempt on {}: {}.", name(tool), text::line(why)))]
            }
            Step::Asked { tool, wait_ms } => vec![Line::plain(format!(
                "{} was asked{} whether the effect happened.",
                name(tool),
                after(*wait_ms)
            ))],
            Step::Verified { tool, found } => {
                vec![Line::plain(format!("{} said: {}.", name(tool), text::line(found)))]
            }
            Step::Recalled { tool, found, age_ms } => vec![recalled(tool, found, *age_ms)],
        }
    }

    /// How an attempt began, without its end.
    fn begun(&self, tool: &str, number: u32, wait_ms: u64) -> String {
        let begun = match self.ended {
            Some((before, code)) if before != tool => {
                format!("Fell back to {}, as {} ended with {}", name(tool), name(before), name(code))
            }
            _ if number > 1 => format!("Tried {} again, attempt {number}", name(tool)),
            _ => format!("Ran {}", name(tool)),
        };
        format!("{begun}{}", after(wait_ms))
    }

    fn end(&mut self, tool: &'r str, code: &'r str) -> Vec<Line> {
        let (begun, ran, number) =
            self.running.take().unwrap_or_else(|| (format!("Ran {}", name(tool)), tool, 1));
        self.ended = Some((tool, code));
        let end = Line::new(tone(code), format!("{begun}: {}.", name(code)));
        let is_it = |attempt: &&Attempt| *attempt.route == *ran && attempt.number == number;
        let attempt = self.record.attempts.iter().find(is_it);
        let trap = attempt.and_then(|attempt| attempt.trap.as_ref()).map_or_else(Vec::new, trapped);
        std::iter::once(end).chain(trap).collect()
    }

    /// The attempt that ran when the call was cut off.
    fn cut_off(self) -> Option<Line> {
        let (begun, ..) = self.running?;
        Some(Line::new(Tone::Bad, format!("{begun}: it was cut off.")))
    }
}

fn after(wait_ms: u64) -> String {
    if wait_ms == 0 { String::new() } else { format!(" after a wait of {}", duration::print(wait_ms)) }
}

fn recalled(tool: &str, found: &str, age_ms: Option<u64>) -> Line {
    let age = age_ms.map(|age_ms| format!(", {} old", duration::about(age_ms))).unwrap_or_default();
    let what = format!("A kept answer of {} was looked for: {}{age}.", name(tool), text::line(found));
    Line::new(Tone::Doubt, what)
}

fn trapped(trap: &Trap) -> Vec<Line> {
    // Retention erases the message.
    let message = text::lines(&trap.message).into_iter().map(Line::plain);
    let known = trap.frames.iter().filter(|frame| *frame != UNNAMED);
    let frames = known.take(FRAMES_MAX).map(|frame| Line::quiet(format!("in {}", text::line(frame))));
    message.chain(frames).map(Line::below).collect()
}

/// The plan: the tools that could answer, in order, and how often each could be tried.
pub(super) fn planned(record: &Record) -> Section {
    let Some(Plan { routes, deadline_ms, worst_case, .. }) = &record.plan else {
        return Section::new("plan", Vec::new());
    };
    let most = worst_case.map(|worst| count(u64::from(worst.executions), "attempt"));
    // Not known of an erased record.
    let most = most.map_or_else(|| "What was planned, all".to_owned(), |most| format!("At most {most}"));
    let within = duration::print(*deadline_ms);
    let mut lines = vec![Line::plain(format!("{most} within {within}:"))];
    let mut number = 0;
    lines.extend(listed(routes, |route| {
        number += 1;
        possible(number, route)
    }));
    Section::new("plan", lines)
}

fn possible(number: usize, route: &Route) -> Vec<Line> {
    let from = &route.from;
    if let Some(cached_ms_max) = from.cached_ms_max {
        let age = duration::print(cached_ms_max);
        let what = format!(
            "{number}. the last answer of {} to the same arguments, at most {age} old",
            name(&from.tool)
        );
        return vec![Line::plain(what)];
    }
    let tries = count(u64::from(attempts_max(route)), "attempt");
    let each = duration::print(from.attempt_deadline_ms);
    let mut lines = vec![Line::plain(format!(
        "{number}. {} ({}): up to {tries}{}, {each} each",
        name(&from.tool),
        text::line(&from.effect),
        repeats(route)
    ))];
    lines.extend(paused(&from.breaker));
    lines.extend(from.verify.as_ref().map(|verify| {
        Line::plain(format!("{} says whether an effect happened that was not answered", name(&verify.tool)))
            .below()
    }));
    lines
}

fn attempts_max(route: &Route) -> u32 {
    if route.repeat == "never" { 1 } else { route.from.retry.attempts_max.max(1) }
}

fn repeats(route: &Route) -> &'static str {
    match &*route.repeat {
        "with-proof" if attempts_max(route) > 1 => ", repeated only with proof that no effect has left",
        _ => "",
    }
}

fn paused(breaker: &Breaker) -> Option<Line> {
    let text = match breaker {
        Breaker::Closed => return None,
        Breaker::Probing => "its breaker let probes through".to_owned(),
        Breaker::Open { remaining_ms, scope } => {
            let remaining = duration::print(*remaining_ms);
            format!("its breaker was open for {} for another {remaining}", name(scope))
        }
    };
    Some(Line::new(Tone::Doubt, text).below())
}
