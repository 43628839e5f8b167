//! Which process a started call belongs to.
//!
//! Each process that commits intents keeps a file beside the journal locked. The kernel drops the lock when the process
//! ends, however it ends, so an intent whose owner holds no lock is that of a call which was interrupted. Process ids
//! would not do: they are used again, and containers that share a folder do not share them. The file has the number of records
//! that the process owes, which outlives it when it is killed. Must not know what an intent is for.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::state;

/// What the name of an owner's file has behind that of the journal, before the owner's id.
const SUFFIX: &str = "-owner-";

/// Hexadecimal digits of an id.
const ID_CHARS: usize = 16;

/// Names that are tried. Another process that sweeps dead owners can take a new file for one of them before it is locked.
const TRIES: usize = 16;

/// Most records that the file of an owner may say are owed: a million each second for thirty years. A damaged file has any number,
/// and the log would tell for ever of a loss that no process can have.
const OWED_MAX: u64 = 1 << 50;

/// The number of records that a process owes to a journal since its start: those that were queued.
#[derive(Debug, Default)]
pub(super) struct Owed(Mutex<Count>);

#[derive(Debug, Default)]
struct Count {
    records: u64,
    /// The number in the file: at least `records`.
    told: u64,
    /// The file of the owner, in which the number outlives the process.
    file: Option<Arc<File>>,
}

/// Divisor of the records that wait: the share by which the number in the file may be ahead. A write to a file costs as much as a
/// fifth of a small call.
const AHEAD_SHARE: usize = 8;

impl Owed {
    fn count_now(&self) -> MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One record more, behind this many that wait. A file has the number before the record is queued, without waiting for the
    /// disk: a killed process leaves what it wrote. With many that wait, the number runs ahead of them by a share of these, so
    /// that not each record writes it.
    pub(super) fn add_one(&self, waiting: usize) {
        let mut count = self.count_now();
        count.records += 1;
        if count.records > count.told {
            let ahead = (waiting / AHEAD_SHARE) as u64;
            count.tell(ahead);
        }
    }

    /// Takes back what the number is ahead by, once nothing waits.
    pub(super) fn settle(&self) {
        let mut count = self.count_now();
        if count.told > count.records {
            count.tell(0);
        }
    }

    pub(super) fn records(&self) -> u64 {
        self.count_now().records
    }

    /// Goes on in another file. What was not accounted for until now is owed there and no longer in the old one.
    fn keep_in(&self, file: Arc<File>, accounted: u64) {
        let mut count = self.count_now();
        if let Some(old) = count.file.replace(file) {
            let _ = old.write_all_at(&accounted.to_le_bytes(), 0);
        }
        count.tell(0);
    }

    /// Leaves the exact number in the file.
    fn leave(&self) {
        self.settle();
        self.count_now().file = None;
    }
}

impl Count {
    /// Writes the number, ahead by so many.
    fn tell(&mut self, ahead: u64) {
        self.told = self.records + ahead;
        if let Some(file) = &self.file {
            // A disk without room for eight bytes has none for records either, and these say so.
            let _ = file.write_all_at(&self.told.to_le_bytes(), 0);
        }
    }
}

/// A process that is gone, with the number of records that it owed. Locked, so that no other process takes care of it.
#[derive(Debug)]
pub(super) struct Dead {
    pub(super) id: String,
    pub(super) owed: u64,
    path: PathBuf,
    _lock: File,
}

