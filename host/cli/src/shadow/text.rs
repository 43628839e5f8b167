//! The report for a terminal.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter, Result};
use std::path::Path;

use airlock_shadow::leg::Leg;
use airlock_shadow::night::{AgentNight, Blocked, Drifted, DriftedQuery, Night, Tally, ToolNight};
use airlock_shadow::trend::{ALPHA, Trend};
use airlock_types::words::count;

/// Most cases of one tool that are printed. The page has more.
const DRIFTED_MAX: usize = 3;

/// What is known after a night.
pub(super) struct Report<'r> {
    pub(super) registry: &'r Path,
    pub(super) suite: &'r Path,
    pub(super) night: &'r Night,
    pub(super) trends: &'r BTreeMap<(String, String), Trend>,
    pub(super) blocked: &'r [Blocked],
}

impl Report<'_> {
    /// The command that shows what an agent does with a query again. Its command is not kept: it may have a key in it.
    pub(super) fn reproduce_query(&self, query: &str) -> String {
        let (registry, suite) = (self.registry.display().to_string(), self.suite.display().to_string());
        format!(
            "airlock --registry {} shadow run {} --agent CMD --query {}",
            quoted(&registry),
            quoted(&suite),
            quoted(query)
        )
    }

    /// The command that shows a case again.
    pub(super) fn reproduce(&self, case: &str) -> String {
        let candidate = self.night.candidate.as_ref().map(|path| format!(" --candidate {}", quoted(path)));
        format!(
            "airlock --registry {} shadow run {} --case {case}{}",
            quoted(&self.registry.display().to_string()),
            quoted(&self.suite.display().to_string()),
            candidate.unwrap_or_default()
        )
    }
}

/// A word of a shell.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

impl Display for Report<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let cases = self.night.tools.values().map(|tool| tool.cases).sum();
        let tools = count(self.night.tools.len() as u64, "tool");
        write!(f, "{}: {}, {tools}", self.night.at, count(cases, "case"))?;
        match &self.night.candidate {
            Some(candidate) => writeln!(f, ", candidate {candidate}")?,
            None => writeln!(f)?,
        }
        for (name, tool) in &self.night.tools {
            self.tool(f, name, tool)?;
        }
        self.night.agent.iter().try_for_each(|agent| self.agent(f, agent))?;
        for ((tool, figure), trend) in self.trends.iter().filter(|(_, trend)| trend.alarm.is_some()) {
            let night = trend.alarm.map_or(0, |night| night + 1);
            let of = trend.figures.len();
            writeln!(
                f,
                "trend: `{figure}` of {tool} has changed: alarm at night {night} of {of} (α = {ALPHA})"
            )?;
        }
        writeln!(f)?;
        for Blocked { gate, tool, why } in self.blocked {
            writeln!(f, "blocked by {}: {tool}: {why}", gate.as_str())?;
        }
        if self.blocked.is_empty() { writeln!(f, "no gate blocks") } else { Ok(()) }
    }
}

/// The cases of a leg in words.
fn tallied(leg: &str, Tally { same, changed, not_run }: Tally) -> String {
    let not_run = if not_run > 0 { format!(", {not_run} not run") } else { String::new() };
    format!("{leg} {same} the same, {changed} different{not_run}")
}

impl Report<'_> {
    fn agent(&self, f: &mut Formatter<'_>, agent: &AgentNight) -> Result {
        writeln!(f, "\nthe agent  {}", agent.verdict.as_str())?;
        let queries = match agent.queries {
            1 => "1 query".to_owned(),
            queries => format!("{queries} queries"),
        };
        let not_run = if agent.not_run > 0 { format!(", {} not run", agent.not_run) } else { String::new() };
        let (answers, paths) = (tallied("answers", agent.answers), tallied("paths", agent.paths));
        writeln!(f, "  {queries}{not_run} · {answers} · {paths}")?;
        for DriftedQuery { query, what, told, .. } in agent.drifted.iter().take(DRIFTED_MAX) {
            writeln!(f, "  {what}: {query}")?;
            told.iter().try_for_each(|line| writeln!(f, "    {line}"))?;
        }
        match agent.drifted.first() {
            Some(first) => writeln!(f, "  shown by: {}", self.reproduce_query(&first.query)),
            None => Ok(()),
        }
    }

    fn tool(&self, f: &mut Formatter<'_>, name: &str, tool: &ToolNight) -> Result {
        writeln!(f, "\n{name}  {}", tool.verdict.as_str())?;
        let leg = |(leg, tally): (&Leg, &Tally)| tallied(leg.as_str(), *tally);
        writeln!(f, "  {}", tool.legs.iter().map(leg).collect::<Vec<_>>().join(" · "))?;
        if tool.ignored > 0 {
            writeln!(f, "  {} not compared", count(tool.ignored, "place"))?;
        }
        for Drifted { case, leg, told, .. } in tool.drifted.iter().take(DRIFTED_MAX) {
            writeln!(f, "  {}: {case}", leg.as_str())?;
            told.iter().try_for_each(|line| writeln!(f, "    {line}"))?;
        }
        match tool.drifted.first() {
            Some(first) => writeln!(f, "  shown by: {}", self.reproduce(&first.case)),
            None => Ok(()),
        }
    }
}
