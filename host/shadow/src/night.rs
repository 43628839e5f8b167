//! The results of one night, as they are kept, and what of them makes the night fail.
//!
//! Owns the form of a night, the verdict about each tool, the figures whose trend is followed, and the gates. Must not know the
//! folder. To add a figure: its line in `ToolNight::figures`.

// A new leg or verdict must be handled at every match on them.
#![warn(clippy::wildcard_enum_match_arm)]

mod agent;
mod gates;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use agent::{AgentNight, DriftedQuery, QueryResult};
pub use gates::{Blocked, blocked};

use crate::leg::{Leg, Shown, Status, Verdict};
use crate::trend::Trend;

/// The version of the form of nights.
pub const FORMAT: u32 = 1;

/// Most bytes of a night as text.
pub const BYTES_MAX: u64 = 4 << 20;

/// Most cases of a tool that are told one by one, and of all tools together: a night is kept, and stays small.
const DRIFTED_MAX: usize = 10;
const DRIFTED_OF_ALL_MAX: usize = 500;

/// What came of one case.
#[derive(Clone, Debug)]
pub struct CaseResult {
    /// Its name.
    pub case: String,
    /// Its tool.
    pub tool: String,
    /// What each leg shows.
    pub legs: BTreeMap<Leg, Shown>,
    /// The newest answer.
    pub answer: Option<Value>,
    /// What the runs with real imports show; none where there were none.
    pub live: Option<Live>,
}

/// What the runs with real imports show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Live {
    /// Whether the answer is other than the recorded one, noise included.
    pub is_changed: bool,
    /// Whether there was no answer.
    pub is_failed: bool,
    /// Fuel, as a part of what was recorded.
    pub fuel: f64,
}

/// The results of one night.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Night {
    /// The version of this form.
    pub format: u32,
    /// When it began, as RFC 3339 in UTC.
    pub at: String,
    /// The version of Airlock.
    pub host: String,
    /// What was tried; none for the registry as it was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub candidate: Option<String>,
    /// The tools.
    pub tools: BTreeMap<String, ToolNight>,
    /// The agent, where one was run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub agent: Option<AgentNight>,
}

/// The results of one tool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolNight {
    /// What has changed.
    pub verdict: Verdict,
    /// How many cases there are.
    pub cases: u64,
    /// Places that are not compared.
    #[serde(default)]
    pub ignored: u64,
    /// What each leg came to.
    pub legs: BTreeMap<Leg, Tally>,
    /// Figures whose trend is followed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub figures: BTreeMap<String, f64>,
    /// The first cases that differ, or were not run.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub drifted: Vec<Drifted>,
}

/// How many cases had which result in a leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Those that are the same.
    pub same: u64,
    /// Those that differ.
    pub changed: u64,
    /// Those that were not run.
    pub not_run: u64,
}

/// A case that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drifted {
    /// Its name.
    pub case: String,
    /// The leg.
    pub leg: Leg,
    /// Whether it differs, or was not run.
    pub status: Status,
    /// What differs.
    pub told: Vec<String>,
}

impl Night {
    /// The night of these results.
    pub fn of(
        at: &str,
        candidate: Option<&str>,
        results: &[CaseResult],
        ignored: &BTreeMap<String, u64>,
    ) -> Night {
        let names: BTreeSet<&str> = results.iter().map(|result| result.tool.as_str()).collect();
        let most = (DRIFTED_OF_ALL_MAX / names.len().max(1)).clamp(1, DRIFTED_MAX);
        let of = |name: &str| {
            let results: Vec<&CaseResult> = results.iter().filter(|result| result.tool == name).collect();
            let ignored = ignored.get(name).copied().unwrap_or_default();
            (name.to_owned(), ToolNight { ignored, ..ToolNight::of(&results, most) })
        };
        Night {
            format: FORMAT,
            at: at.to_owned(),
            host: env!("CARGO_PKG_VERSION").to_owned(),
            candidate: candidate.map(str::to_owned),
            tools: names.into_iter().map(of).collect(),
            agent: None,
        }
    }

