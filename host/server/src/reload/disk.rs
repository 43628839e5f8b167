//! The files that a reload checks, and how it detects a replaced or changed file.
//!
//! Owns the guarantee that no check waits for a file system that does not respond. The registry's own files have
//! separate threads, so that components on a blocked file system do not hide a change of the registry.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;

use super::events::{self, Events};
use crate::named::{named, own_files};
use airlock::blocking::{Lanes, Lost};
use airlock::config::ConfigFile;

/// Time limit for the `stat` of a file, and for adding a folder to the watcher. A slower file counts as unchanged.
const STAT_MAX: Duration = Duration::from_secs(2);

/// Time limit for reading the registry.
const READ_MAX: Duration = Duration::from_secs(10);

/// Number of threads for the registry's own files, and for all others. Each file uses at most one beside the thread
/// that takes them in turn, so that repeated checks of a blocked file use no further threads.
const OWN_THREADS_MAX: usize = 4;
const OTHER_THREADS_MAX: usize = 16;

/// The key of the thread that takes files in turn, which is no path.
const IN_TURN: &str = "\0";

/// The metadata that identify a file's version. `None` stands for a missing file. The status change time is included
/// because, unlike the modification time, programs cannot set it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The versions of files.
type Seen = BTreeMap<PathBuf, Option<Stamp>>;

/// The versions of a registry's files from before they were read, so that a change during the start of a program is
/// detected after it.
#[derive(Debug, Default)]
pub struct Baseline(Seen);

impl Baseline {
    /// Stamps a registry's file and its lock file. To be called before they are read.
    pub fn of_registry(path: &Path) -> Baseline {
        Baseline(own_files(path).into_iter().map(|path| (path.clone(), stamp(&path))).collect())
    }

    /// Stamps the files that a registry names. To be called before they are loaded.
    #[must_use]
    pub async fn with_named(self, file: &ConfigFile) -> Baseline {
        let mut disk = Disk::new(file, self);
        disk.look_at_new(file).await;
        Baseline(disk.seen)
    }
}

pub(super) struct Disk {
    seen: Seen,
    /// The watched folders, each as the file that it was when it was watched: a folder that was made anew is another one,
    /// which the watch on the old one does not cover.
    followed: BTreeMap<PathBuf, (u64, u64)>,
    /// Folders that could not be watched, so that each is reported once.
    missed: BTreeSet<PathBuf>,
    /// The registry's file and its lock file.
    own_files: [PathBuf; 2],
    own: Lanes,
    others: Lanes,
}

impl Disk {
    pub(super) fn new(file: &ConfigFile, baseline: Baseline) -> Disk {
        Disk {
            seen: baseline.0,
            followed: BTreeMap::new(),
            missed: BTreeSet::new(),
            own_files: own_files(&file.path),
            own: Lanes::new(OWN_THREADS_MAX, 1),
            others: Lanes::new(OTHER_THREADS_MAX, 1),
        }
    }

    /// Checks every file. Returns whether one changed since the previous check.
    pub(super) async fn look(&mut self, file: &ConfigFile) -> bool {
        let now = self.stamped(files(file)).await;
        let changed = now != self.seen;
        self.seen = now;
        changed
    }

    /// Stamps files that are new in the registry, and forgets files that it no longer names.
    pub(super) async fn look_at_new(&mut self, file: &ConfigFile) {
        let mut files = files(file);
        self.seen.retain(|path, _| files.contains(path));
        // Known files keep the stamp from before the registry was read. A fresh stamp would hide a change since then.
        files.retain(|path| !self.seen.contains_key(path));
        let new = self.stamped(files).await;
        self.seen.extend(new);
    }

    /// Makes the next check report a change.
    pub(super) fn forget(&mut self) {
        self.seen.clear();
    }

    /// Reads the registry, within [`READ_MAX`].
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Lost> {
        self.own.of("read").run_within(READ_MAX, read).await
    }

