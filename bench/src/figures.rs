//! The form of the figures in `docs/performance/*.json`.

mod edges;
mod http;

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::stats::Times;
pub use edges::{Edges, Refused};
pub use http::HttpRow;

/// Figures with the circumstances of their measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured<T> {
    /// The machine of the run.
    pub machine: Machine,
    /// Whether the run was short and the figures are rough.
    pub quick: bool,
    /// The figures.
    pub figures: T,
}

/// The machine, and its load before the run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    /// The day of the run, in UTC.
    pub date: String,
    /// The name of the processor.
    pub cpu: String,
    /// Number of cores.
    pub cores: usize,
    /// Name and release of the kernel.
    pub kernel: String,
    /// Load average over the minute before the run. Far from 0 means that other programs were running.
    pub load: f64,
}

/// Calls through the library, compared with the bare engine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Library {
    /// The floor: instantiate, call and drop on the bare engine.
    pub floor: Times,
    /// A call through all stages, with its record queued.
    pub call: Times,
    /// `call` as a multiple of `floor`: the median, over the rounds, of the ratio of medians.
    pub ratio: f64,
    /// A call with a thousand tools in the registry.
    pub many: Times,
    /// `many` as a multiple of `call`, by the same rule.
    pub many_ratio: f64,
    /// A call of a tool that is not recorded: `record = "off"`. `call` is recorded as by default.
    #[serde(default)]
    pub unrecorded: Times,
    /// `call` as a multiple of `unrecorded`, by the same rule.
    #[serde(default)]
    pub recorded_ratio: f64,
    /// A call of a tool that is recorded fully.
    #[serde(default)]
    pub full: Times,
    /// `full` as a multiple of `unrecorded`, by the same rule.
    #[serde(default)]
    pub full_ratio: f64,
    /// Calls per second without a pause, until every record is on disk.
    pub sustained_per_s: f64,
    /// Calls per second on the bare engine, one after the other.
    pub floor_per_s: f64,
}

/// What a journal and recordings cost, and how long replays take.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recording {
    /// Callers at the same time.
    pub callers: usize,
    /// Calls of one turn.
    pub turn: usize,
    /// The same load in each way, for each tool.
    pub tools: Vec<RecordingTool>,
    /// Replays of calls.
    pub replays: Vec<ReplayRow>,
}

/// The same load in each way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordingTool {
    /// The tool.
    pub tool: String,
    /// The ways, the one that keeps the least first.
    pub ways: Vec<Way>,
}

/// A load whose calls are kept in one way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Way {
    /// What is kept.
    pub way: String,
    /// Calls per second until every record is on disk.
    pub per_s: f64,
    /// `per_s` as a part of that of the first way: the median over the rounds.
    pub ratio: f64,
    /// Bytes by which the database grows with a thousand calls; none without one.
    pub bytes_per_1000: Option<f64>,
}

/// Calls and their replays, one after the other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplayRow {
    /// What the calls are of.
    pub calls_of: String,
    /// How many there are.
    pub calls: usize,
    /// Time that the calls took, in milliseconds.
    pub first_ms: f64,
    /// Time that their strict replays took, in milliseconds.
    pub replay_ms: f64,
    /// `replay_ms` as a part of `first_ms`.
    pub ratio: f64,
}

/// Requests of a tool to a server on loopback, compared with those of a client library in the same process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outgoing {
    /// A GET by reqwest over a kept connection.
    pub bare: Times,
    /// A call of a tool that makes the same GET.
    pub call: Times,
    /// `call` less `bare` in microseconds: the median, over the rounds, of the difference of medians.
    pub more_us: f64,
    /// Calls that are made at the same time, each with a request to a slow upstream.
    pub requests_at_once: usize,
    /// The time after which the slow upstream answers, in milliseconds.
    pub slow_ms: f64,
    /// The time for all of them, by the number of calls that run at once.
    pub at_once: Vec<AtOnce>,
}

/// Many calls that wait for a slow upstream.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct AtOnce {
    /// `host.calls_max`.
    pub calls_max: u32,
    /// The time until all calls are answered, in milliseconds: the median of the rounds.
    pub ms: f64,
    /// It as a multiple of the least possible time.
    pub ratio: f64,
}

/// `airlock log` on a large journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listing {
    /// Calls in the journal.
    pub calls: u64,
    /// Bytes of its database.
    pub bytes: u64,
    /// The program on a journal of one call: what every start costs.
    pub alone: Times,
    /// The time of each question, from the start of the program to its end.
    pub rows: Vec<ListingRow>,
}

/// One question to `airlock log`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListingRow {
    /// What is asked for.
    pub question: String,
    /// The times until the first page is printed.
    pub times: Times,
}

/// The cost of counting fuel and epochs for a guest that only computes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Metered {
    /// Steps in the body of its loop.
    pub steps: usize,
    /// Ways of counting, each with its time as a multiple of the time without counting.
    pub ways: Vec<(String, f64)>,
}

