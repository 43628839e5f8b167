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
    if let [what, times, rest @ ..] = &args[..]
        && what == "kills"
    {
        return kills(times.parse()?, rest.first().map_or(Ok(1), |seed| seed.parse())?).await;
    }
    let seconds = args.first().map_or(Ok(120), |seconds| seconds.parse())?;
    let seed = args.get(1).map_or(Ok(1), |seed| seed.parse())?;
    let report = chaos::run(Duration::from_secs(seconds), seed).await?;
    anstream::println!("{report}");
    let faults = report.faults();
    anyhow::ensure!(faults.is_empty(), "the run found:\n{}", faults.join("\n"));
    Ok(())
}

/// Kills a server this many times.
async fn kills(times: u64, seed: u64) -> anyhow::Result<()> {
    let folder = airlock_tests::root().join(format!("target/kills-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let seen = chaos::kills(&folder, times, seed).await;
    std::fs::remove_dir_all(&folder)?;
    let seen = seen?;
    anstream::println!("{seen}");
    let wrong = seen.wrong();
    anyhow::ensure!(wrong.is_empty(), "the run found:\n{}", wrong.join("\n"));
    Ok(())
}
