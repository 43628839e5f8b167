//! Work on a file beside the journal that a call waits for.
//!
//! Owns how long a call waits, and that one thing is done at a time. Must not know what is in the file.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::blocking::Lane;
use airlock_types::environment::{SharedEnvironment, within};

/// The longest wait for the file. A call that waits longer is refused: it might do something a second time.
const WAIT: Duration = Duration::from_secs(5);

/// A store, with the thread that works on it. Clones share both.
#[derive(Debug)]
pub(crate) struct Aside<S> {
    store: Option<Arc<S>>,
    lane: Lane,
    /// What it keeps, for the log.
    what: &'static str,
}

impl<S> Clone for Aside<S> {
    fn clone(&self) -> Aside<S> {
        Aside { store: self.store.clone(), lane: self.lane.clone(), what: self.what }
    }
}

/// The file cannot be used, which is logged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unusable;

impl<S: Send + Sync + 'static> Aside<S> {
    /// `what` is what the store keeps, in the plural. An error is logged, and each use fails then.
    pub(crate) fn new<E: fmt::Display>(store: Result<S, E>, what: &'static str) -> Aside<S> {
        let store = store.inspect_err(|err| tracing::warn!("{err}")).ok();
        Aside { store: store.map(Arc::new), lane: Lane::single(), what }
    }

    /// Runs work that may wait for a disk.
    ///
    /// # Errors
    /// When it takes too long or fails, which is logged.
    pub(crate) async fn run<T: Send + 'static, E: fmt::Display + Send + 'static>(
        &self,
        environment: &SharedEnvironment,
        work: impl FnOnce(&S) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Unusable> {
        let until = environment.monotonic().saturating_add(WAIT);
        let done = within(&**environment, until, self.run_to_its_end(work)).await;
        done.unwrap_or_else(|| Err(self.unusable(&"it took too long")))
    }

    /// As [`Aside::run`], and waits however long it takes.
    ///
    /// # Errors
    /// When it fails, which is logged.
    pub(crate) async fn run_to_its_end<T: Send + 'static, E: fmt::Display + Send + 'static>(
        &self,
        work: impl FnOnce(&S) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Unusable> {
        let store = self.store.clone().ok_or(Unusable)?;
        match self.lane.run(move || work(&store)).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(err)) => Err(self.unusable(&err)),
            Err(err) => Err(self.unusable(&err)),
        }
    }

    fn unusable(&self, why: &dyn fmt::Display) -> Unusable {
        tracing::warn!("{} cannot be used: {why}", self.what);
        Unusable
    }
}