/// The figures of one server over stdio.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Server {
    /// Its name in the tables.
    pub name: String,
    /// A short description.
    pub what: String,
    /// Whether tools run in a sandbox and not as part of the server.
    #[serde(default)]
    pub sandbox: bool,
    /// The reason when there are no figures.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub absent: Option<String>,
    /// Time from the start of the process to the first result, in milliseconds.
    pub first_ms: f64,
    /// Times with one call in flight.
    pub one: Times,
    /// Figures for each number of calls in flight.
    pub pipelined: Vec<Pipelined>,
    /// Resident memory before any load, in MiB.
    pub idle_mib: f64,
    /// Peak of resident memory under load, in MiB.
    pub loaded_mib: f64,
    /// Time for eight calls in flight that sleep half a second each, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sleepers_ms: Option<f64>,
    /// A good tool while two calls of another loop; none when the server has no looping tool.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub beside_loops: Option<Beside>,
}

/// Throughput with a number of calls in flight.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Pipelined {
    /// Calls in flight.
    pub window: usize,
    /// Calls per second; 0 when calls were left without an answer.
    pub per_s: f64,
    /// 99th percentile in microseconds.
    pub p99_us: f64,
}

/// The calls of a good tool while two calls of another loop.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Beside {
    /// Whether all calls of the good tool were answered in time.
    pub answered: bool,
    /// Times of these calls.
    pub times: Times,
}

/// Resident memory of a server, in MiB.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Memory {
    /// With one tool, at rest.
    pub one_idle_mib: f64,
    /// With one tool, the most while 64 calls are in flight.
    pub one_full_mib: f64,
    /// With a thousand tools, at rest.
    pub idle_mib: f64,
    /// With a thousand tools, the most while 64 calls are in flight.
    pub full_mib: f64,
    /// Before a guest of 200 MiB.
    pub before_mib: f64,
    /// Peak while the guest runs.
    pub large_mib: f64,
    /// Two seconds after the guest ended.
    pub after_mib: f64,
}

/// One plot: how a quantity grows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Curve {
    /// Name of the plot's file.
    pub id: String,
    /// Heading of the section and the plot.
    pub title: String,
    /// Label of the horizontal axis.
    pub x: String,
    /// Label of the vertical axis.
    pub y: String,
    /// Text below the heading; may be empty.
    pub note: String,
    /// The lines of the plot.
    pub series: Vec<Series>,
}

/// One line of a plot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Points as (x, y).
    pub points: Vec<(f64, f64)>,
}

/// The cost of one part of a call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    /// The name of its benchmark.
    pub name: String,
    /// Mean time in nanoseconds.
    pub mean_ns: f64,
}

/// The same tool in one language.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Language {
    /// Its name in the table.
    pub name: String,
    /// Whether its component is not there, so that there are no figures.
    #[serde(default)]
    pub is_absent: bool,
    /// Bytes of the component.
    pub bytes: u64,
    /// The floor: instantiate, call and drop on the bare engine.
    pub floor: Times,
    /// Page faults of one call on the bare engine.
    pub faults: f64,
    /// A call through all stages.
    pub call: Times,
    /// `call` as a multiple of `floor`: the median, over the rounds, of the ratio of medians.
    pub ratio: f64,
    /// A call that follows a call of another tool.
    pub alternating: Times,
    /// Calls in flight for `floor_per_s` and `per_s`.
    pub callers: usize,
    /// Calls a second on the bare engine, one after the other in a task.
    pub floor_one_per_s: f64,
    /// Calls a second on the bare engine with `callers` in flight.
    pub floor_per_s: f64,
    /// Calls a second through all stages with `callers` in flight.
    pub per_s: f64,
}

impl<T> Measured<T> {
    /// Figures of this machine, measured today.
    pub fn now(figures: T, quick: bool) -> Measured<T> {
        Measured { machine: Machine::this(), quick, figures }
    }
}

impl<T: Serialize + DeserializeOwned> Measured<T> {
    /// Writes `NAME.json` into a folder.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        let path = folder.join(name).with_extension("json");
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reads `NAME.json`; none when it does not exist.
    ///
    /// # Errors
    /// When the file exists and has another form.
    pub fn read(folder: &Path, name: &str) -> Result<Option<Measured<T>>> {
        let path = folder.join(name).with_extension("json");
        // A missing file is normal: a run of some parts writes only their figures.
        let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
        serde_json::from_str(&text).map(Some).with_context(|| format!("{} is not ours", path.display()))
    }
}

impl Machine {
    /// This machine with its current load.
    pub fn this() -> Machine {
        // Facts that cannot be read are shown as unknown. They describe the run and must not end it.
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpus = read("/proc/cpuinfo");
        let cpu = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Machine {
            date: said("date", &["-u", "+%Y-%m-%d"]),
            cpu: cpu.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: said("uname", &["-sr"]),
            load: read("/proc/loadavg").split_whitespace().next().and_then(|l| l.parse().ok()).unwrap_or(0.0),
        }
    }
}

/// The output of a program, or `unknown` when it cannot be run.
fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map_or_else(|_| "unknown".to_owned(), |out| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}
