//! The host: its parts, and what a program calls.
//!
//! Owns the parts and their lifetime: those that stay while the program runs, and the generation that a reload
//! replaces. Must not know transports or the CLI.

mod builder;
mod call_count;
mod error;
mod grade;
mod load;
mod retention;
mod ungranted;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

pub use crate::call::Explained;
use crate::caller::MetricsAccess;
use crate::caller::token::TokenDigest;
use crate::capability::Capabilities;
use crate::config::{ConfigFile, Confine, HttpConfig, OauthConfig};
use crate::confinement::Confinement;
use crate::execute::{Execute, Sandbox};
pub use crate::generation::Visible;
use crate::generation::{Access, Accesses, Generation, Parts};
use crate::lock::Served;
use crate::registry::Threads;
use crate::sandbox::compiler::Compiler;
use crate::telemetry::metrics;
use crate::telemetry::metrics::JournalCounts;
use airlock_contract::arguments::ArgumentLimits;
use airlock_journal::{Interrupted, Journal, JournalView, Standing};
use airlock_types::call::{Call, Observer};
use airlock_types::caller::Caller;
use airlock_types::diagnostic::{Diagnostic, Diagnostics};
use airlock_types::environment::{SharedEnvironment, ms};
use airlock_types::reply::{Failure, Reply};
pub use builder::{HostBuilder, JournalSource, RegistrySource};
use call_count::CallCount;
pub use error::OpenError;
pub use grade::GradeError;
use load::{Means, Older, accepted, load, note};
pub use load::{load_registry, open_journal, user_cache, user_folder};

/// Least time for the journal to be written at the end, even when calls used up the drain time. Enough for a full
/// queue.
const CLOSE_MIN: Duration = Duration::from_secs(1);

/// A host with its tools, ready to be called.
pub struct Host {
    parts: Arc<Parts>,
    capabilities: Capabilities,
    compiler: Compiler,
    /// The folder of the journal, if it is not the state folder.
    journal_folder: Option<PathBuf>,
    folder: PathBuf,
    state: PathBuf,
    calls: CallCount,
    calls_max: u32,
    http: HttpConfig,
    drain_time: Duration,
    confine: Confine,
    confinement: Option<Confinement>,
    current: ArcSwap<Generation>,
    /// Also serializes exchanges: it is locked while a generation is replaced.
    accesses: Mutex<Accesses>,
    served: Arc<Mutex<Served>>,
    threads: Threads,
    /// When serving began to end, on the monotonic clock.
    drain_began: OnceLock<Duration>,
    /// The number of exchanges so far, for tasks that wait for the next one.
    generations: watch::Sender<u64>,
    /// What the journal knew of calls of earlier processes when the host was opened.
    interrupted: Vec<Interrupted>,
}

/// One reading of a registry's file. Later readings compare as greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(u64);

impl Host {
    /// Replaces the registry by the current content of its file. Running calls end on the old one. If the registry has
    /// problems, nothing changes, except that access which the file no longer gives is revoked at once.
    ///
    /// # Errors
    /// When the registry or its lock has problems, or a setting changed that only a restart can apply.
    pub async fn reload(&self, file: &ConfigFile) -> Result<(), OpenError> {
        self.exchange(file, self.revoke(file)).await
    }

    /// Revokes the access that a file no longer gives to callers: tokens, entries, tools, rates. Access that it newly
    /// gives is granted with its tools, by [`Host::exchange`]. Waits for nothing.
    pub fn revoke(&self, file: &ConfigFile) -> Revision {
        let mut accesses = self.accesses.lock().unwrap_or_else(PoisonError::into_inner);
        let (revision, access) = accesses.read(Access::of(file));
        self.swap(self.current.load().with_access(access));
        Revision(revision)
    }

