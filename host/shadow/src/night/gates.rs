//! What makes a night fail.

use std::collections::{BTreeMap, BTreeSet};

use super::{AgentNight, Night};
use crate::leg::{Leg, Verdict};
use crate::suite::Gate;
use crate::trend::Trend;

/// A gate that a night did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The gate.
    pub gate: Gate,
    /// The tool, or `agent`.
    pub tool: String,
    /// Why, in a sentence.
    pub why: String,
}

/// The gates that a night did not pass, of those that the suite has.
pub fn blocked(
    night: &Night,
    trends: &BTreeMap<(String, String), Trend>,
    gates: &BTreeSet<Gate>,
) -> Vec<Blocked> {
    let mut found = Vec::new();
    for (tool, results) in &night.tools {
        let mut block = |gate, why: String| found.push(Blocked { gate, tool: tool.clone(), why });
        for (leg, tally) in results.legs.iter().filter(|(_, tally)| tally.changed > 0) {
            let of = format!("{} of {} cases", tally.changed, results.cases);
            match leg {
                Leg::Host => block(Gate::Host, format!("{of}: the same component with the same imports")),
                Leg::Tool => block(Gate::Tool, format!("{of}: another component with the same imports")),
                Leg::Upstream => block(Gate::Upstream, format!("{of}: what the tool reads")),
                Leg::Checks => block(Gate::Checks, format!("{of}: other checks on the same answer")),
                Leg::Reference => block(Gate::Reference, format!("{of} are not their reference")),
                Leg::Noise => {}
            }
        }
        let not_run: u64 = results.legs.values().map(|tally| tally.not_run).max().unwrap_or_default();
        if not_run > 0 {
            block(Gate::Coverage, format!("{not_run} of {} cases could not be run", results.cases));
        }
    }
    found.extend(night.agent.iter().flat_map(by_agent));
    if night.candidate.is_none() {
        for ((tool, figure), trend) in trends.iter().filter(|(_, trend)| trend.alarm.is_some()) {
            let why = format!("`{figure}` has changed over {} nights", trend.figures.len());
            found.push(Blocked { gate: Gate::Trend, tool: tool.clone(), why });
        }
    }
    found.retain(|blocked| gates.contains(&blocked.gate));
    found
}

fn by_agent(agent: &AgentNight) -> Vec<Blocked> {
    let block = |gate, why| Blocked { gate, tool: "agent".to_owned(), why };
    let AgentNight { queries, not_run, answers, paths, .. } = agent;
    let mut found = Vec::new();
    if agent.verdict == Verdict::Agent {
        let (answers, paths) = (answers.changed, paths.changed);
        let why = format!("answered otherwise: {answers}, on another path: {paths}, of {}", asked(*queries));
        found.push(block(Gate::Agent, why));
    }
    if *not_run > 0 {
        found.push(block(Gate::Coverage, format!("could not be run: {not_run} of {}", asked(*queries))));
    }
    found
}

/// A number of queries in words.
fn asked(queries: u64) -> String {
    if queries == 1 { "1 query".to_owned() } else { format!("{queries} queries") }
}
