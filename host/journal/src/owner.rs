//! Which process a started call belongs to.
//!
//! Each process that commits intents keeps a file beside the journal locked. The kernel drops the lock when the process
//! ends, however it ends, so an intent whose owner holds no lock is that of a call which was interrupted. Process ids
//! would not do: they are used again, and containers that share a folder do not share them. Must not know what an intent
//! is for.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::state;

/// What the name of an owner's file has behind that of the journal, before the owner's id.
const SUFFIX: &str = "-owner-";

/// Hexadecimal digits of an id.
const ID_CHARS: usize = 16;

/// Names that are tried. Another process that sweeps dead owners can take a new file for one of them before it is locked.
const TRIES: usize = 16;

/// This process, as the owner of the intents that it commits to one journal.
#[derive(Debug)]
pub(super) struct Owner {
    journal: PathBuf,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    id: String,
    path: PathBuf,
    /// Locked.
    file: File,
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
    /// An owner without a file: it takes one with its first intent.
    pub(super) fn new(journal: &Path) -> Owner {
        Owner { journal: journal.to_owned(), held: None }
    }

    /// The id of this owner. Holds its lock from then on.
    ///
    /// # Errors
    /// When the file cannot be created or locked.
    pub(super) fn id(&mut self) -> io::Result<&str> {
        // The journal's files may have been moved or replaced since.
        self.held.take_if(|held| !held.is_in_place());
        let held = match self.held.take() {
            Some(held) => held,
            None => take(&self.journal)?,
        };
        Ok(&self.held.insert(held).id)
    }

    /// Ends the ownership. Intents that are still open count as interrupted from here on.
    pub(super) fn release(&mut self) {
        if let Some(held) = self.held.take().filter(Held::is_in_place) {
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
        let file = File::open(&path)?;
        if file.try_lock().is_ok() {
            let held = Held { id, path, file };
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

/// Removes the files of owners that are gone.
pub(super) fn sweep(journal: &Path) {
    let Some((folder, name)) = journal.parent().zip(journal.file_name().and_then(|name| name.to_str()))
    else {
        return;
    };
    let begin = format!("{name}{SUFFIX}");
    let Ok(files) = std::fs::read_dir(folder) else { return };
    for file in
        files.flatten().filter(|file| file.file_name().as_encoded_bytes().starts_with(begin.as_bytes()))
    {
        // The lock is held while the file goes: an owner that takes it in between would have no file, and look as if it
        // were gone.
        if let Some(_lock) = lock(&file.path()) {
            // Whatever keeps it, the next process tries again.
            let _ = std::fs::remove_file(file.path());
        }
    }
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
        let (mut first, mut second) = (Owner::new(&journal), Owner::new(&journal));
        let id = first.id().unwrap().to_owned();
        let other = second.id().unwrap().to_owned();
        assert_eq!((first.id().unwrap(), id != other), (id.as_str(), true));
        sweep(&journal);
        assert!(is_alive(&journal, &id) && is_alive(&journal, &other));
        first.release();
        assert!(!is_alive(&journal, &id) && is_alive(&journal, &other));
        // As when its process is killed: the file stays, without its lock.
        drop(second);
        assert!(path_of(&journal, &other).exists() && !is_alive(&journal, &other));
        sweep(&journal);
        assert!(!path_of(&journal, &other).exists());
    }

    #[test]
    fn an_owner_whose_file_was_removed_takes_another() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.db");
        let mut owner = Owner::new(&journal);
        let id = owner.id().unwrap().to_owned();
        std::fs::remove_file(path_of(&journal, &id)).unwrap();
        let next = owner.id().unwrap().to_owned();
        assert!(id != next && is_alive(&journal, &next));
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
