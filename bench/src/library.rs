//! Measures calls through the library, in turn with the bare engine in one process.

use std::path::Path;
use std::time::Duration;

use airlock::config::ConfigFile;
use airlock::host::Host;
use airlock_types::call::{Arguments, Call};
use airlock_types::code::Code;
use anyhow::{Result, ensure};

use crate::clock::now;
use crate::figures::Library;
use crate::floor::Floor;
use crate::registry::{Repository, TOOL};
use crate::stats::{Times, median};

/// Calls in one turn. Fewer than the journal's queue holds, so that no call waits for the disk.
const TURN: usize = 256;

const ARGS: &[u8] = br#"{"value": 10, "from": "mile", "to": "km"}"#;

/// Opens a host on a registry.
///
/// # Errors
/// When the registry or its host has a problem.
pub async fn open(registry: &Path) -> Result<Host> {
    let file = ConfigFile::read(registry)?;
    Ok(Host::builder().registry(&file).open().await?)
}

/// Makes one call of [`TOOL`].
///
/// # Errors
/// When the reply is not `ok`.
pub async fn call(host: &Host) -> Result<()> {
    call_with(host, TOOL, ARGS).await
}

/// Makes one call of a tool.
///
/// # Errors
/// When the reply is not `ok`.
pub async fn call_with(host: &Host, tool: &str, args: &[u8]) -> Result<()> {
    let reply = host.call(Call::new(tool, Arguments::Text(args.to_vec().into()))).await;
    ensure!(reply.code == Code::Ok, "`{tool}` was answered with {}: {:?}", reply.code, reply.error);
    Ok(())
}

/// Waits until every record is on disk.
///
/// # Errors
/// When the journal cannot be written.
pub fn settle(host: &Host) -> Result<()> {
    // The journal answers a look-up after it has written everything that was queued before.
    host.journal().find("no such record")?;
    Ok(())
}

/// Measures every figure of the library.
///
/// # Errors
/// When the reply of a call is not `ok`.
pub async fn measure(repository: &Repository, quick: bool) -> Result<Library> {
    let rounds = if quick { 5 } else { 40 };
    let floor = Floor::open(&repository.component("unit-convert"))?;
    let one = open(&repository.many(1)?).await?;
    let many = open(&repository.many(1_000)?).await?;
    let (off, full) = (open(&repository.recorded("off")?).await?, open(&repository.recorded("full")?).await?);
    let mut times: [Vec<Duration>; 5] = Default::default();
    let mut ratios: [Vec<f64>; 4] = Default::default();
    // Round 0 warms up and is not counted.
    for round in 0..=rounds {
        // In turn, so that all see the same state of the machine.
        let floored = floor.turn(TURN).await?;
        let called = turn(&one).await?;
        let among_many = turn(&many).await?;
        let (unrecorded, full) = (turn(&off).await?, turn(&full).await?);
        if round == 0 {
            continue;
        }
        // Ratios within a round: noise that slows a whole round cancels out.
        let p50 = |times: &[Duration]| Times::of(times).p50_us;
        let of_round = [
            p50(&called) / p50(&floored),
            p50(&among_many) / p50(&called),
            p50(&called) / p50(&unrecorded),
            p50(&full) / p50(&unrecorded),
        ];
        ratios.iter_mut().zip(of_round).for_each(|(all, one)| all.push(one));
        let of_round = [floored, called, among_many, unrecorded, full];
        times.iter_mut().zip(of_round).for_each(|(all, more)| all.extend(more));
    }
    let [floored, called, among_many, unrecorded, full] = times;
    let [ratio, many_ratio, recorded_ratio, full_ratio] = ratios.map(|ratios| median(&ratios));
    Ok(Library {
        floor: Times::of(&floored),
        call: Times::of(&called),
        ratio,
        many: Times::of(&among_many),
        many_ratio,
        unrecorded: Times::of(&unrecorded),
        recorded_ratio,
        full: Times::of(&full),
        full_ratio,
        sustained_per_s: sustained(&one, if quick { 2_000 } else { 20_000 }).await?,
        floor_per_s: 1e6 / Times::of(&floored).p50_us,
    })
}

async fn turn(host: &Host) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(TURN);
    for _ in 0..TURN {
        let start = now();
        call(host).await?;
        times.push(start.elapsed());
    }
    // Outside the timed calls: the next turn starts with an empty queue.
    settle(host)?;
    Ok(times)
}

async fn sustained(host: &Host, calls: usize) -> Result<f64> {
    let start = now();
    for _ in 0..calls {
        call(host).await?;
    }
    settle(host)?;
    Ok(calls as f64 / start.elapsed().as_secs_f64())
}
