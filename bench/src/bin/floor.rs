//! Calls `unit-convert` on the bare engine. `floor COMPONENT CALLS` prints times in microseconds per call.

#![expect(clippy::print_stdout, reason = "the figure is what people run it for")]

use airlock_bench::clock::now;
use airlock_bench::floor::Floor;
use airlock_bench::stats::Times;
use anyhow::{Context as _, Result};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let component = words.next().context("usage: floor COMPONENT CALLS")?;
    let calls = words.next().context("usage: floor COMPONENT CALLS")?.parse()?;
    let floor = Floor::open(component.as_ref())?;
    // Allocated before the first call, so that no call includes it.
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let start = now();
        floor.call().await?;
        times.push(start.elapsed());
    }
    println!("{}", serde_json::to_string(&Times::of(&times))?);
    Ok(())
}
