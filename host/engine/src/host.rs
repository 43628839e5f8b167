//! The host: everything wired together.
//!
//! Owns the parts and their life: what stays while the program runs, and the generation that a reload
//! exchanges. Must not know transports or the CLI.

mod builder;
mod call_count;
mod load;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

pub use crate::call::Explained;
use crate::caller::MetricsAccess;
use crate::caller::token::TokenDigest;
use crate::capability::{Capabilities, CapabilityError};
use crate::config::{ConfigFile, HttpConfig, OauthConfig};
use crate::execute::Execute;
pub use crate::generation::Visible;
use crate::generation::{Access, Accesses, Generation, Parts};
use crate::lock::{LockError, Served};
use crate::registry::Threads;
use crate::sandbox::cache::CacheError;
use crate::sandbox::compiler::Compiler;
use crate::telemetry::metrics;
use crate::telemetry::metrics::JournalCounts;
use airlock_contract::arguments::ArgumentLimits;
use airlock_journal::state::StateError;
use airlock_journal::{Journal, JournalError, JournalView, Standing};
use airlock_types::call::{Call, Observer};
use airlock_types::caller::Caller;
use airlock_types::diagnostic::{Diagnostic, Diagnostics};
use airlock_types::environment::SharedEnvironment;
use airlock_types::reply::{Failure, Reply};
pub use builder::{HostBuilder, JournalSource, RegistrySource};
use call_count::CallCount;
use load::{admit, load, note};
pub use load::{load_registry, open_journal, user_cache, user_folder};

/// However long calls took to end, the journal has this long to be written: enough for all that may wait.
const CLOSE_MIN: Duration = Duration::from_secs(1);

/// Why a host cannot be opened, or not be reloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The registry is not in order.
    #[error(transparent)]
    Registry(#[from] Diagnostics),
    /// The tools are not the ones that were accepted.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A capability of the embedding program cannot be added.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
    /// The compile cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The state folder is not safe to use.
    #[error(transparent)]
    State(#[from] StateError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file system did not answer.
    #[error("{step} was given up: {reason}; does its file system answer?")]
    Stuck {
        /// What was being done.
        step: &'static str,
        /// Why it ended.
        reason: String,
    },
    /// The engine cannot be made.
    #[error(
        "the engine cannot be made: {0}; it reserves address space for its pool, which `ulimit -v` or a small \
         machine may forbid"
    )]
    Engine(String),
}

impl OpenError {
    /// Whether what the operator gave is refused, as opposed to trouble of the machine or the host.
    pub fn is_refusal(&self) -> bool {
        match self {
            OpenError::Registry(_) | OpenError::Lock(_) | OpenError::Stuck { .. } => true,
            OpenError::Capability(_)
            | OpenError::Cache(_)
            | OpenError::State(_)
            | OpenError::Journal(_)
            | OpenError::Engine(_) => false,
        }
    }
}

/// A host with its tools, ready to be called.
pub struct Host {
    parts: Arc<Parts>,
    capabilities: Capabilities,
    compiler: Compiler,
    /// Where the journal is, if not in the state folder.
    journal_folder: Option<PathBuf>,
    folder: PathBuf,
    state: PathBuf,
    calls: CallCount,
    calls_max: u32,
    http: HttpConfig,
    drain_time: Duration,
    current: ArcSwap<Generation>,
    /// Held while generations are exchanged.
    accesses: Mutex<Accesses>,
    served: Arc<Mutex<Served>>,
    threads: Threads,
    /// When the end of serving began, by the monotonic clock.
    drain_began: OnceLock<Duration>,
    /// Counts the generations, for those who wait for the next one.
    generations: watch::Sender<u64>,
}

/// One reading of a registry's file. A later one is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(u64);

impl Host {
    /// Exchanges the registry for what its file says now. Calls that run end on the old one. A registry that is
    /// not in order changes nothing, but that what it takes away from callers is taken away at once.
    ///
    /// # Errors
    /// When the registry or its lock is not in order, or a setting changed that only a restart can apply.
    pub async fn reload(&self, file: &ConfigFile) -> Result<(), OpenError> {
        self.exchange(file, self.revoke(file)).await
    }

    /// Takes away from callers what a file that was read does not give them any more: tokens, entries, tools, rates.
    /// What it gives comes with its tools, by [`Host::exchange`]. Nothing is waited for.
    pub fn revoke(&self, file: &ConfigFile) -> Revision {
        let mut accesses = self.accesses.lock().unwrap_or_else(PoisonError::into_inner);
        let (revision, access) = accesses.read(Access::of(file));
        self.swap(self.current.load().with_access(access));
        Revision(revision)
    }

    /// Loads the tools of a file and serves them, with its callers, unless a later file was read meanwhile.
    ///
    /// # Errors
    /// As [`Host::reload`].
    pub async fn exchange(&self, file: &ConfigFile, revision: Revision) -> Result<(), OpenError> {
        self.only_what_a_reload_can(file)?;
        let (compiler, apart) = (&self.compiler, self.journal_folder.as_deref());
        let (engine, capabilities) = (&self.parts.engine, &self.capabilities);
        let loaded = load(file, engine, capabilities, compiler, apart, &|_| {}, &self.threads).await;
        let registry = Arc::new(loaded?);
        let locked = admit(file, &registry, Some(self.served.clone()), &self.threads).await?;
        let mut accesses = self.accesses.lock().unwrap_or_else(PoisonError::into_inner);
        note(&self.served).serve(&registry, locked);
        let access = accesses.serve(Access::of(file), revision.0);
        let old = self.current.load_full();
        self.parts.journal.bound(file.config.journal.bytes_max);
        self.swap(Generation::new(self.parts.clone(), file, registry, access, Some(&old)));
        Ok(())
    }

