//! Reads the journal throughout a soak, from a process other than the server's: this one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;

/// Pause between two reads. Each read opens and closes its own connection, because the last connection that closes
/// deletes the log if no other process holds a lock.
const PAUSE: Duration = Duration::from_millis(100);

/// The thread that reads.
pub(super) struct Outside {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u64, Vec<String>)>,
}

impl Outside {
    /// Starts to read a journal.
    pub(super) fn start(journal: PathBuf) -> anyhow::Result<Outside> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("outside".into())
            .spawn(move || look(&journal, &stopped))
            .context("cannot look at the journal")?;
        Ok(Outside { stop, thread })
    }

    /// Stops, and returns the number of reads and the faults.
    pub(super) fn stop(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap_or_else(|_| (0, vec!["looking at the journal panicked".into()]))
    }
}

fn look(journal: &Path, stop: &AtomicBool) -> (u64, Vec<String>) {
    let (mut looks, mut before, mut faults) = (0, 0, Vec::new());
    while !stop.load(Ordering::Acquire) {
        match recorded(journal) {
            Ok(count) if count < before => faults.push(format!("of {before} records {count} are left")),
            Ok(count) => (looks, before) = (looks + 1, count),
            Err(err) => faults.push(format!("the journal cannot be read: {err:#}")),
        }
        faults.truncate(20);
        std::thread::sleep(PAUSE);
    }
    (looks, faults)
}

/// The number of calls in a journal.
pub(super) fn recorded(journal: &Path) -> anyhow::Result<u64> {
    let journal = rusqlite::Connection::open(journal)?;
    journal.busy_timeout(Duration::from_secs(5))?;
    let count: u32 = journal.query_row("SELECT count(*) FROM calls", [], |row| row.get(0))?;
    Ok(count.into())
}
