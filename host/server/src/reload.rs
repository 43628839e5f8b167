//! Reload: watches a registry's file, its lock file and its components, and passes changes to the host.
//!
//! Owns when to check for changes. The host decides how to apply a change. A rejected change is logged, and the
//! running state stays until the next change. Must not know the contents of a registry.
//!
//! Two tasks run. One detects changes and immediately revokes what a changed file removes. The other loads files one
//! after the other, always the latest one. So a slow component load does not delay a revocation.

mod disk;
mod events;

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use airlock::blocking::{Lane, Lost};
use airlock::config::ConfigFile;
use airlock::host::{Host, OpenError, Revision};
use airlock::registry::OutOfReach;
use airlock_types::diagnostic::Diagnostics;
pub use disk::Baseline;
use disk::Disk;
use events::{Events, Woken};

/// Delay before a load that a file system blocked, or at which the host failed, is retried without a change. No event reports
/// that the file system responds again, or that the disk has room.
const AGAIN: Duration = Duration::from_secs(30);

/// Time limit for looking up whether the process reaches what a registry names.
const REACH_MAX: Duration = Duration::from_secs(10);

/// The latest file that was read and is not loaded yet.
type Read = Option<(Arc<ConfigFile>, Revision)>;

/// The registry of a program. Both methods may block: they run on threads of their own, within a time.
pub trait Registry: Send + Sync + 'static {
    /// Reads its file again, with the options of the program.
    ///
    /// # Errors
    /// What is wrong with the file.
    fn read(&self) -> Result<ConfigFile, Diagnostics>;

    /// The entries of a file that this process does not reach. Asked before it is loaded, and after access was revoked.
    ///
    /// # Errors
    /// What belongs to no entry and only a process that is started anew could reach.
    fn out_of_reach(&self, file: &ConfigFile) -> Result<OutOfReach, Diagnostics>;
}

/// Watches until the program ends. `baseline` was taken before `file` was read.
///
/// # Errors
/// When the system refuses to watch.
pub async fn watch(
    host: Arc<Host>,
    file: ConfigFile,
    baseline: Baseline,
    registry: impl Registry,
) -> anyhow::Result<()> {
    // At the start, too, an entry may be left out for a reason that passes.
    let first = host.may_pass().then(|| (Arc::new(file.clone()), host.revoke(&file)));
    let (registry, (sender, receiver)) = (Arc::new(registry), watch::channel(first));
    let look = look(host.clone(), (file, baseline), registry.clone(), sender);
    tokio::try_join!(look, load(host, registry, receiver)).map(|_| ())
}

/// Checks the disk, and reads the registry after a change.
async fn look(
    host: Arc<Host>,
    (mut file, baseline): (ConfigFile, Baseline),
    registry: Arc<impl Registry>,
    loads: watch::Sender<Read>,
) -> anyhow::Result<()> {
    // Registered before the first check, so that a SIGHUP during it is not lost and does not end the process.
    let mut hangups = signal(SignalKind::hangup())?;
    let (mut events, mut disk) = (Events::new(), Disk::new(&file, baseline));
    loop {
        disk.follow(&events, &file).await;
        let woken = events.next(hangups.recv()).await;
        if !disk.look(&file).await && woken != Woken::Asked {
            continue;
        }
        let registry = registry.clone();
        match disk.read(move || registry.read()).await {
            Ok(Ok(new)) => {
                // At once and before the load, so that no slow component delays the removal of a grant or a token.
                let revision = host.revoke(&new);
                // The new file can name other components. They are stamped before the load, so that a change during
                // the load is detected at the next check.
                disk.look_at_new(&new).await;
                file = new;
                // Replaces a file that waits for its load: only the latest one is loaded.
                loads.send_replace(Some((Arc::new(file.clone()), revision)));
            }
            Ok(Err(err)) => {
                host.refuse(None).await;
                not_reloaded(&err);
            }
            Err(Lost::Ending) => return Ok(()),
            Err(lost) => {
                // The next check reports a change again, so the read is repeated when the file system responds.
                disk.forget();
                tracing::error!("the registry cannot be read: {lost}; does its file system answer?");
            }
        }
    }
}

/// Loads the files that were read, one after the other.
async fn load(
    host: Arc<Host>,
    registry: Arc<impl Registry>,
    mut reads: watch::Receiver<Read>,
) -> anyhow::Result<()> {
    let (reach, mut is_stuck) = (Lane::single(), false);
    loop {
        if is_stuck || host.may_pass() {
            // Either way the latest file is loaded: a later one replaces that which failed.
            if let Ok(closed) = tokio::time::timeout(AGAIN, reads.changed()).await {
                closed?;
            }
        } else {
            reads.changed().await?;
        }
        // Marked as seen before the load, so that a file that arrives during the load is loaded next.
        let last = reads.borrow_and_update().clone();
        let Some((file, revision)) = last else { continue };
        let loaded = match out_of_reach(&reach, &registry, &file).await {
            Ok(entries) => host.exchange(&file, revision, &entries).await,
            Err(refused) => {
                host.refuse(Some(&file)).await;
                Err(refused)
            }
        };
        match &loaded {
            Ok(()) => tracing::info!("reloaded: {} tools", host.summary().0),
            Err(err) => not_reloaded(err),
        }
        // Any other error stays until the file changes. A retry would only repeat it in the log.
        is_stuck = matches!(loaded, Err(OpenError::Stuck { .. }));
    }
}

async fn out_of_reach(
    lane: &Lane,
    registry: &Arc<impl Registry>,
    file: &Arc<ConfigFile>,
) -> Result<OutOfReach, OpenError> {
    let (registry, file) = (registry.clone(), file.clone());
    let looked = lane.run_within(REACH_MAX, move || registry.out_of_reach(&file)).await;
    let step = "looking up what the registry names";
    Ok(looked.map_err(|lost| OpenError::Stuck { step, reason: lost.to_string() })??)
}

fn not_reloaded(err: &dyn std::fmt::Display) {
    tracing::error!("not reloaded, nothing is added:\n{err}");
}