    fn swap(&self, generation: Generation) {
        self.current.store(Arc::new(generation));
        self.generations.send_modify(|count| *count += 1);
    }

    fn only_what_a_reload_can(&self, file: &ConfigFile) -> Result<(), Diagnostics> {
        let changed = if file.config.host.state != self.state {
            "host.state"
        } else if file.config.host.calls_max != self.calls_max {
            // The engine's pool has as many places.
            "host.calls_max"
        } else if file.config.drain_time() != self.drain_time {
            "server.drain_ms"
        } else if !file.config.http.serves_as(&self.http) {
            "http"
        } else {
            return Ok(());
        };
        let message = format!("`{changed}` changed, and a server that runs cannot follow");
        Err(Diagnostic::without_place(message, Some("restart it, or take the change back".into())).into())
    }

    /// Calls a tool. Whatever happens, there is a reply, and a record of it. Dropping the future stops the
    /// guest and puts the call on record as cancelled.
    pub async fn call(&self, call: Call) -> Reply {
        self.call_observed(call, None).await
    }

    /// Calls a tool; the observer hears how the call goes on, and is dropped before this returns.
    pub async fn call_observed(&self, call: Call, observer: Option<Arc<dyn Observer>>) -> Reply {
        let _running = self.calls.begin();
        crate::call::call(&self.current.load_full(), call, observer).await
    }

    /// What would happen to a call that is not made: policy's decision, and the plan where it would run. Waits are
    /// without jitter, so that each is the longest that it could be.
    ///
    /// # Errors
    /// When the call would not get past the inner door.
    pub fn explain(&self, call: &Call) -> Result<Explained, Box<Failure>> {
        crate::call::explain(&self.current.load(), call)
    }

    /// How many tools there are, and what a reviewer should know of them.
    pub fn summary(&self) -> (usize, Vec<String>) {
        let current = self.current.load();
        (current.registry().tools().count(), current.registry().warnings.clone())
    }

    /// The tools that a caller may see: there is no other way to them.
    pub fn visible(&self, who: &Caller) -> Visible {
        self.current.load().visible(who)
    }

    /// Whether a lock says which tool definitions are accepted.
    pub fn is_locked(&self) -> bool {
        note(&self.served).was_locked()
    }

    /// A number that grows with each reload.
    pub fn generations(&self) -> watch::Receiver<u64> {
        self.generations.subscribe()
    }

    /// The records.
    pub fn journal(&self) -> &Journal {
        &self.parts.journal
    }

    /// Why calls with effects are refused at the moment, in a word for probes.
    pub fn trouble(&self) -> Option<&'static str> {
        match self.parts.journal.view().standing {
            Standing::Writing => None,
            Standing::Failing => Some("journal-failing"),
            Standing::Full => Some("journal-full"),
        }
    }

    /// Serving is about to end: from now on the drain time runs.
    pub fn drain_begins(&self) {
        // Of two transports the first one counts.
        let _ = self.drain_began.set(self.parts.environment.monotonic());
    }

    /// Serving has ended: the journal has the rest of the drain time to be written.
    pub fn drain_ends(&self) {
        let now = self.parts.environment.monotonic();
        let drained = now.saturating_sub(self.drain_began.get().copied().unwrap_or(now));
        let left = self.drain_time.saturating_sub(drained);
        self.parts.journal.close_within(left.max(CLOSE_MIN));
    }

    /// What arguments may be.
    pub fn argument_limits(&self) -> ArgumentLimits {
        *self.current.load().argument_limits()
    }

    /// Time for running calls to end when serving ends.
    pub fn drain_time(&self) -> Duration {
        self.drain_time
    }

    /// How to serve over HTTP.
    pub fn http(&self) -> &HttpConfig {
        &self.http
    }

    /// The caller whose token has this digest.
    pub fn holder(&self, digest: &TokenDigest) -> Option<Caller> {
        self.current.load().access().holder(digest)
    }

    /// How callers of an OAuth server are known, if they are.
    pub fn oauth(&self) -> Option<Arc<OauthConfig>> {
        self.current.load().access().oauth().cloned()
    }

    /// Whether whoever reaches the port may call.
    pub fn allows_anonymous(&self) -> bool {
        self.current.load().access().allows_anonymous()
    }

    pub(crate) fn execute(&self) -> &dyn Execute {
        &*self.parts.execute
    }

    /// Where time and chance come from.
    pub fn environment(&self) -> &SharedEnvironment {
        &self.parts.environment
    }

    /// What was counted, with what stands in queues and breakers now, as far as a caller may read it.
    pub fn metrics(&self, who: &Caller) -> Option<String> {
        let now = self.current.load();
        let rules = now.rules(who)?;
        let JournalView { standing, waiting, lost, removed } = self.parts.journal.view();
        let journal = JournalCounts { is_writable: standing == Standing::Writing, waiting, lost, removed };
        let text = || self.parts.metrics.text(&now.load(), &now.standings(), &journal);
        match rules.metrics {
            MetricsAccess::None => None,
            MetricsAccess::Visible => Some(metrics::only(&text(), |tool| rules.shows(tool))),
            MetricsAccess::All => Some(text()),
        }
    }

    /// Waits until no call runs or waits.
    pub async fn idle(&self) {
        self.calls.idle().await;
    }

    /// The folder that relative paths of the registry's file are relative to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
