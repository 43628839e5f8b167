//! What the runs of one case show, leg by leg.
//!
//! Owns the attribution of a difference. Each leg compares two runs between which one thing alone is other, so that a
//! difference between them has one cause:
//!
//! | leg | compares | what is other |
//! |---|---|---|
//! | host | the recorded attempt, and the same component with the recorded imports | the host |
//! | tool | that run, and another component with the recorded imports | the component |
//! | checks | that run's answer under its own contract, and under the other component's | the contract |
//! | noise | two runs of the same component with real imports, one after the other | the moment |
//! | upstream | the run with recorded imports, and one with real imports, beyond the noise | the world |
//! | reference | the newest answer, and what it should be | anything since the reference |
//!
//! What an agent does with the same query and the same answers of tools is compared by `query`; what differs there is the agent.
//!
//! Must not know how a run is made. To add a leg: a variant of [`Leg`], its place in [`Leg::ALL`], a function beside the others
//! and its line in [`attribute`]; the compiler leads to the rest.

// A new leg or verdict must be handled at every match on them.
#![warn(clippy::wildcard_enum_match_arm)]

use std::collections::{BTreeMap, BTreeSet};

use airlock_types::cassette::End;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::compare::{Comparators, Compared};

/// Most sentences about one leg of a case.
const TOLD_MAX: usize = 5;

/// A pair of runs that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leg {
    /// The same component with the recorded imports.
    Host,
    /// Another component with the recorded imports.
    Tool,
    /// Two runs with real imports.
    Noise,
    /// Real imports against the recorded ones.
    Upstream,
    /// Other checks on the same answer.
    Checks,
    /// The newest answer against its reference.
    Reference,
}

impl Leg {
    /// All legs, in the order in which a verdict goes by them.
    pub const ALL: [Leg; 6] = [Leg::Host, Leg::Tool, Leg::Noise, Leg::Upstream, Leg::Checks, Leg::Reference];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Leg::Host => "host",
            Leg::Tool => "tool",
            Leg::Noise => "noise",
            Leg::Upstream => "upstream",
            Leg::Checks => "checks",
            Leg::Reference => "reference",
        }
    }

    /// The cause that a difference in it shows; none where it shows no single one.
    fn cause(self) -> Option<Verdict> {
        match self {
            Leg::Host => Some(Verdict::Host),
            Leg::Tool => Some(Verdict::Tool),
            Leg::Upstream => Some(Verdict::Upstream),
            Leg::Checks => Some(Verdict::Checks),
            Leg::Noise | Leg::Reference => None,
        }
    }
}

/// What has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing.
    #[default]
    None,
    /// The host: the same component with the same imports came to something else.
    Host,
    /// The component.
    Tool,
    /// What the tool reads: files, services, clocks.
    Upstream,
    /// What the contract says of an answer.
    Checks,
    /// The agent: with the same query and the same answers of tools, it answers or calls otherwise.
    Agent,
}

impl Verdict {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::None => "none",
            Verdict::Host => "host",
            Verdict::Tool => "tool",
            Verdict::Upstream => "upstream",
            Verdict::Checks => "checks",
            Verdict::Agent => "agent",
        }
    }

    /// The verdict about a tool from the legs of its cases that differ: the first in the order of the legs.
    pub fn of(changed: impl IntoIterator<Item = Leg>) -> Verdict {
        changed.into_iter().filter_map(Leg::cause).min().unwrap_or_default()
    }
}

/// One run of a case.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ran {
    /// How it ended; none where it was stopped before.
    pub end: Option<End>,
    /// Where it left what was recorded.
    pub divergence: Option<String>,
    /// What is other than was recorded, of a strict run.
    pub differences: Vec<String>,
    /// What it would have changed, in order.
    pub effects: Vec<String>,
}

/// What the outer door says of an answer: the code, and kind, verdict and place of each finding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// The outcome code.
    pub code: String,
    /// The findings.
    pub findings: BTreeSet<(String, String, String)>,
}

