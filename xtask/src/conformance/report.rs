//! The report: which scenarios passed, and what answered them.
//!
//! The suite prints when each scenario began, the host when and by what it answered each request. A scenario in which a
//! test-only fixture answered any request counts as answered by fixtures.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result, ensure};

/// One scenario of the suite.
#[derive(Debug, Default, PartialEq)]
struct Scenario {
    name: String,
    began_ms: u64,
    passed: u32,
    failed: u32,
    /// Requests that fixtures answered.
    fixtures: BTreeSet<String>,
    /// Requests that tools of the registry answered.
    components: BTreeSet<String>,
}

/// The combined output of the suite and the host.
#[derive(Debug, PartialEq)]
pub(super) struct Report {
    scenarios: Vec<Scenario>,
}

impl Report {
    /// Reads the suite's output and the host's lines.
    ///
    /// # Errors
    /// When either has an unexpected form: a report that counts nothing must not look like a good one.
    pub(super) fn new(suite: &str, host: &str) -> Result<Report> {
        let mut scenarios = scenarios(suite)?;
        ensure!(!scenarios.is_empty(), "the suite ran no scenario:\n{suite}");
        for line in host.lines() {
            let mut words = line.splitn(3, '\t');
            // Other lines are log lines of the host.
            let (Some(at), Some(by), Some(what)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            let at: u64 = at.parse().with_context(|| format!("the host said `{line}`"))?;
            // The last scenario that began before the answer: scenarios run one after the other.
            let Some(scenario) = scenarios.iter_mut().rfind(|scenario| scenario.began_ms <= at) else {
                continue;
            };
            let answers = if by == "fixture" { &mut scenario.fixtures } else { &mut scenario.components };
            answers.insert(what.to_owned());
        }
        let report = Report { scenarios };
        // The suite's own total must match, or lines were missed.
        let (passed, failed) = total(suite)?;
        let counted = (report.sum(|_| true).1, report.failed());
        ensure!(counted == (passed, failed), "the suite counts {passed} and {failed}, its lines {counted:?}");
        Ok(report)
    }

    /// Number of checks that failed.
    pub(super) fn failed(&self) -> u32 {
        self.scenarios.iter().map(|scenario| scenario.failed).sum()
    }

    /// The number of scenarios of a kind, and of their checks that passed.
    fn sum(&self, kind: impl Fn(&Scenario) -> bool) -> (usize, u32) {
        let of_kind: Vec<&Scenario> = self.scenarios.iter().filter(|scenario| kind(scenario)).collect();
        (of_kind.len(), of_kind.iter().map(|scenario| scenario.passed).sum())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scenarios, passed) = self.sum(|_| true);
        writeln!(f, "  {passed} checks passed, {} failed, in {scenarios} scenarios", self.failed())?;
        let (scenarios, passed) = self.sum(|it| it.fixtures.is_empty() && !it.components.is_empty());
        writeln!(
            f,
            "  by tools of the registry, through the real call path: {passed} checks, {scenarios} scenarios"
        )?;
        let (scenarios, passed) = self.sum(|it| it.fixtures.is_empty() && it.components.is_empty());
        writeln!(f, "  by the server itself, with no tool called: {passed} checks, {scenarios} scenarios")?;
        let (scenarios, passed) = self.sum(|it| !it.fixtures.is_empty());
        writeln!(f, "  with test-only fixtures involved: {passed} checks, {scenarios} scenarios")?;
        for scenario in self.scenarios.iter().filter(|it| !it.fixtures.is_empty()) {
            let fixtures: Vec<&str> = scenario.fixtures.iter().map(String::as_str).collect();
            writeln!(f, "    {}: {}", scenario.name, fixtures.join(", "))?;
        }
        let failed = self.scenarios.iter().filter(|it| it.failed > 0);
        failed.into_iter().try_for_each(|it| writeln!(f, "  FAILED: {}: {} checks", it.name, it.failed))
    }
}

/// The scenarios, in the order in which they ran.
fn scenarios(suite: &str) -> Result<Vec<Scenario>> {
    let mut found = Vec::new();
    for (name, counts) in suite.lines().filter_map(counted) {
        let (passed, failed) = counts;
        let began_ms = began_ms(suite, name).with_context(|| format!("when did `{name}` begin?"))?;
        found.push(Scenario { name: name.to_owned(), began_ms, passed, failed, ..Scenario::default() });
    }
    found.sort_by_key(|scenario| scenario.began_ms);
    Ok(found)
}

/// Parses a line such as `✓ tools-list: 4 passed, 0 failed`.
fn counted(line: &str) -> Option<(&str, (u32, u32))> {
    let line = line.strip_prefix("✓ ").or_else(|| line.strip_prefix("✗ "))?;
    let (name, counts) = line.split_once(": ")?;
    Some((name, pair(counts)?))
}

fn pair(counts: &str) -> Option<(u32, u32)> {
    let (passed, rest) = counts.split_once(" passed, ")?;
    Some((passed.parse().ok()?, rest.split_once(" failed")?.0.parse().ok()?))
}

/// Parses the line such as `Total: 181 passed, 6 failed`.
fn total(suite: &str) -> Result<(u32, u32)> {
    let total = suite.lines().find_map(|line| pair(line.strip_prefix("Total: ")?));
    total.with_context(|| format!("the suite gave no total:\n{suite}"))
}

/// The start of a scenario in Unix milliseconds, from `Results saved to …/server-NAME-2026-11-23T08-10-07-283Z`.
fn began_ms(suite: &str, name: &str) -> Option<u64> {
    let folder = format!("/server-{name}-");
    let stamp = suite.lines().filter(|line| line.starts_with("Results saved to")).find_map(|line| {
        let stamp = line.rsplit_once(&folder)?.1.trim_end_matches('Z');
        // A name can be the prefix of another one.
        stamp.starts_with(|c: char| c.is_ascii_digit()).then_some(stamp)
    })?;
    let parts: Vec<u64> = stamp.split(['-', 'T']).map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [year, month, day, hour, minute, second, ms] = parts[..] else { return None };
    Some((((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + ms)
}

/// Days since 1970-01-01, by counting leap days up to the last February.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap = years / 4 - years / 100 + years / 400;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    years * 365 + leap + (months * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUITE: &str = "Results saved to results/r/server-a-1970-01-01T00-00-01-000Z\n\
                         Results saved to results/r/server-a-b-1970-01-01T00-00-02-000Z\n\
                         ✓ a: 2 passed, 0 failed\n✗ a-b: 1 passed, 1 failed\n\nTotal: 3 passed, 1 failed\n";

    #[test]
    fn a_request_belongs_to_the_scenario_that_ran_at_its_time() {
        let report =
            Report::new(SUITE, "1500\tcomponent\ttools/call x\n2100\tfixture\tprompts/list\n").unwrap();
        assert_eq!(report.failed(), 1);
        let text = report.to_string();
        assert!(text.contains("real call path: 2 checks, 1 scenarios"), "{text}");
        assert!(text.contains("    a-b: prompts/list\n") && text.contains("FAILED: a-b: 1 checks"), "{text}");
    }

    #[test]
    fn a_report_that_differs_from_the_suites_total_is_refused() {
        assert!(Report::new(&SUITE.replace("Total: 3", "Total: 4"), "").is_err());
        assert!(Report::new("nothing ran", "").is_err());
    }

    #[test]
    fn days_are_counted_over_leap_years() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 3, 1), 11_017);
        assert_eq!(days(2026, 11, 23), 20_780);
    }
}
