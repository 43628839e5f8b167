//! The answers that are kept for when their tools cannot answer, and the thread that works on them.
//!
//! Owns how long a call waits for them. Must not know what an answer is, nor when one is kept or sought.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::blocking::{Lane, Lost};
use airlock_journal::answers::{Answers as Store, AnswersError};
use airlock_types::environment::{SharedEnvironment, within};

/// The longest wait for the file, which the call comes on top of. Longer than a slow disk takes for one answer; a file that
/// takes longer is of no use.
const WAIT: Duration = Duration::from_millis(500);

/// The kept answers of a host.
#[derive(Debug)]
pub(crate) struct Answers {
    store: Option<Arc<Store>>,
    /// One thread: the store does one thing at a time.
    lane: Lane,
}

impl Answers {
    /// `path` is the file. Without one answers are kept in memory, as for a journal in memory.
    pub(crate) fn new(path: Option<PathBuf>) -> Answers {
        let store = match path {
            Some(path) => Some(Store::at(&path)),
            None => Store::memory().inspect_err(|err| tracing::warn!("{err}")).ok(),
        };
        Answers { store: store.map(Arc::new), lane: Lane::single() }
    }

    /// Keeps an answer in place of the last one of this key. What keeps it from that is logged: the call has its answer.
    pub(crate) async fn keep(
        &self,
        environment: &SharedEnvironment,
        (caller, key): (String, String),
        answer: String,
        now_unix_ms: u64,
    ) {
        let keep = move |store: &Store| store.keep(&caller, &key, &answer, now_unix_ms);
        self.run(environment, keep).await;
    }

    /// The last answer of a key, and when it was kept. None, too, when the file cannot be read, which is logged.
    pub(crate) async fn last(&self, environment: &SharedEnvironment, key: String) -> Option<(String, u64)> {
        self.run(environment, move |store| store.last(&key)).await.flatten()
    }

    async fn run<T: Send + 'static>(
        &self,
        environment: &SharedEnvironment,
        work: impl FnOnce(&Store) -> Result<T, AnswersError> + Send + 'static,
    ) -> Option<T> {
        let store = self.store.clone()?;
        let until = environment.monotonic().saturating_add(WAIT);
        let done = within(&**environment, until, self.lane.run(move || work(&store))).await;
        match done.unwrap_or(Err(Lost::TimedOut(WAIT))) {
            Ok(done) => done.inspect_err(|err| tracing::warn!("{err}")).ok(),
            Err(err) => {
                tracing::warn!("kept answers cannot be used: {err}");
                None
            }
        }
    }
}
