//! Runs a server under mixed load, and checks what must still hold afterwards.
//!
//! Owns the schedule. `load` has the kinds of clients, `outside` the process that reads the journal beside the server,
//! `report` the observations and the faults.

pub(crate) mod load;
mod outside;
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::server::Server;
pub use report::{Report, Sample};

/// Interval between two samples of memory and descriptors.
const LOOK: Duration = Duration::from_secs(2);

/// Interval between two changes of the registry.
const RELOAD: Duration = Duration::from_secs(60);

/// Runs the load for a time, then calls every tool once more.
///
/// # Errors
/// When the server does not start or cannot be observed.
pub async fn run(length: Duration) -> anyhow::Result<Report> {
    let folder = Folder::new()?;
    let path = folder.registry(true)?;
    let server = Arc::new(Server::start(&path, &["--allow-anonymous"])?);
    let until = now() + length;
    let outside = outside::Outside::start(folder.journal())?;
    let mut clients = tokio::task::JoinSet::new();
    for (kind, count) in load::KINDS {
        for _ in 0..count {
            clients.spawn(load::run(kind, server.clone(), until));
        }
    }
    let mut report = Report::new(length);
    let mut next_reload = now() + RELOAD.min(length / 4);
    while now() < until {
        tokio::time::sleep(LOOK.min(until.saturating_duration_since(now()))).await;
        report.samples.push(Sample::of(server.id())?);
        if now() >= next_reload {
            report.reloads += 1;
            folder.registry(report.reloads.is_multiple_of(2))?;
            next_reload += RELOAD.min(length / 4);
        }
    }
    while let Some(tally) = clients.join_next().await {
        report.take(tally?);
    }
    folder.registry(true)?;
    report.last_words(&server).await?;
    report.outside(outside.stop());
    server.signal("TERM")?;
    let server = Arc::into_inner(server).ok_or_else(|| anyhow::anyhow!("a client still holds the server"))?;
    report.left = tokio::task::spawn_blocking(move || server.wait()).await??.success();
    report.recorded = folder.recorded()?;
    Ok(report)
}

#[expect(clippy::disallowed_methods, reason = "a load is as long as it was asked to be, and replays nothing")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The folder of the registry. Dropping it removes the folder.
struct Folder(PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Folder> {
        let path = crate::root().join(format!("target/soak-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }

    /// Writes the registry, with or without the tool that comes and goes.
    fn registry(&self, all: bool) -> anyhow::Result<PathBuf> {
        let example = crate::root().join("example-tools");
        let hostile = crate::root().join("tests/guests/build/hostile.wasm");
        let mut text = format!(
            "[tools.unit_convert]\ncomponent = \"{0}/build/unit-convert.wasm\"\n\
             [tools.sector_metrics]\ncomponent = \"{0}/build/sector-metrics.wasm\"\n\
             grants.files = [{{ host = \"{0}/data\", guest = \"/data\" }}]\ngrants.clock = true\n\
             [tools.hostile]\ncomponent = \"{1}\"\nlimits.deadline_ms = 200\nretry.attempts = 1\n",
            example.display(),
            hostile.display()
        );
        if all {
            let digest = example.join("build/text-digest.wasm");
            text.push_str(&format!("[tools.text_digest]\ncomponent = \"{}\"\n", digest.display()));
        }
        let path = self.0.join("airlock.toml");
        // Written to another file and renamed, so that the server never reads half a file.
        let aside = self.0.join("airlock.new");
        std::fs::write(&aside, text)?;
        std::fs::rename(aside, &path)?;
        Ok(path)
    }

    fn journal(&self) -> PathBuf {
        self.0.join(".airlock/journal.db")
    }

    fn recorded(&self) -> anyhow::Result<u64> {
        outside::recorded(&self.journal())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // An error is ignored: the folder is inside the target folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