/// Everything that was seen of one case. An `Err` says why a run could not be made.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The same component with the recorded imports.
    pub same: Result<Ran, String>,
    /// Another component with the recorded imports, where there is one.
    pub candidate: Option<Result<Ran, String>>,
    /// Two runs with real imports, of a tool that has any.
    pub live: Option<Result<[Ran; 2], String>>,
    /// What was said of the recorded answer, and is said of the same answer now.
    pub judged: Option<(Judged, Judged)>,
    /// The same under the contract of the other component.
    pub judged_by_candidate: Option<Result<Judged, String>>,
    /// What the answer should be.
    pub reference: Option<Value>,
}

/// What one leg of a case shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Whether the two runs differ.
    pub status: Status,
    /// What differs, or why there was no run: a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub told: Vec<String>,
}

/// Whether two runs differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// They are the same.
    Same,
    /// They differ.
    Changed,
    /// One of them could not be made.
    NotRun,
}

impl Shown {
    pub(crate) fn new(told: Vec<String>) -> Shown {
        let status = if told.is_empty() { Status::Same } else { Status::Changed };
        Shown { status, told: cut(told) }
    }

    fn not_run(why: &str) -> Shown {
        Shown { status: Status::NotRun, told: vec![why.to_owned()] }
    }
}

fn cut(mut told: Vec<String>) -> Vec<String> {
    let more = told.len().saturating_sub(TOLD_MAX);
    if more > 0 {
        told.truncate(TOLD_MAX);
        told.push(format!("and {more} more"));
    }
    told
}

/// What the legs of a case show. A leg that has nothing to compare is not there.
pub fn attribute(observed: &Observed, comparators: &Comparators) -> BTreeMap<Leg, Shown> {
    let mut legs = BTreeMap::from([(Leg::Host, host(observed))]);
    let Ok(Ran { end: Some(_), .. }) = &observed.same else {
        // The other legs compare with the end of that run.
        return legs;
    };
    if let Some(candidate) = &observed.candidate {
        legs.insert(Leg::Tool, tool(observed, candidate, comparators));
        legs.extend(checks(observed).map(|shown| (Leg::Checks, shown)));
    }
    match &observed.live {
        Some(Ok(live)) => {
            let noise = compare(comparators, &live[0], &live[1]);
            legs.insert(Leg::Noise, Shown::new(told(&noise)));
            legs.insert(Leg::Upstream, upstream(observed, live, &noise, comparators));
        }
        Some(Err(why)) => {
            legs.insert(Leg::Upstream, Shown::not_run(why));
        }
        None => {}
    }
    legs.extend(reference(observed, comparators).map(|shown| (Leg::Reference, shown)));
    legs
}

fn host(observed: &Observed) -> Shown {
    let same = match &observed.same {
        Ok(same) => same,
        Err(why) => return Shown::not_run(why),
    };
    let mut told: Vec<String> = same.divergence.iter().chain(&same.differences).cloned().collect();
    if let Some((recorded, now)) = &observed.judged
        && told.is_empty()
    {
        told.extend(judged_otherwise(recorded, now));
    }
    Shown::new(told)
}

fn tool(observed: &Observed, candidate: &Result<Ran, String>, comparators: &Comparators) -> Shown {
    let (same, candidate) = match (&observed.same, candidate) {
        (Ok(same), Ok(candidate)) => (same, candidate),
        (Err(why), _) => return Shown::not_run(why),
        // The recorded arguments are not valid any more, or the tool is gone: that is a change of the tool.
        (Ok(_), Err(why)) => return Shown::new(vec![why.clone()]),
    };
    let mut told_of: Vec<String> = candidate.divergence.iter().cloned().collect();
    told_of.extend(told(&compare(comparators, same, candidate)));
    if told_of.is_empty() && same.effects != candidate.effects {
        let effects = |ran: &Ran| ran.effects.join(", ");
        told_of.push(format!("its effects are [{}], and were [{}]", effects(candidate), effects(same)));
    }
    // A strict run knows more: fuel is no change of an answer.
    Shown::new(told_of)
}

fn checks(observed: &Observed) -> Option<Shown> {
    let (_, now) = observed.judged.as_ref()?;
    Some(match observed.judged_by_candidate.as_ref()? {
        Ok(candidate) => Shown::new(judged_otherwise(now, candidate).into_iter().collect()),
        Err(why) => Shown::not_run(why),
    })
}

