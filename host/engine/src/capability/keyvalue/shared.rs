//! The pairs of all tools of a host, and the thread that works on them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::blocking::Lane;
use airlock_journal::keyvalue::KeyValue;
use airlock_types::digest::hex;

/// Where the pairs of a host are.
#[derive(Debug)]
pub(crate) enum Pairs {
    /// In a file.
    File(PathBuf),
    /// In a file that is read and never changed.
    Read(PathBuf),
    /// In memory, like the journal of the host.
    Memory,
}

/// The pairs of a host: opened when the first tool with a grant is linked.
#[derive(Debug)]
pub(crate) struct KeyValues {
    pairs: Pairs,
    opened: Mutex<Option<Arc<Opened>>>,
    host: String,
}

/// The open pairs of a host.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(super) store: KeyValue,
    /// One thread: the store does one thing at a time, and further threads would only wait for it. What waits here is
    /// served in order, one operation each.
    pub(super) lane: Lane,
    /// Unlike that of any other host. Sessions of two processes may have the same name, such as `stdio`.
    pub(super) host: String,
}

/// The file of the pairs cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`grants.keyvalue` needs the store `{}`, which cannot be opened: {reason}", .path.display())]
pub(crate) struct StoreError {
    path: PathBuf,
    reason: String,
}

impl KeyValues {
    /// `seed` are fresh random bytes.
    pub(crate) fn new(pairs: Pairs, seed: &[u8; 32]) -> KeyValues {
        // 128 bits: no two hosts share them.
        KeyValues { pairs, opened: Mutex::default(), host: hex(&seed[..16]) }
    }

    /// The open pairs. Blocks while the file is opened.
    ///
    /// # Errors
    /// When the file cannot be used. The next call tries again.
    pub(crate) fn open(&self) -> Result<Arc<Opened>, StoreError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = &*opened {
            return Ok(opened.clone());
        }
        let failed = |path: &Path, reason| StoreError { path: path.to_owned(), reason };
        let store = match &self.pairs {
            Pairs::File(path) => KeyValue::open(path).map_err(|reason| failed(path, reason)),
            Pairs::Read(path) => KeyValue::read_only(path).map_err(|reason| failed(path, reason)),
            Pairs::Memory => KeyValue::memory().map_err(|reason| failed(Path::new(""), reason)),
        }?;
        let open = Arc::new(Opened { store, lane: Lane::single(), host: self.host.clone() });
        *opened = Some(open.clone());
        Ok(open)
    }
}

impl Default for KeyValues {
    /// Pairs in memory.
    fn default() -> KeyValues {
        KeyValues::new(Pairs::Memory, &[0; 32])
    }
}