    /// Watches the folders of the files, not the files: a replaced file is a new inode, which a watch on the old one
    /// misses. In each round, because a folder can appear, and can be replaced by another one of the same name.
    pub(super) async fn follow(&mut self, events: &Events, file: &ConfigFile) {
        let parents = files(file).into_iter().filter_map(|path| path.parent().map(Path::to_owned));
        let parents: BTreeSet<PathBuf> = parents.collect();
        self.followed.retain(|folder, _| parents.contains(folder));
        self.missed.retain(|folder| parents.contains(folder));
        for folder in parents {
            match self.followed(events, &folder).await {
                Some(Ok(inode)) => {
                    self.missed.remove(&folder);
                    self.followed.insert(folder, inode);
                }
                // Tried again in the next round. Until then the periodic checks cover the folder.
                Some(Err(failed)) => {
                    self.followed.remove(&folder);
                    if self.missed.insert(folder.clone()) {
                        tracing::warn!(
                            "`{}` is only looked at now and then: {failed}",
                            here(&folder).display()
                        );
                    }
                }
                None => {}
            }
        }
    }

    /// Watches a folder unless it is watched already. Returns the file that it is. `None` while an earlier attempt still
    /// blocks.
    async fn followed(&self, events: &Events, folder: &Path) -> Option<Result<(u64, u64), String>> {
        let own = self.own_files.iter().any(|path| path.parent() == Some(folder));
        let (lanes, watcher) =
            if own { (&self.own, &events.registry) } else { (&self.others, &events.others) };
        let lane = lanes.of("watch");
        if lane.is_busy() {
            return None;
        }
        let (watcher, path, known) = (watcher.clone(), here(folder), self.followed.get(folder).copied());
        let watch = move || {
            // The `metadata` call comes first: a folder that blocks must not reach the watcher, which it would block
            // for all others. If the folder is replaced after it, the next round finds another inode.
            let metadata = path.metadata().map_err(notify::Error::io)?;
            let inode = (metadata.dev(), metadata.ino());
            if known != Some(inode) {
                events::watch(&watcher, &path)?;
            }
            Ok(inode)
        };
        let watched: Result<notify::Result<_>, Lost> = lane.run_within(STAT_MAX, watch).await;
        match watched {
            Ok(watched) => Some(watched.map_err(|err| err.to_string())),
            // Nothing is watched any more, and nothing is wrong.
            Err(Lost::Ending) => None,
            Err(lost) => Some(Err(lost.to_string())),
        }
    }

