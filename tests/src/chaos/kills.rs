//! Kills a server again and again under mixed load, and checks what its journal has afterwards.
//!
//! No acknowledged call with effects is lost; acknowledged calls that only read and are not on record show as a gap of at least
//! that many; calls that were cut off are `outcome-unknown` after the next start.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::draw::Draw;
use crate::server::Server;
use airlock_journal::Journal;

/// Clients of each kind.
const CLIENTS: usize = 3;

/// The least and the most time between a start and a kill, in milliseconds.
const LIVES_MS: (u64, u64) = (150, 900);

/// Kinds of calls: the tool, its arguments, and whether it could have effects.
const CALLS: [(&str, &str, bool); 3] = [
    ("unit_convert", r#"{"value": 3, "from": "km", "to": "m"}"#, false),
    ("writing_convert", r#"{"value": 3, "from": "km", "to": "m"}"#, true),
    // Runs most of the time, so that kills cut it off.
    ("writing_sleep", r#"{"ms": 400}"#, true),
];

/// What was seen.
#[derive(Debug, Default)]
pub struct Kills {
    /// Kills.
    pub kills: u64,
    /// Acknowledged calls that only read.
    pub reads: usize,
    /// Acknowledged calls with effects.
    pub effects: usize,
    /// Acknowledged calls that only read and are not on record.
    pub reads_missing: usize,
    /// Acknowledged calls with effects that are not on record.
    pub effects_missing: usize,
    /// Records that the log says are lost.
    pub gap: u64,
    /// Calls on record as `outcome-unknown`.
    pub unknown: usize,
    /// Calls that started, and of which nothing says how they ended.
    pub open: u64,
    /// Faults of the verification.
    pub faults: Vec<String>,
}

impl Kills {
    /// What must not be; empty if all is well.
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = self.faults.clone();
        let rules = [
            (self.effects_missing == 0, "an acknowledged call with effects is not on record"),
            (self.reads_missing as u64 <= self.gap, "acknowledged calls are missing, and the gap is smaller"),
            (self.open == 0, "calls that were cut off are still open after the last start"),
            (self.reads > 0 && self.effects > 0, "no call was acknowledged"),
            (self.kills < 10 || self.unknown > 0, "no call with effects was cut off"),
        ];
        wrong.extend(rules.into_iter().filter(|(holds, _)| !holds).map(|(_, what)| what.to_owned()));
        wrong
    }
}

impl fmt::Display for Kills {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} kills: {} calls with effects acknowledged, {} of them missing; {} calls that only read, {} of them missing",
            self.kills, self.effects, self.effects_missing, self.reads, self.reads_missing
        )?;
        writeln!(
            f,
            "the log says that {} records are lost; {} calls are `outcome-unknown`, {} open; {} faults",
            self.gap,
            self.unknown,
            self.open,
            self.faults.len()
        )
    }
}

/// The ids of acknowledged records, and whether the call could have effects.
type Acknowledged = Arc<Mutex<BTreeMap<String, bool>>>;

/// Kills a server this many times.
///
/// # Errors
/// When the server does not start, or its journal cannot be read.
pub async fn kills(folder: &Path, kills: u64, seed: u64) -> anyhow::Result<Kills> {
    let registry = registry(folder)?;
    let (mut draw, acknowledged) = (Draw(seed), Acknowledged::default());
    for _ in 0..kills {
        let server = Arc::new(Server::start(&registry, &["--allow-anonymous"])?);
        let mut clients = JoinSet::new();
        for (tool, args, has_effects) in CALLS.iter().cycle().take(CLIENTS * CALLS.len()) {
            clients.spawn(call(server.clone(), tool, args, *has_effects, acknowledged.clone()));
        }
        let (least, most) = LIVES_MS;
        tokio::time::sleep(Duration::from_millis(least + draw.below(most - least))).await;
        // By its id: SIGKILL, in the midst of everything.
        let process = i32::try_from(server.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(process.context("no id")?, rustix::process::Signal::KILL)?;
        while clients.join_next().await.is_some() {}
    }
    // One more start settles what the last kill left.
    drop(Server::start(&registry, &["--allow-anonymous"])?);
    let acknowledged = acknowledged.lock().await.clone();
    let path = folder.join("state/journal.db");
    tokio::task::spawn_blocking(move || compare(&path, kills, &acknowledged)).await?
}

async fn call(
    server: Arc<Server>,
    tool: &'static str,
    args: &'static str,
    has_effects: bool,
    acknowledged: Acknowledged,
) {
    // Until the server is gone.
    while let Ok(response) = server.call(tool, args).send().await {
        let Ok(reply) = response.json::<Value>().await else { return };
        if let (Some(record), "ok") = (reply["record"].as_str(), reply["status"].as_str().unwrap_or_default())
        {
            acknowledged.lock().await.insert(record.to_owned(), has_effects);
        }
    }
}

fn compare(path: &Path, kills: u64, acknowledged: &BTreeMap<String, bool>) -> anyhow::Result<Kills> {
    let journal = Journal::open(path, 1 << 30)?;
    let mut seen = Kills { kills, ..Kills::default() };
    let mut codes: BTreeMap<String, String> = BTreeMap::new();
    journal.each(&mut |record| {
        codes.insert(record.id.clone(), record.code.to_string());
    })?;
    for (record, has_effects) in acknowledged {
        let is_missing = usize::from(codes.get(record).is_none_or(|code| code != "ok"));
        let (count, missing) = match has_effects {
            true => (&mut seen.effects, &mut seen.effects_missing),
            false => (&mut seen.reads, &mut seen.reads_missing),
        };
        *count += 1;
        *missing += is_missing;
    }
    seen.unknown = codes.values().filter(|code| *code == "outcome-unknown").count();
    // Builds the tiles of what the killed processes left, and compares them.
    journal.checkpoint()?;
    let verified = journal.verify(&[], None)?;
    (seen.gap, seen.open) = (verified.lost + verified.owed, verified.open);
    seen.faults = verified.faults.iter().map(|fault| format!("{fault:?}")).collect();
    Ok(seen)
}

fn registry(folder: &Path) -> anyhow::Result<std::path::PathBuf> {
    let built = |path: &str| crate::root().join(path).display().to_string();
    let text = format!(
        "[host]\nstate = \"state\"\n[journal]\ncheckpoint.every = \"1s\"\n\
         [tools.unit_convert]\ncomponent = \"{convert}\"\n\
         [tools.converting]\ncomponent = \"{convert}\"\nfunctions = {{ convert = \"writing_convert\" }}\n\
         effects = \"write\"\n\
         [tools.sleeping]\ncomponent = \"{hostile}\"\nfunctions = {{ sleep = \"writing_sleep\" }}\n\
         effects = \"write\"\ngrants.clock = true\n",
        convert = built("example-tools/build/unit-convert.wasm"),
        hostile = built("tests/guests/build/hostile.wasm"),
    );
    let path = folder.join("airlock.toml");
    std::fs::write(&path, text)?;
    Ok(path)
}