    /// Loads the tools of a file and serves them. Callers then have the access of that file, narrowed by a later
    /// reading if there was one meanwhile.
    ///
    /// # Errors
    /// As [`Host::reload`].
    pub async fn exchange(&self, file: &ConfigFile, revision: Revision) -> Result<(), OpenError> {
        self.only_what_a_reload_can(file)?;
        let means = Means {
            engine: &self.parts.engine,
            capabilities: &self.capabilities,
            compiler: &self.compiler,
            apart: self.journal_folder.as_deref(),
            threads: &self.threads,
            environment: &*self.parts.environment,
        };
        // Everything that can fail or wait comes before the lock on `accesses` is taken.
        let loaded = load(file, &means, &|_| {}).await?;
        if let Some(problems) = loaded.problems() {
            tracing::error!("these entries stay as they were:\n{problems}");
        }
        // After loading, because definitions are made of components. Before anything is served.
        let older = Older {
            registry: self.current.load().registry().clone(),
            apart: self.journal_folder.clone(),
            now_s: self.parts.environment.wall().as_secs(),
        };
        let accepted = accepted(file, loaded, older, Some(self.served.clone()), &self.threads).await?;
        let (registry, locked, quarantine) = accepted;
        if let Some(quarantine) = quarantine {
            tracing::error!("{quarantine}\nuntil then they stay as they were");
        }
        let mut accesses = self.accesses.lock().unwrap_or_else(PoisonError::into_inner);
        note(&self.served).serve(&registry, locked);
        // Under the lock until the swap: a revocation in between would otherwise be overwritten.
        let access = accesses.serve(Access::of(file), revision.0);
        let old = self.current.load_full();
        // A lower bound may remove records, so it applies only once nothing can fail any more.
        self.parts.journal.bound(file.config.journal.bytes_max);
        self.swap(Generation::new(self.parts.clone(), file, registry, access, Some(&old)));
        Ok(())
    }

    /// The problems of the entries that were left out; none if every entry is served.
    pub fn problems(&self) -> Option<Diagnostics> {
        self.current.load().registry().problems()
    }

    /// The calls that could have effects and were interrupted, because their process ended while they ran: oldest first.
    /// Each is on record as `outcome-unknown` from now on, and no later host has it here again. Their operator should
    /// know.
    pub fn interrupted(&self) -> &[Interrupted] {
        &self.interrupted
    }

    fn swap(&self, generation: Generation) {
        // Stored before the number grows: a task that is woken finds the new generation.
        self.current.store(Arc::new(generation));
        self.generations.send_modify(|count| *count += 1);
    }

    /// Refuses changes of settings that parts of the running server were built with.
    fn only_what_a_reload_can(&self, file: &ConfigFile) -> Result<(), Diagnostics> {
        let changed = if file.config.host.state != self.state {
            "host.state"
        } else if file.config.host.calls_max != self.calls_max {
            // The engine's pool has this number of places.
            "host.calls_max"
        } else if file.config.drain_time() != self.drain_time {
            "server.drain_ms"
        } else if file.config.host.confine != self.confine {
            "host.confine"
        } else if !file.config.http.serves_as(&self.http) {
            "http"
        } else {
            return Ok(());
        };
        let message = format!("`{changed}` changed, and a server that runs cannot follow");
        Err(Diagnostic::without_place(message, Some("restart it, or take the change back".into())).into())
    }

    /// Calls a tool. Every outcome is a reply, and leaves a record. Dropping the future stops the guest and records the
    /// call as cancelled.
    pub async fn call(&self, call: Call) -> Reply {
        self.call_observed(call, None).await
    }

    /// Calls a tool. The observer receives the progress of the call, and is dropped before this returns.
    pub async fn call_observed(&self, call: Call, observer: Option<Arc<dyn Observer>>) -> Reply {
        // Before the generation is loaded, so that `idle` waits for a call in every state.
        let _running = self.calls.begin();
        crate::call::call(&self.current.load_full(), call, observer).await
    }

    /// Explains a call without making it: policy's decision, and the plan if the call would run. Waits are without
    /// jitter, so each is the longest possible.
    ///
    /// # Errors
    /// When the call would fail before the decision: an unknown tool or invalid arguments.
    pub fn explain(&self, call: &Call) -> Result<Explained, Box<Failure>> {
        crate::call::explain(&self.current.load(), call)
    }

    /// The number of tools, and the registry's notes for a reviewer.
    pub fn summary(&self) -> (usize, Vec<String>) {
        let current = self.current.load();
        (current.registry().tools().count(), current.registry().warnings.clone())
    }

    /// What the imports of each tool reach beyond its grants, for a reviewer. What an author asks for is in the notes of
    /// [`Host::summary`]; a component without a contract asks for nothing, and a language's runtime imports more than
    /// it uses.
    pub fn ungranted(&self) -> Vec<String> {
        let current = self.current.load();
        // The functions of one component share its imports and grants.
        let by_key: BTreeMap<&str, _> =
            current.registry().tools().map(|tool| (tool.key.as_str(), tool)).collect();
        let now_unix_ms = ms(current.environment().wall());
        by_key
            .into_values()
            .flat_map(|tool| ungranted::notes(&self.capabilities, tool, now_unix_ms))
            .collect()
    }

