//! The bound on the files of the cache. What was not used for longest goes first.
//!
//! Owns when files are counted and which go. Must not know what they hold: whatever is missing is made again, and code that
//! runs stays mapped without its name.

use std::fs::{DirEntry, File, Metadata};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens};

/// The files are counted again after this part of the bound was written, not at each component: a registry may have
/// thousands.
const COUNTED_EVERY: u64 = 16;

/// The bound of one cache.
#[derive(Debug)]
pub(super) struct Bound {
    bytes_max: u64,
    /// Bytes that may be written before the files are counted again.
    left: Mutex<u64>,
}

impl Bound {
    pub(super) fn new(bytes_max: u64) -> Bound {
        Bound { bytes_max, left: Mutex::new(0) }
    }

    /// Writes this many bytes to the folder and uses them. Then removes files as far as it is needed, and none before: what
    /// another thread has written must still be there when it is used, however low the bound.
    pub(super) fn around<T>(&self, folder: &Path, written: u64, work: impl FnOnce() -> T) -> T {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let done = work();
        *left = left.checked_sub(written).unwrap_or_else(|| self.counted(folder));
        done
    }

    /// Removes what is beyond the bound. Returns how much may be written before the files are counted again.
    fn counted(&self, folder: &Path) -> u64 {
        let mut files = files(folder);
        let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
        files.sort_by_key(|file| file.used);
        for OldFile { path, bytes: freed, .. } in files {
            if bytes <= self.bytes_max {
                break;
            }
            // Another process may have removed it.
            let _ = std::fs::remove_file(path);
            bytes -= freed;
        }
        self.bytes_max.saturating_sub(bytes).min(self.bytes_max / COUNTED_EVERY)
    }
}

struct OldFile {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

/// The regular files in a folder. One that cannot be looked at is as if it were not there.
fn files(folder: &Path) -> Vec<OldFile> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let file = |entry: DirEntry| {
        let of: Metadata = entry.metadata().ok().filter(Metadata::is_file)?;
        Some(OldFile { path: entry.path(), bytes: of.len(), used: of.modified().ok()? })
    };
    entries.filter_map(file).collect()
}

/// Notes that a file was used. On a disk that cannot be written the order stays that of writing.
pub(super) fn used(file: &File) {
    let kept = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let _ = futimens(file, &Timestamps { last_access: kept, last_modification: now });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, age_s: u64| {
            let path = folder.path().join(name);
            std::fs::write(&path, [0; 100]).unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age_s)).unwrap();
        };
        std::fs::create_dir(folder.path().join("empty")).unwrap();
        for (name, age_s) in [("a", 30), ("b", 20), ("c", 10)] {
            write(name, age_s);
        }
        used(&File::open(folder.path().join("a")).unwrap());
        let bound = Bound::new(250);
        bound.around(folder.path(), 100, || {});
        let left = |name: &str| folder.path().join(name).exists();
        assert!(left("a") && !left("b") && left("c") && left("empty"), "`b` was not used for longest");
        // 50 bytes are free, and a sixteenth of the bound is less: not counted before that is written.
        write("d", 40);
        bound.around(folder.path(), 15, || {});
        assert!(left("d"));
        bound.around(folder.path(), 15, || {});
        assert!(!left("d") && left("a") && left("c"));
    }
}
