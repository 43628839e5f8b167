//! Reload: watches a registry's file, its lock and its components, and has the host exchange what changed.
//!
//! Owns when to look. What a change means is the host's to decide; one that it refuses is said in the log, and
//! everything stays as it was until the next change. Must not know what is in a registry.
//!
//! Two tasks: one looks, and has the host take away at once what a changed file takes away; the other loads, one file
//! after the other and always the last that was read. So a component that takes long to load holds up no revocation.

mod disk;
mod events;

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use airlock::config::ConfigFile;
use airlock::host::{Host, OpenError, Revision};
use airlock_types::diagnostic::Diagnostics;
use disk::Disk;
use events::{Events, Woken};

/// Time after which a load that a file system held up is tried again, although nothing changed: nothing tells when it
/// answers again.
const AGAIN: Duration = Duration::from_secs(30);

/// A file that was read, to be loaded.
type Read = Option<(Arc<ConfigFile>, Revision)>;

/// Watches until the program ends. `read` reads the registry's file as the program was told to.
///
/// # Errors
/// When the system does not let us watch.
pub async fn watch(
    host: Arc<Host>,
    file: ConfigFile,
    read: impl Fn() -> Result<ConfigFile, Diagnostics> + Send + Sync + 'static,
) -> anyhow::Result<()> {
    let (sender, receiver) = watch::channel(Read::None);
    let look = look(host.clone(), file, Arc::new(read), sender);
    tokio::try_join!(look, load(host, receiver)).map(|_| ())
}

/// Looks at the disk, and reads the registry where something changed.
async fn look(
    host: Arc<Host>,
    mut file: ConfigFile,
    read: Arc<impl Fn() -> Result<ConfigFile, Diagnostics> + Send + Sync + 'static>,
    loads: watch::Sender<Read>,
) -> anyhow::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    let (mut events, mut disk) = (Events::new(), Disk::new(&file));
    disk.look(&file).await;
    loop {
        disk.follow(&mut events, &file).await;
        let woken = events.next(hangups.recv()).await;
        if !disk.look(&file).await && woken != Woken::Asked {
            continue;
        }
        let read = read.clone();
        match disk.read(move || read()).await {
            Ok(Ok(new)) => {
                let revision = host.revoke(&new);
                // It may name other components. They are looked at before they are loaded, so that a change in
                // between is one the next time.
                disk.look_at_new(&new).await;
                file = new;
                loads.send_replace(Some((Arc::new(file.clone()), revision)));
            }
            Ok(Err(err)) => not_reloaded(&err),
            Err(lost) => {
                disk.forget();
                tracing::error!("the registry cannot be read: {lost}; does its file system answer?");
            }
        }
    }
}

/// Loads what was read, one file after the other.
async fn load(host: Arc<Host>, mut reads: watch::Receiver<Read>) -> anyhow::Result<()> {
    loop {
        reads.changed().await?;
        loop {
            let last = reads.borrow_and_update().clone();
            let Some((file, revision)) = last else { break };
            match host.exchange(&file, revision).await {
                Ok(()) => {
                    tracing::info!("reloaded: {} tools", host.summary().0);
                    break;
                }
                Err(err) => {
                    not_reloaded(&err);
                    if !matches!(err, OpenError::Stuck { .. }) {
                        break;
                    }
                }
            }
            let _ = tokio::time::timeout(AGAIN, reads.changed()).await;
        }
    }
}

fn not_reloaded(err: &dyn std::fmt::Display) {
    tracing::error!("not reloaded, tools stay as they were:\n{err}");
}