fn judged_otherwise(was: &Judged, is: &Judged) -> Option<String> {
    let side = |judged: &Judged| {
        let finding = |(kind, verdict, at): &(String, String, String)| {
            let at = if at.is_empty() { "the whole".to_owned() } else { format!("`{at}`") };
            format!("{kind} of {at}: {verdict}")
        };
        let findings: Vec<String> = judged.findings.iter().take(TOLD_MAX).map(finding).collect();
        let findings = if findings.is_empty() { "no finding".to_owned() } else { findings.join(", ") };
        format!("`{}` with {findings}", judged.code)
    };
    (was != is).then(|| format!("the outer door says {}, and said {}", side(is), side(was)))
}

fn upstream(observed: &Observed, live: &[Ran; 2], noise: &Compared, comparators: &Comparators) -> Shown {
    let same = match &observed.same {
        Ok(same) => same,
        Err(why) => return Shown::not_run(why),
    };
    // Both live runs must differ from the recorded one: what one of them alone shows is a matter of the moment.
    let [first, second] = live.each_ref().map(|ran| compare(comparators, same, ran).beyond(noise));
    let in_both = |one: &String| second.differences.iter().any(|other| *one == pattern_of(other));
    let both = first.differences.iter().filter(|one| in_both(&pattern_of(one)));
    Shown::new(both.map(sentence).collect())
}

fn pattern_of(difference: &crate::compare::Difference) -> String {
    difference.pattern.clone()
}

/// The newest answer: a live one, else the candidate's, else that of the same component.
pub fn newest(observed: &Observed) -> Option<&Value> {
    answer_of(newest_runs(observed).into_iter().next()?)
}

/// The runs of today: the live one and the candidate's, or that of the same component where there is neither.
fn newest_runs(observed: &Observed) -> Vec<&Ran> {
    let live = observed.live.as_ref().and_then(|live| live.as_ref().ok()).map(|live| &live[0]);
    let candidate = observed.candidate.as_ref().and_then(|candidate| candidate.as_ref().ok());
    let mut runs: Vec<&Ran> = live.into_iter().chain(candidate).collect();
    if runs.is_empty() {
        runs.extend(observed.same.as_ref().ok());
    }
    runs
}

fn answer_of(ran: &Ran) -> Option<&Value> {
    ran.end.as_ref().filter(|end| end.kind == End::VALUE).map(|end| &end.detail)
}

/// Every answer of today is compared: one that left its reference is drift, whatever the other legs show.
fn reference(observed: &Observed, comparators: &Comparators) -> Option<Shown> {
    let reference = observed.reference.as_ref()?;
    let left = |ran: &Ran| match answer_of(ran) {
        Some(answer) => told(&comparators.compare_values(reference, answer)),
        None => vec!["there is no answer, and the reference has one".to_owned()],
    };
    let first_left = newest_runs(observed).into_iter().map(left).find(|told| !told.is_empty());
    Some(Shown::new(first_left.unwrap_or_default()))
}

/// Compares how two runs ended, and where they left what was recorded.
fn compare(comparators: &Comparators, was: &Ran, is: &Ran) -> Compared {
    let stopped = |ran: &Ran| match &ran.divergence {
        Some(divergence) => End { kind: format!("stopped: {divergence}"), detail: Value::Null, fuel: 0 },
        None => End { kind: "stopped".to_owned(), detail: Value::Null, fuel: 0 },
    };
    let end = |ran: &Ran| ran.end.clone().unwrap_or_else(|| stopped(ran));
    comparators.compare(&end(was), &end(is))
}

fn told(compared: &Compared) -> Vec<String> {
    let mut told: Vec<String> = compared.differences.iter().map(sentence).collect();
    if compared.more > 0 {
        told.push(format!("{} more places differ", compared.more));
    }
    told
}

fn sentence(difference: &crate::compare::Difference) -> String {
    let crate::compare::Difference { at, was, is, .. } = difference;
    let at = if at.is_empty() { "the outcome".to_owned() } else { format!("`{at}`") };
    format!("{at} is {is}, and was {was}")
}

#[cfg(test)]
mod tests;
