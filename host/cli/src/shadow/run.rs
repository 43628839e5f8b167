//! `airlock shadow run SUITE`: runs the cases, and exits with 1 where a gate of the suite blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::task::JoinSet;

use super::folder::Folder;
use super::hosts::{self, Hosts, Registries, Tried};
use super::legs::Job;
use super::{queries, text};
use crate::confined::Process;
use crate::print::{Message, Printer};
use crate::{EXIT_NO, Ended, Threads, sealed};
use airlock::config::ConfigFile;
use airlock::environment::World;
use airlock::replay::{Recorded, compared_by, result_ty};
use airlock_shadow::case::Case;
use airlock_shadow::compare::Comparators;
use airlock_shadow::night::{AgentNight, CaseResult, Night, QueryResult, blocked, trends};
use airlock_shadow::suite::Suite;
use airlock_types::environment::{Environment as _, ms};
use airlock_types::words::quoted_list;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder of the suite
    suite: PathBuf,
    /// Try another registry, `NEW.toml`, or another component, `NEW.wasm`. The night is then not kept
    #[arg(long, value_name = "FILE")]
    candidate: Option<PathBuf>,
    /// Only cases of this tool
    #[arg(long, value_name = "TOOL", conflicts_with = "query")]
    tool: Option<String>,
    /// Only this case. The night is then not kept
    #[arg(long, value_name = "NAME", conflicts_with = "query")]
    case: Option<String>,
    /// Read nothing real: the cases are run with recorded imports alone
    #[arg(long)]
    offline: bool,
    /// Do not keep the results in the history of the suite
    #[arg(long)]
    no_history: bool,
    /// Cases that run at the same time
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u8).range(1..=32))]
    workers: u8,
    /// The age identity of `journal.recipient`, for cassettes that are encrypted to it
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    #[command(flatten)]
    asked: queries::Args,
    /// Print the night and each case as one JSON document
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Whether the results are those of a whole night.
    fn is_night(&self) -> bool {
        let is_whole =
            self.candidate.is_none() && self.tool.is_none() && self.case.is_none() && !self.offline;
        let is_whole = is_whole && self.asked.query.is_none();
        is_whole && !self.no_history
    }
}

pub(super) fn run(args: &Args, registry: &Path, printer: &Printer, threads: Threads<'_>) -> Ended {
    let (file, folder) = (ConfigFile::read(registry)?, Folder::at(&args.suite));
    let suite = folder.existing()?;
    // First, since it starts programs: this process is confined below.
    let asked = queries::run(&args.asked, &args.suite, args.identity.as_deref(), &file, &folder, printer)?;
    let mut cases = folder.read_cases()?;
    warn_of_unknown_tools(&suite, &cases, printer);
    match args.asked.query {
        // It is about the agent alone.
        Some(_) => cases.clear(),
        None => keep_asked(args, &mut cases)?,
    }
    let nights = folder.nights()?;
    let identity = args.identity.as_deref().map(sealed::identity).transpose()?;
    let of = |case: &Case| (case.stratum.tool.clone(), case.component().to_owned());
    let registries =
        Registries::of(&file, &folder, &cases.values().map(of).collect(), tried(args, &file, &cases)?)?;
    let history = args.is_night().then(|| folder.history());
    if let Some(history) = &history {
        let made = std::fs::create_dir_all(history).and_then(|()| history.canonicalize());
        made.map_err(|err| Message(format!("`{}`: {err}", history.display())))?;
    }
    let history = history.and_then(|history| history.canonicalize().ok());
    // Components run in this process, as when they are served.
    let process = Process::enter(&registries.reaching(&file, history.as_deref()), None)?;
    process.report(&file, printer);
    threads.block_on(async {
        let hosts = registries.open(&process, printer).await?;
        let comparators = comparators(&suite, &hosts, &cases)?;
        let ignored = ignored(&comparators);
        let jobs = cases
            .into_iter()
            .map(|(name, case)| job(args, &suite, &hosts, &comparators, identity.as_deref(), name, case));
        let results = run_all(jobs.collect(), usize::from(args.workers)).await?;
        let candidate = args.candidate.as_ref().map(|path| path.display().to_string());
        let agent = asked.as_deref().map(AgentNight::of);
        let night = Night { agent, ..Night::of(&now(), candidate.as_deref(), &results, &ignored) };
        if args.is_night() {
            folder.add_night(&night)?;
        }
        ended(args, registry, &suite, (nights, night), (&results, asked.as_deref()), printer)
    })
}

