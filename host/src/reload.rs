//! Reload: watches a registry's file, its lock and its components, and has the host exchange what changed.
//!
//! Owns when to look. What a change means is the host's to decide; one that it refuses is said in the log, and
//! everything stays as it was until the next change. Must not know what is in a registry.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::config::ConfigFile;
use crate::diagnostic::Diagnostics;
use crate::host::Host;
use crate::lock::Lock;

/// Whoever writes several files is given so long after the last one.
const QUIET: Duration = Duration::from_millis(300);

/// Looked at all the same where the system tells nothing: network folders.
const ANYWAY: Duration = Duration::from_secs(30);

/// What of a file tells that it is another one.
type Stamp = Vec<(PathBuf, Option<(u64, u64, i64, i64)>)>;

/// Watches until the program ends. `read` reads the registry's file as the program was told to.
///
/// # Errors
/// When the system does not let us watch.
pub async fn watch(
    host: Arc<Host>,
    mut file: ConfigFile,
    read: impl Fn() -> Result<ConfigFile, Diagnostics>,
) -> anyhow::Result<()> {
    let (sender, mut events) = mpsc::channel(1);
    let mut watcher = notify::recommended_watcher(move |_| {
        // One is enough: what changed is found by looking.
        let _ = sender.try_send(());
    })?;
    let mut hangups = signal(SignalKind::hangup())?;
    let mut folders = BTreeSet::new();
    let mut seen = stamp(&file);
    loop {
        follow(&mut watcher, &mut folders, &file);
        let asked = tokio::select! {
            _ = hangups.recv() => true,
            _ = events.recv() => false,
            () = tokio::time::sleep(ANYWAY) => false,
        };
        // Whoever writes is waited for, as long as there is news.
        while tokio::time::timeout(QUIET, events.recv()).await.is_ok() {}
        let now = stamp(&file);
        if now == seen && !asked {
            continue;
        }
        seen = now;
        match reload(&host, &read).await {
            Ok(new) => {
                // The new file may name other components.
                seen = stamp(&new);
                file = new;
            }
            Err(err) => tracing::error!("not reloaded, everything stays as it was:\n{err:#}"),
        }
    }
}

async fn reload(
    host: &Host,
    read: impl Fn() -> Result<ConfigFile, Diagnostics>,
) -> anyhow::Result<ConfigFile> {
    let file = read()?;
    host.reload(&file).await?;
    tracing::info!("reloaded: {} tools", host.summary().0);
    Ok(file)
}

fn files(file: &ConfigFile) -> Vec<PathBuf> {
    let components = file.config.tools.values().map(|tool| file.folder().join(tool.component.get_ref()));
    let jwks = file.config.oauth.iter().filter_map(|oauth| oauth.get_ref().jwks.file());
    let jwks = jwks.map(|path| file.folder().join(path));
    [file.path.clone(), Lock::path_of(&file.path)].into_iter().chain(components).chain(jwks).collect()
}

fn stamp(file: &ConfigFile) -> Stamp {
    let of = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
    };
    files(file).into_iter().map(|path| (path.clone(), of(&path))).collect()
}

/// Watches the folders, as a file that is replaced is another file.
fn follow(watcher: &mut impl notify::Watcher, folders: &mut BTreeSet<PathBuf>, file: &ConfigFile) {
    let parents = files(file).into_iter().filter_map(|path| path.parent().map(Path::to_owned));
    for folder in parents.collect::<BTreeSet<_>>() {
        let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
        if !folders.insert(folder.clone()) {
            continue;
        }
        if let Err(err) = watcher.watch(&folder, notify::RecursiveMode::NonRecursive) {
            tracing::warn!("`{}` is only looked at now and then: {err}", folder.display());
        }
    }
}