impl Dead {
    /// Removes its file, once the journal says what became of its records.
    pub(super) fn remove(self) {
        // Whatever keeps it, the next process tries again.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// This process, as the owner of the intents that it commits to one journal.
#[derive(Debug)]
pub(super) struct Owner {
    journal: PathBuf,
    held: Option<Held>,
    owed: Arc<Owed>,
}

#[derive(Debug)]
struct Held {
    id: String,
    path: PathBuf,
    /// Locked.
    file: Arc<File>,
}

impl Held {
    /// Whether the file is the one at its path. Others would find no lock at the path of another one.
    fn is_in_place(&self) -> bool {
        let of = |found: io::Result<std::fs::Metadata>| found.ok().map(|found| (found.dev(), found.ino()));
        let held = of(self.file.metadata());
        held.is_some() && held == of(self.path.symlink_metadata())
    }
}

impl Owner {
    /// An owner without a file: it takes one when it is asked for its id.
    pub(super) fn new(journal: &Path, owed: Arc<Owed>) -> Owner {
        Owner { journal: journal.to_owned(), held: None, owed }
    }

    /// The id of this owner, which has accounted for so many records since its start. Holds its lock from then on.
    ///
    /// # Errors
    /// When the file cannot be created or locked.
    pub(super) fn id(&mut self, accounted: u64) -> io::Result<&str> {
        // The journal's files may have been moved or replaced since. A file that was moved away is kept until there is another:
        // it may be moved back.
        if !self.held.as_ref().is_some_and(Held::is_in_place) {
            let held = take(&self.journal)?;
            self.owed.keep_in(Arc::clone(&held.file), accounted);
            self.held = Some(held);
        }
        self.held.as_ref().map(|held| &*held.id).ok_or_else(|| io::Error::other("no file is held"))
    }

    /// What it owes.
    #[cfg(test)]
    pub(super) fn owed(&self) -> &Owed {
        &self.owed
    }

    /// Ends the ownership. Intents that are still open count as interrupted from here on. The file stays for a process that did
    /// not account for all of its records: the next one tells of them.
    pub(super) fn release(&mut self, has_accounted: bool) {
        self.owed.leave();
        if let Some(held) = self.held.take().filter(|held| has_accounted && held.is_in_place()) {
            // Only this process unlinks a file that it has locked. One that stays is swept by the next process.
            let _ = std::fs::remove_file(&held.path);
        }
    }
}

fn take(journal: &Path) -> io::Result<Held> {
    for _ in 0..TRIES {
        // Unpredictable, so that no two processes choose the same. The standard library seeds this from the system.
        let id = format!("{:016x}", RandomState::new().hash_one(0));
        let path = path_of(journal, &id);
        // An existing file stays as it is, and its lock tells whether it is taken.
        state::create(&path).map_err(io::Error::other)?;
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        if file.try_lock().is_ok() {
            let held = Held { id, path, file: Arc::new(file) };
            // Another process may have swept it before it was locked.
            if held.is_in_place() {
                return Ok(held);
            }
        }
    }
    Err(io::Error::other("no file beside the journal could be locked"))
}

/// Whether the owner with this id is a running process, as far as this one can know.
pub(super) fn is_alive(journal: &Path, id: &str) -> bool {
    // Early versions of the journal stored no owner, and a text of another form is no name of a file here.
    let is_id = id.len() == ID_CHARS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id && is_locked(&path_of(journal, id))
}

/// Whether there is no file of an owner: it ended and left nothing to tell.
pub(super) fn is_gone(journal: &Path, id: &str) -> bool {
    !path_of(journal, id).exists()
}

/// The owners that are gone and left files, each of them locked.
pub(super) fn dead(journal: &Path) -> Vec<Dead> {
    let Some((folder, name)) = journal.parent().zip(journal.file_name().and_then(|name| name.to_str()))
    else {
        return Vec::new();
    };
    let begin = format!("{name}{SUFFIX}");
    let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
    let named = files.flatten().filter_map(|file| {
        let name = file.file_name();
        Some((name.to_str()?.strip_prefix(&begin)?.to_owned(), file.path()))
    });
    let locked = named.filter_map(|(id, path)| {
        let lock = lock(&path)?;
        let mut owed = [0; 8];
        // A file of an earlier version is empty.
        let owed = lock.read_exact_at(&mut owed, 0).map_or(0, |()| u64::from_le_bytes(owed).min(OWED_MAX));
        Some(Dead { id, owed, path, _lock: lock })
    });
    locked.collect()
}

fn path_of(journal: &Path, id: &str) -> PathBuf {
    let mut name: OsString = journal.as_os_str().to_owned();
    name.push(SUFFIX);
    name.push(id);
    name.into()
}

/// The file, locked. None while its owner runs.
fn lock(path: &Path) -> Option<File> {
    // Checked first: opening a pipe would block.
    let file = matches!(state::file(path), Ok(true)).then(|| File::open(path).ok()).flatten()?;
    file.try_lock().ok().map(|()| file)
}

fn is_locked(path: &Path) -> bool {
    // Checked first: opening a pipe would block.
    if !matches!(state::file(path), Ok(true)) {
        return false;
    }
    let Ok(file) = File::open(path) else { return false };
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_lives_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.db");
        let owner = || Owner::new(&journal, Arc::default());
        let (mut first, mut second) = (owner(), owner());
        let id = first.id(0).unwrap().to_owned();
        let other = second.id(0).unwrap().to_owned();
        assert_eq!((first.id(0).unwrap(), id != other), (id.as_str(), true));
        assert!(dead(&journal).is_empty());
        assert!(is_alive(&journal, &id) && is_alive(&journal, &other));
        first.release(true);
        assert!(is_gone(&journal, &id));
        second.owed.add_one(0);
        second.owed.add_one(0);
        assert!(!is_alive(&journal, &id) && is_alive(&journal, &other));
        // As when its process is killed: the file stays, without its lock.
        drop(second);
        assert!(path_of(&journal, &other).exists() && !is_alive(&journal, &other));
        let left = dead(&journal);
        assert_eq!((left.len(), left[0].id.as_str(), left[0].owed), (1, other.as_str(), 2));
        assert!(dead(&journal).is_empty(), "each is taken care of once");
        left.into_iter().for_each(Dead::remove);
        assert!(is_gone(&journal, &other));
    }

    #[test]
    fn an_owner_that_owes_leaves_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.db");
        let mut owner = Owner::new(&journal, Arc::default());
        owner.owed.add_one(0);
        let id = owner.id(0).unwrap().to_owned();
        owner.release(false);
        assert!(!is_gone(&journal, &id) && !is_alive(&journal, &id));
        assert_eq!(dead(&journal)[0].owed, 1, "counted before there was a file");
    }