/// Prints the results, and says whether a gate blocks.
fn ended(
    args: &Args,
    registry: &Path,
    suite: &Suite,
    (mut nights, night): (Vec<Night>, Night),
    (results, asked): (&[CaseResult], Option<&[QueryResult]>),
    printer: &Printer,
) -> Ended {
    nights.push(night.clone());
    let is_night = args.is_night();
    let trends = trends(if is_night { &nights } else { &[] }, suite.trend_since.as_deref());
    let blocked = blocked(&night, &trends, &suite.fail_on);
    if args.json {
        let case = |result: &CaseResult| json!({"case": result.case, "tool": result.tool, "legs": result.legs, "answer": result.answer});
        let gates: Vec<_> =
            blocked.iter().map(|one| json!({"gate": one.gate, "tool": one.tool, "why": one.why})).collect();
        let cases: Vec<_> = results.iter().map(case).collect();
        let mut document = json!({"night": night, "blocked": gates, "cases": cases});
        if let Some(asked) = asked {
            document["queries"] = asked.iter().map(queries::as_json).collect();
        }
        printer.json(&document)?;
    } else {
        let report =
            text::Report { registry, suite: &args.suite, night: &night, trends: &trends, blocked: &blocked };
        printer.line(report.to_string().trim_end());
    }
    Ok(if blocked.is_empty() { 0 } else { EXIT_NO })
}

/// Leaves the cases that are asked for.
fn keep_asked(args: &Args, cases: &mut BTreeMap<String, Case>) -> Result<(), Message> {
    cases.retain(|name, case| {
        args.tool.as_ref().is_none_or(|tool| case.stratum.tool == *tool)
            && args.case.as_ref().is_none_or(|asked| asked == name)
    });
    if !cases.is_empty() {
        return Ok(());
    }
    let asked = match (&args.case, &args.tool) {
        (Some(case), _) => format!("no case `{case}`: the names are those of the files in `cases`"),
        (None, Some(tool)) => format!("no case of `{tool}`"),
        (None, None) => "no case: `airlock shadow capture` writes them".to_owned(),
    };
    Err(Message(format!("`{}` has {asked}", args.suite.display())))
}

/// A comparator for a tool without cases compares nothing: most likely its name is wrong.
fn warn_of_unknown_tools(suite: &Suite, cases: &BTreeMap<String, Case>, printer: &Printer) {
    let tools: BTreeSet<&str> = cases.values().map(|case| case.stratum.tool.as_str()).collect();
    let unknown: Vec<&str> =
        suite.compared_tools().into_iter().filter(|tool| !tools.contains(tool)).collect();
    if !unknown.is_empty() {
        let names = quoted_list(unknown.into_iter());
        printer.note(format!("warning: `suite.toml` has comparators for {names}, of which there is no case"));
    }
}

