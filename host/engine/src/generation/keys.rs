//! The idempotency keys of callers: those of running calls, and on disk those of calls that began.
//!
//! Owns how long a call waits for the file. Must not know what follows from a key that came before.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::blocking::Lane;
use airlock_journal::keys::{Asked, Begun, Keys as Store};
use airlock_types::environment::{SharedEnvironment, within};

/// The longest wait for the file. A call that waits longer is refused: it might be made a second time.
const WAIT: Duration = Duration::from_secs(5);

/// The keys of a host.
#[derive(Debug)]
pub(crate) struct Keys {
    store: Option<Arc<Store>>,
    /// One thread: the store does one thing at a time.
    lane: Lane,
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

/// The file cannot be used, which is logged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unusable;

impl Keys {
    /// `path` is the file. Without one keys are kept in memory, as for a journal in memory.
    pub(crate) fn new(path: Option<PathBuf>) -> Keys {
        let store = match path {
            Some(path) => Some(Store::at(&path)),
            None => Store::memory().inspect_err(|err| tracing::warn!("{err}")).ok(),
        };
        Keys { store: store.map(Arc::new), lane: Lane::single(), running: Arc::default() }
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
        self.aside(environment, move |store| store.begin(&asked, instead_of.as_deref())).await
    }

    /// Forgets the key of a call that did nothing. One that cannot be forgotten leads to the record of that call.
    pub(crate) async fn forget(&self, environment: &SharedEnvironment, key: String, record: String) {
        // Logged; the record says that the call did nothing.
        let _ = self.aside(environment, move |store| store.forget(&key, &record)).await;
    }

    /// Runs work that may wait for a disk.
    ///
    /// # Errors
    /// When it takes too long or fails, which is logged.
    pub(crate) async fn aside<T: Send + 'static, E: std::fmt::Display + Send + 'static>(
        &self,
        environment: &SharedEnvironment,
        work: impl FnOnce(&Store) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Unusable> {
        let store = self.store.clone().ok_or(Unusable)?;
        let until = environment.monotonic().saturating_add(WAIT);
        let done = within(&**environment, until, self.lane.run(move || work(&store))).await;
        match done {
            Some(Ok(Ok(done))) => Ok(done),
            Some(Ok(Err(err))) => Err(unusable(&err)),
            Some(Err(err)) => Err(unusable(&err)),
            None => Err(unusable(&"it took too long")),
        }
    }
}

fn unusable(why: &dyn std::fmt::Display) -> Unusable {
    tracing::warn!("idempotency keys cannot be used: {why}");
    Unusable
}
