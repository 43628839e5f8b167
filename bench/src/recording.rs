//! Measures what a journal and recordings cost a call: the same load with and without them, in turn in one process. And what
//! they give: the time of replays against the time that the calls first took.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use airlock::Journal;
use airlock::config::ConfigFile;
use airlock::host::Host;
use airlock::replay::{Mode, Recorded, replay};
use airlock_types::record::Record;
use anyhow::{Context as _, Result, ensure};

use crate::clock::now;
use crate::figures::{Recording, RecordingTool, ReplayRow, Way};
use crate::library::{call_with, settle};
use crate::outgoing;
use crate::registry::{Repository, TOOL};
use crate::stats::median;

/// Callers at the same time: a queue that one caller never fills would cost nothing.
const CALLERS: usize = 4;

/// The tools whose calls are measured: one that only computes, and one that reads a file.
const TOOLS: [(&str, &str); 2] =
    [(TOOL, r#"{"value": 10, "from": "mile", "to": "km"}"#), ("sector_metrics", r#"{"period": "2015-03"}"#)];

/// What is kept of calls: a name for the table, `record`, whether there is a database, and whether its tiles are built.
const WAYS: [(&str, &str, bool, bool); 4] = [
    ("in memory, not recorded", "off", false, false),
    ("database, `metadata`, no tiles", "metadata", true, false),
    ("database, `metadata`, tiles", "metadata", true, true),
    ("database, `full`, tiles", "full", true, true),
];

/// A host that keeps calls in one of the ways.
struct Kept {
    host: Arc<Host>,
    /// Its journal, and the bytes of it before the first call.
    journal: Option<(PathBuf, u64)>,
    has_tiles: bool,
    calls: u64,
}

/// Measures every figure of recording.
///
/// # Errors
/// When a host does not open, or a call is not answered.
pub async fn measure(repository: &Repository, quick: bool) -> Result<Recording> {
    let (rounds, turn) = if quick { (3, 256) } else { (12, 2_048) };
    let port = outgoing::upstream().await?;
    let mut tools = Vec::new();
    for (tool, args) in TOOLS {
        tools.push(loads(repository, port, (tool, args), (rounds, turn)).await?);
    }
    let calls = if quick { 100 } else { 1_000 };
    let url = |path: &str| outgoing::arguments(&format!("http://127.0.0.1:{port}/{path}"));
    let asked = [
        (TOOL, TOOLS[0].1.as_bytes().to_vec(), TOOL, calls),
        (TOOLS[1].0, TOOLS[1].1.as_bytes().to_vec(), TOOLS[1].0, calls),
        (outgoing::TOOL, url(""), "a request to this machine", calls),
        // Each waits: fewer of them show the same.
        (outgoing::TOOL, url("slow"), "a request that is answered after 50 ms", calls / 10),
    ];
    let mut replays = Vec::new();
    for (tool, args, name, calls) in asked {
        replays.push(replayed(repository, port, (tool, &args), (name, calls)).await?);
    }
    Ok(Recording { callers: CALLERS, turn, tools, replays })
}

/// The same load in each way, in turn, so that all see the same state of the machine.
async fn loads(
    repository: &Repository,
    port: u16,
    (tool, args): (&str, &str),
    (rounds, turn): (usize, usize),
) -> Result<RecordingTool> {
    let mut kept = Vec::new();
    for (at, (_, record, has_database, has_tiles)) in WAYS.into_iter().enumerate() {
        let folder = has_database.then(|| repository.scratch.join(format!("recording-{at}")));
        let host = open(&repository.recording(record, port)?, folder.as_deref()).await?;
        let journal = folder.map(|folder| folder.join("journal.db"));
        let journal = journal.map(|path| size(&path).map(|bytes| (path, bytes))).transpose()?;
        kept.push(Kept { host, journal, has_tiles, calls: 0 });
    }
    let (mut rates, mut ratios) = (vec![Vec::new(); WAYS.len()], vec![Vec::new(); WAYS.len()]);
    // Round 0 warms up and is not counted.
    for round in 0..=rounds {
        let mut of_round = Vec::new();
        for one in &mut kept {
            of_round.push(one.turn((tool, args), turn).await?);
        }
        let first = of_round.first().copied().unwrap_or(f64::NAN);
        for (at, per_s) in of_round.into_iter().enumerate().filter(|_| round > 0) {
            rates[at].push(per_s);
            // Ratios within a round: noise that slows a whole round cancels out.
            ratios[at].push(per_s / first);
        }
    }
    let mut ways = Vec::new();
    for (at, one) in kept.into_iter().enumerate() {
        let (per_s, ratio) = (median(&rates[at]), median(&ratios[at]));
        ways.push(Way { way: WAYS[at].0.to_owned(), per_s, ratio, bytes_per_1000: one.grown()? });
    }
    Ok(RecordingTool { tool: tool.to_owned(), ways })
}

impl Kept {
    /// Makes calls, and returns how many a second there were until all were on disk.
    async fn turn(&mut self, (tool, args): (&str, &str), calls: usize) -> Result<f64> {
        let each = calls / CALLERS;
        let start = now();
        // Behind the writer, as in a server, which builds every minute: here once in a turn.
        let host = self.host.clone();
        let building =
            self.has_tiles.then(|| tokio::task::spawn_blocking(move || host.checkpoint().map(drop)));
        let caller = |_| {
            let (host, tool, args) = (self.host.clone(), tool.to_owned(), args.as_bytes().to_vec());
            tokio::spawn(async move {
                for _ in 0..each {
                    call_with(&host, &tool, &args).await?;
                }
                anyhow::Ok(())
            })
        };
        for called in (0..CALLERS).map(caller).collect::<Vec<_>>() {
            called.await??;
        }
        settle(&self.host)?;
        let took = start.elapsed();
        if let Some(building) = building {
            building.await??;
        }
        self.calls += (each * CALLERS) as u64;
        Ok((each * CALLERS) as f64 / took.as_secs_f64())
    }

    /// By how many bytes the database grew with each thousand calls. None without a database.
    fn grown(self) -> Result<Option<f64>> {
        let Kept { host, journal, calls, .. } = self;
        let Some((path, before)) = journal else { return Ok(None) };
        // Closing folds the write-ahead log back.
        drop(Arc::into_inner(host).context("the host is still used")?);
        let grown = size(&path)?.saturating_sub(before);
        Ok(Some(grown as f64 * 1_000.0 / calls as f64))
    }
}

fn size(path: &Path) -> Result<u64> {
    Ok(std::fs::metadata(path).with_context(|| path.display().to_string())?.len())
}

/// A host on a journal of its own; in memory without a folder.
async fn open(registry: &Path, folder: Option<&Path>) -> Result<Arc<Host>> {
    let file = ConfigFile::read(registry)?;
    let builder = Host::builder().registry(&file);
    let builder = match folder {
        Some(folder) => {
            // What an earlier run left would be counted.
            match std::fs::remove_dir_all(folder) {
                Err(err) if err.kind() != std::io::ErrorKind::NotFound => return Err(err.into()),
                _ => std::fs::create_dir_all(folder)?,
            }
            builder.journal(folder.join("journal.db").as_path())
        }
        None => builder.journal(Journal::memory()),
    };
    Ok(Arc::new(builder.open().await?))
}

/// Makes calls one after the other, and replays them one after the other.
async fn replayed(
    repository: &Repository,
    port: u16,
    (tool, args): (&str, &[u8]),
    (name, calls): (&str, usize),
) -> Result<ReplayRow> {
    let folder = repository.scratch.join("recording-replayed");
    let host = open(&repository.recording("full", port)?, Some(&folder)).await?;
    call_with(&host, tool, args).await?;
    let start = now();
    for _ in 0..calls {
        call_with(&host, tool, args).await?;
    }
    let first = start.elapsed();
    settle(&host)?;
    let records = host.journal().pages(0).collect::<Result<Vec<Vec<Record>>, _>>()?;
    let mut took = Duration::ZERO;
    let mut count = 0;
    // The first one warmed up.
    for record in records.iter().flatten().skip(1) {
        let start = now();
        // Read from its record each time, as a replay of a journal does.
        let recorded = Recorded::of(record, 1, |_| Err("not encrypted".to_owned()))?;
        let replayed = replay(&host, &recorded, Mode::Strict).await?;
        took += start.elapsed();
        count += 1;
        ensure!(replayed.is_same(), "{name}: {:?} {:?}", replayed.divergence, replayed.differences);
    }
    ensure!(count == calls, "{count} of {calls} calls are on record");
    let (first_ms, replay_ms) = (first.as_secs_f64() * 1e3, took.as_secs_f64() * 1e3);
    Ok(ReplayRow { calls_of: name.to_owned(), calls, first_ms, replay_ms, ratio: replay_ms / first_ms })
}
