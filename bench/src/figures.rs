//! What was measured, as it lies in `docs/performance/*.json`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::stats::Times;

/// Figures with the circumstances that they were measured in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured<T> {
    /// Where.
    pub machine: Machine,
    /// Whether it was a short run.
    pub quick: bool,
    /// What.
    pub figures: T,
}

/// The machine, and how busy it was with other things.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    /// The day, UTC.
    pub date: String,
    /// The processor's name.
    pub cpu: String,
    /// Its cores.
    pub cores: usize,
    /// The kernel.
    pub kernel: String,
    /// Load average over the minute before: far from 0 means that others were running.
    pub load: f64,
}

/// Calls through the library beside the engine's floor.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Library {
    /// Instantiate, call, drop.
    pub floor: Times,
    /// All stages, the record queued.
    pub call: Times,
    /// The median of the rounds' ratios of medians.
    pub ratio: f64,
    /// The same with a thousand tools in the registry.
    pub many: Times,
    /// How much more that is than with one.
    pub many_ratio: f64,
    /// Calls in a second when they come without a pause and every record is on disk at the end.
    pub sustained_per_s: f64,
    /// The floor's calls in a second, one after the other.
    pub floor_per_s: f64,
}

/// What counting costs a guest that only computes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Metered {
    /// Steps of its loop's body.
    pub steps: usize,
    /// Ways of counting, each with its time as a multiple of the first one's.
    pub ways: Vec<(String, f64)>,
}

/// One server over stdio.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// What it is, in some words.
    pub what: String,
    /// Whether a tool runs in a sandbox, and not as a part of the server.
    #[serde(default)]
    pub sandbox: bool,
    /// Why there are no figures.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub absent: Option<String>,
    /// From its start to the first result.
    pub first_ms: f64,
    /// One call at a time.
    pub one: Times,
    /// Several at a time.
    pub pipelined: Vec<Pipelined>,
    /// Resident memory before any load.
    pub idle_mib: f64,
    /// The most resident memory under load.
    pub loaded_mib: f64,
    /// Eight calls at once that sleep for half a second each.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sleepers_ms: Option<f64>,
    /// A good tool beside two tools that loop.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub beside_loops: Option<Beside>,
}

/// Calls in flight, and how many are answered.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Pipelined {
    /// Calls in flight.
    pub window: usize,
    /// Calls in a second; none where calls were left without an answer.
    pub per_s: f64,
    /// Of a hundred, the second slowest.
    pub p99_us: f64,
}

/// A good tool beside two that loop.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Beside {
    /// Whether all of its calls were answered in time.
    pub answered: bool,
    /// Of those calls.
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
    /// The most while it runs.
    pub large_mib: f64,
    /// Two seconds after it ended.
    pub after_mib: f64,
}

/// How something grows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Curve {
    /// The name of its plot's file.
    pub id: String,
    /// A heading.
    pub title: String,
    /// What grows.
    pub x: String,
    /// What it does to this.
    pub y: String,
    /// What one should know.
    pub note: String,
    /// The lines.
    pub series: Vec<Series>,
}

/// One line of a curve.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

/// A part of a call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its mean, in nanoseconds.
    pub mean_ns: f64,
}

impl<T> Measured<T> {
    /// Figures of this machine and this day.
    pub fn now(figures: T, quick: bool) -> Measured<T> {
        Measured { machine: Machine::this(), quick, figures }
    }
}

impl<T: Serialize + DeserializeOwned> Measured<T> {
    /// Writes `NAME.json` into a folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        let path = folder.join(name).with_extension("json");
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reads `NAME.json`; nothing where it was never measured.
    ///
    /// # Errors
    /// When it is there and not of this form.
    pub fn read(folder: &Path, name: &str) -> Result<Option<Measured<T>>> {
        let path = folder.join(name).with_extension("json");
        let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
        serde_json::from_str(&text).map(Some).with_context(|| format!("{} is not ours", path.display()))
    }
}

impl Machine {
    /// This one, now.
    pub fn this() -> Machine {
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

fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map_or_else(|_| "unknown".to_owned(), |out| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}
