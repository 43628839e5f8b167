//! Runs mixed load for a chosen time: good, bad, looping and trapping calls, clients that connect and disconnect, and a
//! reload each minute. `cargo xtask soak --minutes 30`.

use std::time::Duration;

use airlock_tests::soak;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let seconds = std::env::args().nth(1).map_or(Ok(120), |seconds| seconds.parse())?;
    let report = soak::run(Duration::from_secs(seconds)).await?;
    anstream::println!("{report}");
    let faults = report.faults();
    anyhow::ensure!(faults.is_empty(), "the soak found:\n{}", faults.join("\n"));
    Ok(())
}
