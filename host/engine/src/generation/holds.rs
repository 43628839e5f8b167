//! Calls that wait for a person: those on disk, and beside them what only this process has.
//!
//! Owns what is kept apart from the file: what is confidential, and the session of a call, which ends with the process. Must
//! not know what a decision means.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::aside::{Aside, Unusable};
use airlock_journal::holds::{Changed, Found, Holds as Store, HoldsError, Kept, Opened};
use airlock_types::digest::sha256;
use airlock_types::environment::SharedEnvironment;
#[cfg(doc)]
use airlock_types::hold::HoldRule;
use airlock_types::hold::{Hold, Standing};
use airlock_types::reply::Reply;
use airlock_types::session::SessionKey;

/// Bytes of confidential arguments and replies that are kept for holds.
const APART_BYTES_MAX: usize = 64 << 20;

/// For how long what was kept apart stays after the time of its hold, in milliseconds: for the answer to be fetched.
const APART_AFTER_MS: u64 = 3_600_000;

/// The holds of a host.
#[derive(Debug)]
pub(crate) struct Holds {
    aside: Aside<Store>,
    apart: Mutex<BTreeMap<String, Apart>>,
    /// Components that ran with a person's yes, as far as this process knows.
    known: Mutex<BTreeSet<String>>,
    /// Of this process alone: what is made of confidential arguments must not tell them.
    salt: [u8; 32],
    /// Whoever waits for the end of a hold of this process.
    changed: Notify,
}

/// What only this process has of a hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Apart {
    /// The session of its call.
    pub(crate) session: SessionKey,
    /// Its arguments, canonical, where some are confidential.
    pub(crate) arguments: Option<String>,
    /// The reply that waits, or with which it ended, where that may be confidential.
    pub(crate) reply: Option<Arc<Reply>>,
    /// Bytes of these.
    pub(crate) bytes: usize,
    /// Until when its hold may be decided.
    pub(crate) expires_unix_ms: u64,
}

impl Holds {
    /// `path` is the file. Without one holds are kept in memory, as for a journal in memory.
    pub(crate) fn new(path: Option<PathBuf>, salt: [u8; 32]) -> Holds {
        let store = path.map_or_else(Store::memory, |path| Ok(Store::at(&path)));
        let aside = Aside::new(store, "holds");
        Holds { aside, apart: Mutex::default(), known: Mutex::default(), salt, changed: Notify::new() }
    }