    /// Stamps files. One thread takes those of others in turn, since a registry may name thousands. Those that it has not
    /// come to in time have a thread each, so that a blocked file hides no change of another.
    async fn stamped(&self, files: BTreeSet<PathBuf>) -> Seen {
        let (mut alone, others): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|path| self.own_files.contains(path));
        let others: Arc<[PathBuf]> = others.into();
        let stamps = self.in_turn(&others).await;
        alone.extend(others.iter().skip(stamps.len()).cloned());
        let mut seen: Seen = others.iter().cloned().zip(stamps).collect();
        // All at once: a blocked file delays the check by `STAT_MAX` and not by a multiple of it.
        seen.extend(join_all(alone.into_iter().map(|path| self.stamped_alone(path))).await);
        seen
    }

    /// The stamps of the first of these files: as many as one thread finds within [`STAT_MAX`].
    async fn in_turn(&self, files: &Arc<[PathBuf]>) -> Vec<Option<Stamp>> {
        let lane = self.others.of(IN_TURN);
        // A file of an earlier check still blocks.
        if lane.is_busy() {
            return Vec::new();
        }
        let stamps = Arc::new(Mutex::new(Vec::with_capacity(files.len())));
        let (files, found) = (files.clone(), stamps.clone());
        let look = move || {
            for path in &*files {
                let stamp = stamp(path);
                found.lock().unwrap_or_else(PoisonError::into_inner).push(stamp);
            }
        };
        // What was found counts, also if the rest was not found in time.
        let _ = lane.run_within(STAT_MAX, look).await;
        std::mem::take(&mut *stamps.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn stamped_alone(&self, path: PathBuf) -> (PathBuf, Option<Stamp>) {
        let lanes = if self.own_files.contains(&path) { &self.own } else { &self.others };
        let lane = lanes.of(&path.to_string_lossy());
        // A file system that does not respond must not look like a deleted file, which would start a reload.
        let unknown = || self.seen.get(&path).cloned().flatten();
        // The previous `stat` of this file still blocks.
        if lane.is_busy() {
            return (path.clone(), unknown());
        }
        let asked = path.clone();
        let stamp = lane.run_within(STAT_MAX, move || stamp(&asked)).await;
        let stamp = stamp.unwrap_or_else(|_| unknown());
        (path, stamp)
    }
}

/// Everything that a registry names, whether it is there or not.
fn files(file: &ConfigFile) -> BTreeSet<PathBuf> {
    named(file).map(|named| named.path().to_owned()).collect()
}

fn here(folder: &Path) -> PathBuf {
    // The parent of a bare file name is the empty path, which the watcher rejects.
    if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    let file = (metadata.dev(), metadata.ino());
    if metadata.is_dir() {
        // A granted folder: what a tool writes into it changes nothing for the registry.
        return Some(Stamp { file, bytes: 0, modified: (0, 0), changed: (0, 0) });
    }
    Some(Stamp {
        file,
        bytes: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(folder: &Path, text: &str) -> ConfigFile {
        let path = folder.join("airlock.toml");
        std::fs::write(&path, text).unwrap();
        ConfigFile::read(&path).unwrap()
    }

    #[tokio::test]
    async fn a_file_that_is_another_one_is_seen_whatever_its_size_and_time() {
        let folder = tempfile::tempdir().unwrap();
        let component = folder.path().join("a.wasm");
        std::fs::write(&component, "one").unwrap();
        let file = registry(folder.path(), "[tools.a]\ncomponent = \"a.wasm\"\n");
        let mut disk = Disk::new(&file, Baseline::default());
        assert!(disk.look(&file).await && !disk.look(&file).await);
        let modified = component.metadata().unwrap().modified().unwrap();
        std::fs::write(&component, "two").unwrap();
        std::fs::File::options().write(true).open(&component).unwrap().set_modified(modified).unwrap();
        assert!(disk.look(&file).await && !disk.look(&file).await);
        std::fs::remove_file(&component).unwrap();
        assert!(disk.look(&file).await && !disk.look(&file).await);
    }

    #[tokio::test]
    async fn what_changes_between_reading_and_loading_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let old = registry(folder.path(), "");
        let mut disk = Disk::new(&old, Baseline::default());
        disk.look(&old).await;
        let new = registry(folder.path(), "[tools.a]\ncomponent = \"a.wasm\"\n");
        assert!(disk.look(&old).await);
        registry(folder.path(), "[tools.a]\ncomponent = \"b.wasm\"\n");
        disk.look_at_new(&new).await;
        assert!(disk.look(&new).await, "the registry was written again after it was read");
        std::fs::write(folder.path().join("a.wasm"), "x").unwrap();
        assert!(disk.look(&new).await, "the component came");
    }

    #[tokio::test]
    async fn a_file_that_does_not_answer_holds_up_nothing_and_counts_as_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.wasm"), "one").unwrap();
        let named = "[tools.a]\ncomponent = \"a.wasm\"\n[tools.b]\ncomponent = \"b.wasm\"\n";
        let file = registry(folder.path(), named);
        let mut disk = Disk::new(&file, Baseline::default());
        disk.look(&file).await;
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let (in_turn, ended) = std::sync::mpsc::channel::<()>();
        let lane = disk.others.of(&folder.path().join("a.wasm").to_string_lossy());
        drop(lane.start(move || wait.recv()).await.unwrap());
        let turns = disk.others.of(IN_TURN);
        drop(turns.start(move || ended.recv()).await.unwrap());
        std::fs::write(folder.path().join("a.wasm"), "another").unwrap();
        assert!(!disk.look(&file).await);
        std::fs::write(folder.path().join("b.wasm"), "one").unwrap();
        assert!(disk.look(&file).await, "another component");
        registry(folder.path(), "[callers.dan]\ntools = []\n");
        assert!(disk.look(&file).await, "the registry itself");
        drop((release, in_turn));
        while lane.is_busy() || turns.is_busy() {
            tokio::task::yield_now().await;
        }
        assert!(disk.look(&file).await);
    }
}