    /// Reads a night.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn read(text: &str) -> Result<Night, String> {
        let night: Night = serde_json::from_str(text).map_err(|err| err.to_string())?;
        if night.format == FORMAT {
            Ok(night)
        } else {
            Err(format!("it has format {}, and {FORMAT} is read", night.format))
        }
    }

    /// The text of a night.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn write(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

impl Tally {
    /// Counts one.
    fn add(&mut self, status: Status) {
        let Tally { same, changed, not_run } = self;
        *(match status {
            Status::Same => same,
            Status::Changed => changed,
            Status::NotRun => not_run,
        }) += 1;
    }
}

impl ToolNight {
    fn of(results: &[&CaseResult], drifted_max: usize) -> ToolNight {
        let shown = || {
            results
                .iter()
                .flat_map(|result| result.legs.iter().map(move |(leg, shown)| (*result, *leg, shown)))
        };
        let mut legs: BTreeMap<Leg, Tally> = BTreeMap::new();
        for (_, leg, shown) in shown() {
            legs.entry(leg).or_default().add(shown.status);
        }
        let changed = legs.iter().filter(|(_, tally)| tally.changed > 0).map(|(leg, _)| *leg);
        let verdict = Verdict::of(changed);
        let drifted = |(result, leg, shown): (&CaseResult, Leg, &Shown)| Drifted {
            case: result.case.clone(),
            leg,
            status: shown.status,
            told: shown.told.clone(),
        };
        let is_told =
            |(_, leg, shown): &(&CaseResult, Leg, &Shown)| shown.status != Status::Same && *leg != Leg::Noise;
        let mut drifted: Vec<Drifted> = shown().filter(is_told).map(drifted).collect();
        // What the verdict is about comes first, in as few words as there are: the first one is the reproducer.
        drifted.sort_by_key(|one| (one.status != Status::Changed, one.leg, one.told.concat().len()));
        drifted.truncate(drifted_max);
        ToolNight {
            verdict,
            cases: results.len() as u64,
            ignored: 0,
            legs,
            figures: ToolNight::figures(results),
            drifted,
        }
    }

    /// The figures of the runs with real imports: the mean over the cases.
    fn figures(results: &[&CaseResult]) -> BTreeMap<String, f64> {
        let live: Vec<Live> = results.iter().filter_map(|result| result.live).collect();
        if live.is_empty() {
            return BTreeMap::new();
        }
        let mean = |of: &dyn Fn(&Live) -> f64| live.iter().map(of).sum::<f64>() / live.len() as f64;
        let share = |is: bool| if is { 1.0 } else { 0.0 };
        [
            ("changed", mean(&|live| share(live.is_changed))),
            ("failed", mean(&|live| share(live.is_failed))),
            ("fuel", mean(&|live| live.fuel)),
        ]
        .map(|(name, figure)| (name.to_owned(), figure))
        .into()
    }
}

/// The trend of each figure of each tool over nights, oldest first. Nights on which something was tried are left out, and
/// those before the date.
pub fn trends(nights: &[Night], since: Option<&str>) -> BTreeMap<(String, String), Trend> {
    let is_counted =
        |night: &&Night| night.candidate.is_none() && since.is_none_or(|since| night.at.as_str() >= since);
    let mut figures: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
    for night in nights.iter().filter(is_counted) {
        for (tool, results) in &night.tools {
            for (name, figure) in &results.figures {
                figures.entry((tool.clone(), name.clone())).or_default().push(*figure);
            }
        }
    }
    let trend = |((tool, name), figures): ((String, String), Vec<f64>)| {
        let trend = Trend::of(&format!("{tool} {name}"), &figures);
        ((tool, name), trend)
    };
    figures.into_iter().map(trend).collect()
}

#[cfg(test)]
mod tests;