    /// What is tried for a while, a sentence for each entry: an operator should know at each start.
    pub fn trials(&self) -> Vec<String> {
        let current = self.current.load();
        let by_key: BTreeMap<&str, _> =
            current.registry().tools().map(|tool| (tool.key.as_str(), &tool.source)).collect();
        let now_unix_ms = ms(current.environment().wall());
        by_key.into_values().filter_map(|source| source.trial(now_unix_ms)).collect()
    }

    /// The tools that a caller may see. Code that serves a caller has no other access to tools.
    pub fn visible(&self, who: &Caller) -> Visible {
        self.current.load().visible(who)
    }

    /// Whether a lock states which tool definitions are accepted.
    pub fn is_locked(&self) -> bool {
        note(&self.served).was_locked()
    }

    /// A number that grows with each reload and each revocation.
    pub fn generations(&self) -> watch::Receiver<u64> {
        self.generations.subscribe()
    }

    /// The journal that holds the records of calls.
    pub fn journal(&self) -> &Journal {
        &self.parts.journal
    }

    /// The reason why calls with effects are refused now, as a word for probes. `None` while the journal can be
    /// written.
    pub fn trouble(&self) -> Option<&'static str> {
        match self.parts.journal.view().standing {
            Standing::Writing => None,
            Standing::Failing => Some("journal-failing"),
            Standing::Full => Some("journal-full"),
        }
    }

    /// Starts the drain time. Transports call it when serving is about to end.
    pub fn drain_begins(&self) {
        // The first of two transports counts: a later call finds the value set.
        let _ = self.drain_began.set(self.parts.environment.monotonic());
    }

    /// Gives the journal the rest of the drain time to be written. Transports call it when serving has ended.
    pub fn drain_ends(&self) {
        let now = self.parts.environment.monotonic();
        let drained = now.saturating_sub(self.drain_began.get().copied().unwrap_or(now));
        let left = self.drain_time.saturating_sub(drained);
        self.parts.journal.close_within(left.max(CLOSE_MIN));
    }

    /// The limits on arguments that are in force.
    pub fn argument_limits(&self) -> ArgumentLimits {
        *self.current.load().argument_limits()
    }

    /// Time for running calls to end when serving ends.
    pub fn drain_time(&self) -> Duration {
        self.drain_time
    }

    /// The settings of the HTTP server.
    pub fn http(&self) -> &HttpConfig {
        &self.http
    }

    /// The caller whose token has this digest.
    pub fn holder(&self, digest: &TokenDigest) -> Option<Caller> {
        self.current.load().access().holder(digest)
    }

    /// The settings of the OAuth server, if callers authenticate with its tokens.
    pub fn oauth(&self) -> Option<Arc<OauthConfig>> {
        self.current.load().access().oauth().cloned()
    }

    /// Whether requests without a token may call.
    pub fn allows_anonymous(&self) -> bool {
        self.current.load().access().allows_anonymous()
    }

    /// The sandbox alone, whatever executes the attempts of calls.
    pub(crate) fn sandbox(&self) -> Sandbox {
        Sandbox::new(self.parts.engine.clone(), self.parts.environment.clone())
    }

    /// What calls use now.
    pub(crate) fn generation(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    pub(crate) fn execute(&self) -> &dyn Execute {
        &*self.parts.execute
    }

    /// The source of time and randomness.
    pub fn environment(&self) -> &SharedEnvironment {
        &self.parts.environment
    }

    /// The metrics, as far as a caller may read them, in the text format of Prometheus. `None` when it may read none.
    pub fn metrics(&self, who: &Caller) -> Option<String> {
        let now = self.current.load();
        let rules = now.rules(who)?;
        let JournalView { standing, waiting, lost, removed, intents: _, commits: _ } =
            self.parts.journal.view();
        let journal = JournalCounts { is_writable: standing == Standing::Writing, waiting, lost, removed };
        // Lazy: the text locks every tool, and a caller without access must not cause that.
        let text = || self.parts.metrics.text(&now.load(), &now.standings(), &journal);
        match rules.metrics {
            MetricsAccess::None => None,
            MetricsAccess::Visible => Some(metrics::only(&text(), |tool| rules.shows(tool))),
            MetricsAccess::All => Some(text()),
        }
    }

    /// How this process is confined, as its program said. `None` for a program that makes no calls.
    pub fn confinement(&self) -> Option<&Confinement> {
        self.confinement.as_ref()
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