    /// As [`Store::open`]. What is kept apart is there when somebody may decide.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub(crate) async fn open(
        &self,
        environment: &SharedEnvironment,
        (call, mut kept): (String, Kept),
        apart: Apart,
    ) -> Result<Opened, Unusable> {
        let (id, now_unix_ms) = (kept.hold.id.clone(), kept.hold.created_unix_ms);
        if !self.put(&id, apart, now_unix_ms) {
            return Ok(Opened::Full);
        }
        let opened = self.aside.run(environment, move |store| {
            if kept.is_confidential {
                kept.owner = store.own()?;
            }
            store.open(&call, &kept)
        });
        let opened = opened.await;
        if !matches!(opened, Ok(Opened::New)) {
            self.forget(&id);
        }
        if opened.is_err() {
            self.withdraw(id);
        }
        opened
    }

    /// Ends a hold that its call was told is none, since the file took too long: it may be written still, and nobody may have
    /// the call made by it. The one thread of the file does this after that.
    fn withdraw(&self, id: String) {
        let aside = self.aside.clone();
        tokio::spawn(async move {
            let end = move |store: &Store| {
                store.change(&id, |kept| {
                    if kept.hold.standing == Standing::Open {
                        kept.close(Standing::Void);
                        kept.is_fetched = true;
                    }
                    Ok::<_, Infallible>(())
                })
            };
            // Logged; it ends with its time then.
            let _ = aside.run_to_its_end(end).await;
        });
    }

    /// As [`Store::of_call`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) async fn of_call(
        &self,
        environment: &SharedEnvironment,
        call: String,
    ) -> Result<Option<Box<Kept>>, Unusable> {
        self.aside.run(environment, move |store| store.of_call(&call)).await
    }

    /// As [`Store::find`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) async fn find(&self, environment: &SharedEnvironment, id: String) -> Result<Found, Unusable> {
        self.aside.run(environment, move |store| store.find(&id)).await
    }

    /// Whether any call was held yet. Where that cannot be told none was.
    pub(crate) async fn are_there(&self, environment: &SharedEnvironment) -> bool {
        self.aside.run(environment, |store| Ok::<_, HoldsError>(store.is_there())).await.unwrap_or_default()
    }

    /// As [`Store::list`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) async fn list(
        &self,
        environment: &SharedEnvironment,
        open_only: bool,
        limit: usize,
    ) -> Result<Vec<Hold>, Unusable> {
        self.aside.run(environment, move |store| store.list(open_only, limit)).await
    }

    /// As [`Store::change`], with the name of this process. Wakes whoever waits for a change.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub(crate) async fn change<T: Send + 'static, E: Send + 'static>(
        &self,
        environment: &SharedEnvironment,
        id: String,
        change: impl FnOnce(&mut Kept, &str) -> Result<T, E> + Send + 'static,
    ) -> Result<Changed<T, E>, Unusable> {
        let changed = self.aside.run(environment, changing(id, change)).await;
        self.changed.notify_waiters();
        changed
    }

    /// As [`Holds::change`], however long it takes: for a decision, which must not be half known.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub(crate) async fn change_to_its_end<T: Send + 'static, E: Send + 'static>(
        &self,
        id: String,
        change: impl FnOnce(&mut Kept, &str) -> Result<T, E> + Send + 'static,
    ) -> Result<Changed<T, E>, Unusable> {
        let changed = self.aside.run_to_its_end(changing(id, change)).await;
        self.changed.notify_waiters();
        changed
    }

    /// Whether the process with this name runs.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub(crate) async fn lives(
        &self,
        environment: &SharedEnvironment,
        owner: String,
    ) -> Result<bool, Unusable> {
        self.aside.run(environment, move |store| Ok::<_, HoldsError>(store.lives(&owner))).await
    }

    /// Which components ran with a person's yes, as far as this process knows, by [`HoldRule::known_as`].
    pub(crate) fn known(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads which components ran before with a person's yes. Of a file that cannot be read none are known: they are held.
    pub(crate) async fn read_known(&self, environment: &SharedEnvironment) {
        if let Ok(known) = self.aside.run(environment, Store::known).await {
            self.known().extend(known);
        }
    }

    /// Whether a component ran before with a person's yes.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) async fn is_known(
        &self,
        environment: &SharedEnvironment,
        component: String,
    ) -> Result<bool, Unusable> {
        let digest = component.clone();
        let is_known = self.aside.run(environment, move |store| store.is_known(&digest)).await?;
        if is_known {
            self.known().insert(component);
        }
        Ok(is_known)
    }

    /// Remembers that a component ran with a person's yes. Where that fails it is held once more.
    pub(crate) async fn know(&self, environment: &SharedEnvironment, component: String, now_unix_ms: u64) {
        let digest = component.clone();
        if self.aside.run(environment, move |store| store.know(&digest, now_unix_ms)).await.is_ok() {
            self.known().insert(component);
        }
    }

    /// The digest of confidential arguments, which nobody outside this process can compare with a guess.
    pub(crate) fn salted(&self, canonical: &str) -> String {
        sha256(&[&self.salt, canonical.as_bytes()].concat())
    }

    /// Waits until a hold was changed by this process.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What only this process has of a hold.
    pub(crate) fn apart(&self, id: &str) -> Option<Apart> {
        self.lock().get(id).cloned()
    }

    /// Whether a call of this session was held whose end is not fetched yet. Sessions of other callers with this name count too,
    /// which only has more calls run.
    pub(crate) fn is_any_of(&self, session: &str) -> bool {
        self.lock().values().any(|apart| apart.session.id() == Some(session))
    }

    /// Keeps the reply with which a hold ended, where it may be confidential, for as long as it is not fetched. Any other one is
    /// on record.
    pub(crate) fn keep_reply(&self, hold: &Hold, reply: Reply, now_unix_ms: u64) {
        let bytes = serde_json::to_vec(&reply).map_or(0, |text| text.len());
        // None in a process that did not hold the call.
        let session = self.apart(&hold.id).map_or(SessionKey::None, |apart| apart.session);
        let (reply, expires_unix_ms) = (Some(Arc::new(reply)), hold.expires_unix_ms);
        self.forget(&hold.id);
        self.put(&hold.id, Apart { session, arguments: None, reply, bytes, expires_unix_ms }, now_unix_ms);
    }

    /// Forgets what was kept apart of a hold.
    pub(crate) fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    /// Whether there was room.
    fn put(&self, id: &str, apart: Apart, now_unix_ms: u64) -> bool {
        let mut all = self.lock();
        all.retain(|_, apart| now_unix_ms < apart.expires_unix_ms.saturating_add(APART_AFTER_MS));
        let bytes: usize = all.values().map(|apart| apart.bytes).sum();
        let has_room = bytes.saturating_add(apart.bytes) <= APART_BYTES_MAX
            && all.len() < airlock_journal::holds::HOLDS_MAX as usize;
        if has_room {
            all.insert(id.to_owned(), apart);
        }
        has_room
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Apart>> {
        self.apart.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A change of a hold, which is told the name of this process.
fn changing<T, E>(
    id: String,
    change: impl FnOnce(&mut Kept, &str) -> Result<T, E>,
) -> impl FnOnce(&Store) -> Result<Changed<T, E>, HoldsError> {
    move |store| {
        let own = store.own()?;
        store.change(&id, |kept| change(kept, &own))
    }
}
