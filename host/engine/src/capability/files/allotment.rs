//! What one call has left of the bounds of its folders.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fault::Fault;
use airlock_types::grant::{FilesGrant, WriteBounds};

/// The bounds of one call on the folders of one tool. Its attempts share them, or retries would multiply what was
/// granted.
#[derive(Debug)]
pub(crate) struct Allotment {
    /// One entry for each folder, in their order; `None` for one that may only be read.
    folders: Vec<Option<Arc<Left>>>,
}

/// What is left of one folder.
#[derive(Debug)]
pub(super) struct Left {
    bytes: AtomicU64,
    files: AtomicU64,
    file_bytes_max: u64,
    /// Held while something is appended: the end of a file must not move between its check and the write.
    appending: Mutex<()>,
}

impl Allotment {
    /// All that the folders of a tool grant to one call. `None` for a tool that may write nowhere.
    pub(crate) fn new(granted: &[FilesGrant]) -> Option<Allotment> {
        let folders: Vec<_> = granted.iter().map(|grant| grant.bounds().map(Left::new)).collect();
        folders.iter().any(Option::is_some).then_some(Allotment { folders })
    }

    /// What is left of the folder at this place of the list.
    pub(super) fn of(&self, place: usize) -> Option<Arc<Left>> {
        self.folders.get(place).cloned().flatten()
    }
}

impl Left {
    pub(super) fn new(WriteBounds { bytes_max, files_max, file_bytes_max }: WriteBounds) -> Arc<Left> {
        let (bytes, files) = (bytes_max.into(), u64::from(files_max).into());
        Arc::new(Left { bytes, files, file_bytes_max, appending: Mutex::default() })
    }

    /// Takes the bytes of a write to a file of this `size`, from `start` to `end`. A gap before it counts, too: backups
    /// and copies fill it.
    pub(super) fn take_bytes(&self, size: u64, start: u64, end: u64) -> bool {
        let amount = (end - start).max(end.saturating_sub(size));
        // Within the size of a file that was larger before, nothing grows.
        (end <= self.file_bytes_max || end <= size) && take(&self.bytes, amount)
    }

    /// The bound that a write up to `end` would have passed.
    pub(super) fn bound(&self, size: u64, end: u64) -> Fault {
        if end > self.file_bytes_max && end > size {
            Fault::beyond("file_bytes_max", Some(end))
        } else {
            Fault::beyond("bytes_max", None)
        }
    }

    /// Gives back bytes that were not written.
    pub(super) fn return_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn take_file(&self) -> bool {
        take(&self.files, 1)
    }

    /// Gives back a file that was not created.
    pub(super) fn return_file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn append(&self) -> MutexGuard<'_, ()> {
        self.appending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes all of it or nothing.
fn take(left: &AtomicU64, amount: u64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(amount)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(bytes_max: u64, files_max: u32, file_bytes_max: u64) -> Arc<Left> {
        Left::new(WriteBounds { bytes_max, files_max, file_bytes_max })
    }

    #[test]
    fn a_write_takes_its_bytes_and_the_gap_before_it() {
        let of = left(100, 1, 1_000);
        assert!(of.take_bytes(0, 0, 40) && of.take_bytes(40, 0, 40), "written twice, counted twice");
        assert!(!of.take_bytes(40, 60, 61), "a gap of 20 and one byte");
        assert!(of.take_bytes(40, 59, 60) && !of.take_bytes(60, 0, 1));
        of.return_bytes(1);
        assert!(of.take_bytes(60, 0, 1));
    }

    #[test]
    fn a_file_does_not_grow_beyond_its_bound() {
        let of = left(1_000, 1, 10);
        assert!(of.take_bytes(0, 0, 10) && !of.take_bytes(0, 0, 11) && !of.take_bytes(10, 10, 11));
        assert!(of.take_bytes(500, 490, 500), "a file that was larger before does not grow");
    }

    #[test]
    fn files_are_counted_one_by_one() {
        let of = left(1, 1, 1);
        assert!(of.take_file() && !of.take_file());
        of.return_file();
        assert!(of.take_file());
    }

    #[test]
    fn a_folder_for_reading_has_nothing_to_write() {
        let grant = |access: &str| {
            let grant = serde_json::json!({"host": "d", "guest": "/d", "access": access});
            serde_json::from_value::<FilesGrant>(grant).unwrap()
        };
        assert!(Allotment::new(&[grant("read")]).is_none());
        let both = Allotment::new(&[grant("read"), grant("read-write")]).unwrap();
        assert!(both.of(0).is_none() && both.of(1).is_some() && both.of(2).is_none());
    }
}
