//! Measures `airlock log` on a journal of a million calls: the time until its first page.

use std::path::Path;
use std::process::{Command, Stdio};

use airlock_journal::{Durability, Journal};
use airlock_types::code::Code;
use airlock_types::json::Json;
use airlock_types::record::Record;
use anyhow::{Context as _, Result, ensure};

use crate::clock::now;
use crate::figures::{Listing, ListingRow};
use crate::library;
use crate::registry::{JOURNAL_BYTES_MAX, Repository};
use crate::server;
use crate::stats::Times;

/// Names that calls are spread over. As a large installation has.
const TOOLS: u64 = 200;
const CALLERS: u64 = 50;
const SESSIONS: u64 = 5_000;

/// Time between two calls, in milliseconds: a million calls are twelve days.
const STEP_MS: u64 = 1_037;

/// When the first call came: 2026-01-01, in milliseconds since 1970.
const BEGUN_UNIX_MS: u64 = 1_767_225_600_000;

/// What is asked for: a name for the table, and the arguments.
const QUESTIONS: [(&str, &[&str]); 9] = [
    ("no filter", &[]),
    ("a tool", &["--tool", "tool_007"]),
    ("a caller", &["--caller", "agent-7"]),
    ("a session", &["--session", "00000000000004d2"]),
    ("a status", &["--outcome", "failed"]),
    ("a rare code", &["--outcome", "trap"]),
    (
        "a tool, a caller and a code",
        &["--tool", "tool_007", "--caller", "agent-7", "--outcome", "limit.fuel"],
    ),
    ("a day in the middle", &["--since", "2026-01-05", "--until", "2026-01-06"]),
    ("what no call matches", &["--tool", "no_such_tool"]),
];

/// Fills a journal and measures each question.
///
/// # Errors
/// When the journal cannot be filled, or the program answers with an error.
pub async fn measure(repository: &Repository, quick: bool) -> Result<Listing> {
    let calls = if quick { 100_000 } else { 1_000_000 };
    let runs = if quick { 5 } else { 15 };
    let registry = repository.listed()?;
    let program = server::airlock("airlock", "", &registry)?;
    let program = program.command.first().context("there is no program")?;
    // The time of the program itself, and what a call leaves: the records are like those of a real call.
    let host = library::open(&registry).await?;
    library::call(&host).await?;
    let mut ids = Vec::new();
    host.journal().each(&mut |record| ids.push(record.id.clone()))?;
    let id = ids.pop().context("the call left no record")?;
    let record = host.journal().find(&id)?.context("the call left no record")?;
    drop(host);
    let alone = ask(program, &registry, &[], runs)?;
    fill(&repository.journal(), &record, calls).await?;
    let rows = QUESTIONS.iter().map(|(question, args)| {
        Ok(ListingRow { question: (*question).to_owned(), times: ask(program, &registry, args, runs)? })
    });
    let rows = rows.collect::<Result<_>>()?;
    let bytes = std::fs::metadata(repository.journal())?.len();
    // Gigabytes that nothing else measures.
    repository.forget()?;
    Ok(Listing { calls, bytes, alone, rows })
}

/// The time from the start of the program to its end.
fn ask(program: &str, registry: &Path, args: &[&str], runs: usize) -> Result<Times> {
    let mut times = Vec::new();
    // The first run reads from the disk what the others find in memory.
    for run in 0..=runs {
        let mut command = Command::new(program);
        command.arg("--registry").arg(registry).arg("log").args(args).stdin(Stdio::null());
        let begun = now();
        let answer = command.output()?;
        let took = begun.elapsed();
        ensure!(answer.status.success(), "`log`: {}", String::from_utf8_lossy(&answer.stderr));
        if run > 0 {
            times.push(took);
        }
    }
    Ok(Times::of(&times))
}

/// Appends records like this one.
async fn fill(journal: &Path, like: &Record, calls: u64) -> Result<()> {
    let journal = Journal::open(journal, JOURNAL_BYTES_MAX)?;
    for i in 0..calls {
        // Each tenth call had effects.
        let durability = if i % 10 == 0 { Durability::Committed } else { Durability::Queued };
        let place = journal.place().await?;
        // The answer of a call with effects would be awaited. Here the writer is to have its queue full.
        drop(place.seal(Box::new(record(like, i)), durability));
    }
    // A flush waits seconds for what is queued, which is enough: a queue has a thousand places.
    Ok(journal.flush()?)
}

fn record(like: &Record, i: u64) -> Record<Json> {
    let started_unix_ms = BEGUN_UNIX_MS + i * STEP_MS;
    // Mixed, so that neighbors differ, and the same in each run.
    let mixed = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let code = match (mixed >> 24) % 1_000 {
        0..950 => Code::Ok,
        950..980 => Code::ArgsType,
        980..995 => Code::LimitFuel,
        995..999 => Code::Refused,
        _ => Code::Trap,
    };
    Record {
        id: format!("{:08x}-{:04x}-7000-8000-{i:012x}", started_unix_ms >> 16, started_unix_ms & 0xffff),
        tool: format!("tool_{:03}", mixed % TOOLS),
        caller: format!("agent-{}", (mixed >> 8) % CALLERS),
        session: Some(format!("{:016x}", (mixed >> 16) % SESSIONS)),
        started_unix_ms,
        ended_unix_ms: started_unix_ms + 3,
        code: code.into(),
        ..like.with_json(|_, json| Json::of(json).unwrap_or_default())
    }
}
