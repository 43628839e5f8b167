//! Runs a server while its disk, its processes and its upstream fail. `cargo xtask soak --chaos --minutes 20`.

use std::path::Path;
use std::time::Duration;

use airlock_tests::chaos;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [what, journal, rest @ ..] = &args[..]
        && what == "other"
    {
        return chaos::other(Path::new(journal), rest);
    }
    let seconds = args.first().map_or(Ok(120), |seconds| seconds.parse())?;
    let seed = args.get(1).map_or(Ok(1), |seed| seed.parse())?;
    let report = chaos::run(Duration::from_secs(seconds), seed).await?;
    anstream::println!("{report}");
    let faults = report.faults();
    anyhow::ensure!(faults.is_empty(), "the run found:\n{}", faults.join("\n"));
    Ok(())
}
