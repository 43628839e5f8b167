//! The connections of this process beside the writer's: the one of look-ups, and those of work that no call waits for.
//!
//! Owns that none of them is open when the writer opens its database again. All connections of a process share what SQLite
//! knows of the log's index: with one of them still open, the new one would go on with an index that was removed, and closing
//! the last one would write from it into a database that another process has changed since. Must not know what they read.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use super::store::Store;

/// These connections.
#[derive(Debug, Default)]
pub(super) struct Beside {
    reader: Mutex<Option<Store>>,
    /// Held by each of the others while it is open.
    own: RwLock<()>,
}

/// A connection for one piece of work.
pub(super) struct Own<'b> {
    // Closed before it is let go.
    store: Store,
    _open: RwLockReadGuard<'b, ()>,
}

impl Beside {
    /// The connection of look-ups, `None` until it is needed again.
    pub(super) fn reader(&self) -> MutexGuard<'_, Option<Store>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a connection for one piece of work. A thread that has one must not open another.
    pub(super) fn open(&self, path: &Path) -> Result<Own<'_>, String> {
        let open = self.own.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Own { store: Store::open(path)?, _open: open })
    }

    /// Waits until none is open, and does something before one is opened again.
    pub(super) fn closed(&self, work: impl FnOnce()) {
        // First: who has a connection of its own may look something up before it closes.
        let _none = self.own.write().unwrap_or_else(PoisonError::into_inner);
        *self.reader() = None;
        work();
    }
}

impl Deref for Own<'_> {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl DerefMut for Own<'_> {
    fn deref_mut(&mut self) -> &mut Store {
        &mut self.store
    }
}
