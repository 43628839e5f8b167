//! The report for a terminal.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter, Result};
use std::path::Path;

use airlock_shadow::leg::Leg;
use airlock_shadow::night::{Blocked, Drifted, Night, ToolNight};
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
fn quoted(word: &str) -> String {
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

impl Report<'_> {
    fn tool(&self, f: &mut Formatter<'_>, name: &str, tool: &ToolNight) -> Result {
        writeln!(f, "\n{name}  {}", tool.verdict.as_str())?;
        let leg = |(leg, tally): (&Leg, &airlock_shadow::night::Tally)| {
            let not_run =
                if tally.not_run > 0 { format!(", {} not run", tally.not_run) } else { String::new() };
            format!("{} {} the same, {} different{not_run}", leg.as_str(), tally.same, tally.changed)
        };
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
