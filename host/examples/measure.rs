//! Measures calls of `unit_convert` through the library: the first after opening, then many.
//!
//! `cargo run -p airlock --example measure`. Figures of a shared machine are rough; compare only what one run
//! measured.

use std::io::Write as _;

use airlock::call::raw::{Arguments, RawCall};
use airlock::config::ConfigFile;
use airlock::environment::{Environment as _, World};
use airlock::host::{Host, Options};

const CALLS: usize = 5_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let clock = World::new();
    let file = ConfigFile::read("example-tools/airlock.toml".as_ref())?;
    let host = Host::open(&file, &Options::default()).await?;
    let opened = clock.monotonic();
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let before = clock.monotonic();
        let args = Arguments::Text(br#"{"value": 10, "from": "km", "to": "mile"}"#.to_vec());
        let reply = host.call(RawCall::new("unit_convert", args)).await;
        anyhow::ensure!(reply.code.has_result(), "{reply:?}");
        times.push(clock.monotonic() - before);
    }
    let first = times[0];
    times.sort();
    writeln!(
        std::io::stdout(),
        "open {opened:?}, first call {first:?}, then p50 {:?}, p99 {:?} over {CALLS} calls",
        times[CALLS / 2],
        times[CALLS * 99 / 100]
    )?;
    Ok(())
}