    #[test]
    fn the_number_in_the_file_is_never_behind_and_ahead_by_a_share_of_what_waits() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.db");
        let mut owner = Owner::new(&journal, Arc::default());
        let id = owner.id(0).unwrap().to_owned();
        let told = || {
            let bytes = std::fs::read(path_of(&journal, &id)).unwrap();
            u64::from_le_bytes(bytes.try_into().unwrap())
        };
        for waiting in 0..500 {
            owner.owed.add_one(waiting);
            let ahead = told() - owner.owed.records();
            assert!(ahead <= (waiting / AHEAD_SHARE) as u64, "{ahead} ahead of {waiting}");
        }
        assert!(told() > owner.owed.records());
        owner.owed.settle();
        assert_eq!((told(), owner.owed.records()), (500, 500));
        owner.owed.add_one(500);
        owner.release(false);
        assert_eq!(told(), 501, "a process that ends leaves the exact number");
    }

    #[test]
    fn an_owner_whose_file_was_removed_takes_another() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.db");
        let mut owner = Owner::new(&journal, Arc::default());
        let id = owner.id(0).unwrap().to_owned();
        std::fs::remove_file(path_of(&journal, &id)).unwrap();
        let next = owner.id(0).unwrap().to_owned();
        assert!(id != next && is_alive(&journal, &next));
    }

    #[test]
    fn a_file_that_was_moved_away_and_back_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (state, aside) = (folder.path().join("state"), folder.path().join("aside"));
        std::fs::create_dir(&state).unwrap();
        let journal = state.join("journal.db");
        let mut owner = Owner::new(&journal, Arc::default());
        let id = owner.id(0).unwrap().to_owned();
        std::fs::rename(&state, &aside).unwrap();
        owner.owed.add_one(0);
        assert!(owner.id(0).is_err());
        std::fs::rename(&aside, &state).unwrap();
        assert_eq!(owner.id(0).unwrap(), id);
        owner.owed.add_one(0);
        // Another folder is there now: the old one is owed what was written to it, and no more.
        std::fs::rename(&state, &aside).unwrap();
        std::fs::create_dir(&state).unwrap();
        assert_ne!(owner.id(1).unwrap(), id);
        let left = dead(&aside.join("journal.db"));
        assert_eq!((left.len(), left[0].owed), (1, 1));
        drop(owner);
        assert_eq!(dead(&journal)[0].owed, 2);
    }

    #[test]
    fn what_is_no_id_is_no_owner() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.db");
        for id in ["", "x", "../../../etc/passwd", "0123456789abcdeg", "0123456789abcdef"] {
            assert!(!is_alive(&journal, id), "{id}");
        }
    }
}
