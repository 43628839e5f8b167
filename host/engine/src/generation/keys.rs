//! The idempotency keys of callers: those of running calls, and on disk those of calls that began.
//!
//! Owns which keys are those of running calls. Must not know what follows from a key that came before.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::aside::{Aside, Unusable};
use airlock_journal::keys::{Asked, Begun, Keys as Store};
use airlock_types::environment::SharedEnvironment;

/// The keys of a host.
#[derive(Debug)]
pub(crate) struct Keys {
    aside: Aside<Store>,
    running: Arc<Mutex<BTreeSet<String>>>,
}

/// The key of a running call.
#[derive(Debug)]
pub(crate) struct RunningKey {
    running: Arc<Mutex<BTreeSet<String>>>,
    pub(crate) key: String,
}

impl Drop for RunningKey {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Keys {
    /// `path` is the file. Without one keys are kept in memory, as for a journal in memory.
    pub(crate) fn new(path: Option<PathBuf>) -> Keys {
        let store = path.map_or_else(Store::memory, |path| Ok(Store::at(&path)));
        Keys { aside: Aside::new(store, "idempotency keys"), running: Arc::default() }
    }

    /// Marks a key as that of a running call. None if one runs with it already.
    pub(crate) fn run(&self, key: String) -> Option<RunningKey> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(key.clone()).then(|| RunningKey { running: self.running.clone(), key })
    }

    /// As [`Store::begin`].
    ///
    /// # Errors
    /// When the file cannot be used.
    pub(crate) async fn begin(
        &self,
        environment: &SharedEnvironment,
        asked: Asked,
        instead_of: Option<String>,
    ) -> Result<Option<Begun>, Unusable> {
        self.aside.run(environment, move |store| store.begin(&asked, instead_of.as_deref())).await
    }

    /// Forgets the key of a call that did nothing. One that cannot be forgotten leads to the record of that call.
    pub(crate) async fn forget(&self, environment: &SharedEnvironment, key: String, record: String) {
        // Logged; the record says that the call did nothing.
        let _ = self.aside.run(environment, move |store| store.forget(&key, &record)).await;
    }
}
