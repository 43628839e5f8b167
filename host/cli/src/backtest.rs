//! `airlock backtest`: what recorded calls would have met under another registry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use super::confined::Process;
use super::moment::Moment;
use super::print::{Message, Printer};
use super::{EXIT_WIDER, Ended, Threads, open, sealed, tried};
use airlock::backtest::{Backtest, Change, Tested};
use airlock::config::ConfigFile;
use airlock_types::record::Record;
use airlock_types::shorten::shorten;
use airlock_types::words::count;

/// Calls of one kind that are shown for a tool.
const EXAMPLES_MAX: usize = 3;

/// Most characters of a reason.
const WHY_CHARS_MAX: usize = 240;

/// Most tools that are told apart: names of tools that never were can be as many as callers like.
const TOOLS_MAX: usize = 10_000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The registry whose calls are tested. Default: the one that is tried, `--registry`
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
    /// Only calls that came at this time or later: `7d` ago, or `2026-11-26T22:30:00Z`
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only calls of this tool
    #[arg(long, value_name = "TOOL")]
    tool: Option<String>,
    /// The age identity of `journal.recipient`, for cassettes and confidential fields that are encrypted to it
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Let callers without credentials in, as `airlock serve --allow-anonymous` does
    #[arg(long)]
    allow_anonymous: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What became of the calls, by tool and kind.
#[derive(Default)]
struct Report {
    calls: u64,
    by_change: BTreeMap<Change, u64>,
    tools: BTreeMap<String, BTreeMap<Change, Found>>,
}

#[derive(Default, Serialize)]
struct Found {
    calls: u64,
    examples: Vec<Example>,
}

#[derive(Serialize)]
struct Example {
    call: String,
    #[serde(flatten)]
    tested: Tested,
}

pub(super) fn run(args: &Args, registry: &Path, printer: &Printer, threads: Threads<'_>) -> Ended {
    let mut file = ConfigFile::read(registry)?;
    file.config.http.allow_anonymous |= args.allow_anonymous;
    let records = args.records.as_deref().map(ConfigFile::read).transpose()?;
    open::require_journal(records.as_ref().unwrap_or(&file))?;
    let identity = args.identity.as_deref().map(sealed::identity).transpose()?;
    // Components run in this process, as when they are served.
    let process = match &records {
        // The records may be of a registry with another state folder.
        Some(records) => {
            Process::enter(&tried::reaching_folder(&file, &std::path::absolute(records.state())?), None)?
        }
        None => Process::enter(&file, None)?,
    };
    process.report(&file, printer);
    threads.block_on(async {
        let written = records.as_ref().unwrap_or(&file);
        let journal = open::journal(written)?;
        let (tried, written) = (file.clone(), written.clone());
        let backtest =
            Backtest::open(open::in_process(&process), file).await.map_err(|err| Message(err.to_string()))?;
        open::report(backtest.host(), printer)?;
        let unseal = |text: &str| sealed::open_with(text, identity.as_deref());
        let mut report = Report::default();
        for page in journal.pages(args.since.map_or(0, Moment::unix_ms)) {
            let page = page.map_err(|err| Message(err.to_string()))?;
            for record in &page {
                // Also of the others: they use up budgets, and open breakers.
                let faults = journal.faults(&record.id).map_err(|err| Message(err.to_string()))?;
                let tested = match faults.first() {
                    // What was not recorded so says nothing about the call.
                    Some(fault) => backtest.altered(record, &fault.what),
                    None => backtest.test(record, &unseal).await,
                };
                if args.tool.as_ref().is_none_or(|tool| record.tool == *tool) {
                    report.add(record, tested);
                }
            }
        }
        tried::known(args.tool.as_deref(), report.calls, &[&tried, &written])?;
        report.print(args.json, printer)?;
        Ok(if report.count(Change::Passes) > 0 { EXIT_WIDER } else { 0 })
    })
}

impl Report {
    fn add(&mut self, record: &Record, mut tested: Tested) {
        self.calls += 1;
        *self.by_change.entry(tested.change).or_default() += 1;
        if tested.change == Change::Same {
            return;
        }
        if self.tools.len() >= TOOLS_MAX && !self.tools.contains_key(&record.tool) {
            return;
        }
        let found = self.tools.entry(record.tool.clone()).or_default().entry(tested.change).or_default();
        found.calls += 1;
        if found.examples.len() < EXAMPLES_MAX {
            tested.why = shorten(&tested.why, WHY_CHARS_MAX);
            found.examples.push(Example { call: record.id.clone(), tested });
        }
    }

    fn count(&self, change: Change) -> u64 {
        self.by_change.get(&change).copied().unwrap_or_default()
    }

    fn print(&self, json: bool, printer: &Printer) -> anyhow::Result<()> {
        if json {
            return printer.json(&json!({
                "calls": self.calls,
                "changes": self.by_change,
                "tools": self.tools,
            }));
        }
        for (tool, changes) in &self.tools {
            printer.line(tool);
            for (change, Found { calls, examples }) in changes {
                printer.line(format!("  {calls} {}", told(*change, *calls)));
                for Example { call, tested: Tested { was, now, why, .. } } in examples {
                    let now = now.map_or_else(|| "not known".to_owned(), |code| code.to_string());
                    printer.line(format!("    {call}  {was} → {now}: {why}"));
                }
            }
        }
        let (same, unknown) = (self.count(Change::Same), self.count(Change::Unknown));
        let passes = self.count(Change::Passes);
        let changed = self.calls - same - unknown;
        printer.note(format!(
            "{} · {same} the same · {changed} changed, of which {passes} would no longer be stopped · {unknown} not known",
            count(self.calls, "call")
        ));
        Ok(())
    }
}

/// What a number of calls would meet.
fn told(change: Change, calls: u64) -> &'static str {
    let one = calls == 1;
    match change {
        Change::Passes => "would no longer be stopped",
        Change::Refused => "would be refused for the arguments",
        Change::Denied => "would be denied",
        Change::Held => "would be held",
        Change::Limited => "would end at a limit",
        Change::Rejected if one => "would have its answer rejected",
        Change::Rejected => "would have their answers rejected",
        Change::Flagged if one => "would have its answer flagged",
        Change::Flagged => "would have their answers flagged",
        Change::FallsBack => "would be answered by another tool",
        Change::Differs => "would have another result",
        Change::Fails => "would end otherwise",
        Change::Answered => "would be answered, and failed",
        Change::Same => "would be the same",
        Change::Unknown => "cannot be told",
        _ => change.as_str(),
    }
}