/// What is tried.
fn tried(args: &Args, file: &ConfigFile, cases: &BTreeMap<String, Case>) -> anyhow::Result<Tried> {
    let Some(path) = &args.candidate else { return Ok(Tried::Registry) };
    if path.extension().is_some_and(|extension| extension == "toml") {
        let mut other = hosts::absolute(&ConfigFile::read(path)?);
        // Compiled code is kept in one place.
        other.config.host.state = std::path::absolute(file.state())?;
        return Ok(Tried::Other(Box::new(other)));
    }
    let component = crate::tried::absolute(path)?;
    let tools: BTreeSet<String> = cases.values().map(|case| case.stratum.tool.clone()).collect();
    let entries: BTreeSet<_> = tools.iter().map(|tool| hosts::entry_of(file, tool)).collect();
    if entries.len() > 1 {
        let names = quoted_list(tools.iter().map(String::as_str));
        let text = format!("the cases are of {names}, and a component is one of them: name it with `--tool`");
        return Err(Message(text).into());
    }
    Ok(Tried::Component(component, tools))
}

/// The comparators of tools, by the tool and the component that was recorded.
type ByRecorded = BTreeMap<(String, String), Arc<Comparators>>;

/// The comparators of each tool, by the types and the contract of the component that was recorded: the cases of one tool may be of
/// several.
fn comparators(suite: &Suite, hosts: &Hosts, cases: &BTreeMap<String, Case>) -> anyhow::Result<ByRecorded> {
    let mut made = ByRecorded::new();
    for case in cases.values() {
        let (tool, key) = (&case.stratum.tool, recorded(case));
        if let (false, Ok(host)) = (made.contains_key(&key), hosts.base(case.component())) {
            let (ty, of_contract) = (result_ty(&host, tool), compared_by(&host, tool));
            let comparators = suite.comparators(tool, ty.as_ref(), &of_contract);
            made.insert(key, Arc::new(comparators.map_err(|err| Message(err.to_string()))?));
        }
    }
    Ok(made)
}

fn recorded(case: &Case) -> (String, String) {
    (case.stratum.tool.clone(), case.component().to_owned())
}

/// The most places of each tool that are not compared.
fn ignored(comparators: &ByRecorded) -> BTreeMap<String, u64> {
    let mut most = BTreeMap::new();
    for ((tool, _), of) in comparators {
        let most = most.entry(tool.clone()).or_insert(0);
        *most = (of.ignored() as u64).max(*most);
    }
    most
}

fn job(
    args: &Args,
    suite: &Suite,
    hosts: &Hosts,
    comparators: &ByRecorded,
    identity: Option<&[u8]>,
    name: String,
    case: Case,
) -> Job {
    let unseal = |text: &str| sealed::open_with(text, identity);
    Job {
        name,
        recorded: Recorded::of(&case.record, 1, unseal).map_err(|err| err.to_string()),
        base: hosts.base(case.component()),
        candidate: hosts.candidate(&case.stratum.tool, case.component()),
        mode: suite.candidate,
        is_live: !args.offline,
        comparators: comparators.get(&recorded(&case)).cloned().unwrap_or_default(),
        case,
    }
}

/// Runs the cases, as many at once as there are workers. The results are in the order of the cases.
async fn run_all(jobs: Vec<Job>, workers: usize) -> anyhow::Result<Vec<CaseResult>> {
    let bar = progress(jobs.len() as u64);
    let (mut running, mut results) = (JoinSet::new(), BTreeMap::new());
    let mut waiting = jobs.into_iter().enumerate();
    loop {
        while running.len() < workers
            && let Some((at, job)) = waiting.next()
        {
            running.spawn(async move { (at, job.run().await) });
        }
        let Some(ended) = running.join_next().await else { break };
        let (at, result) = ended?;
        bar.set_message(result.tool.clone());
        bar.inc(1);
        results.insert(at, result);
    }
    bar.finish_and_clear();
    Ok(results.into_values().collect())
}

/// A progress bar on stderr, hidden when that is not a terminal.
fn progress(cases: u64) -> ProgressBar {
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(cases) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} cases  {msg}") {
        bar.set_style(style);
    }
    bar
}

/// The time, as RFC 3339 in UTC.
fn now() -> String {
    let now_ms = i64::try_from(ms(World::new().wall())).unwrap_or_default();
    let now = chrono::DateTime::from_timestamp_millis(now_ms).unwrap_or_default();
    now.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
