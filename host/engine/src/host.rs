//! The host: its parts, and what a program calls.
//!
//! Owns the parts and their lifetime: those that stay while the program runs, and the generation that a reload
//! replaces. Must not know transports or the CLI.

mod approval;
mod builder;
mod call_count;
mod confined;
mod error;
mod fixed;
mod grade;
mod held_call;
mod holds;
mod lints;
mod load;
mod reload;
mod retention;
mod ungranted;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

pub use crate::call::Explained;
use crate::caller::MetricsAccess;
use crate::caller::session::TransportSessions;
use crate::caller::token::TokenDigest;
use crate::capability::Capabilities;
use crate::config::{HttpConfig, OauthConfig};
use crate::confinement::Confinement;
use crate::execute::{Execute, Sandbox};
pub use crate::generation::Visible;
use crate::generation::{Accesses, Generation, Parts};
use crate::lock::Served;
use crate::registry::{Purpose, Threads};
use crate::sandbox::compiler::Compiler;
use crate::telemetry::metrics;
use crate::telemetry::metrics::JournalCounts;
use airlock_contract::arguments::ArgumentLimits;
use airlock_journal::{Interrupted, Journal, JournalView, Standing};
use airlock_types::call::{Call, Observer};
use airlock_types::caller::Caller;
use airlock_types::diagnostic::Diagnostics;
use airlock_types::environment::{SharedEnvironment, ms};
use airlock_types::reply::{Failure, Reply};
pub use builder::{HostBuilder, JournalSource, RegistrySource};
use call_count::CallCount;
pub use error::OpenError;
use fixed::Fixed;
pub use grade::GradeError;
pub use holds::{Held, HoldError};
use load::note;
pub use load::{JOURNAL_FILE, load_registry, open_journal, user_cache, user_folder};
pub use reload::Revision;

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
    calls: Arc<CallCount>,
    fixed: Fixed,
    confinement: Option<Confinement>,
    /// What its tools are loaded for.
    purpose: Purpose,
    current: ArcSwap<Generation>,
    /// Also serializes exchanges: it is locked while a generation is replaced.
    accesses: Mutex<Accesses>,
    served: Arc<Mutex<Served>>,
    threads: Threads,
    condition: Condition,
    /// When serving began to end, on the monotonic clock.
    drain_began: OnceLock<Duration>,
    /// The number of exchanges so far, for tasks that wait for the next one.
    generations: watch::Sender<u64>,
    /// What the journal knew of calls of earlier processes when the host was opened.
    interrupted: Vec<Interrupted>,
}

/// What is not as it should be, though calls are answered.
#[derive(Debug, Default)]
struct Condition {
    /// Whether the last reload was refused, in whole or in part.
    is_behind: AtomicBool,
    /// Whether an entry is missing since the host failed at it.
    may_pass: AtomicBool,
    /// Whether the last checkpoint could not be signed or exported.
    are_checkpoints_failing: AtomicBool,
}

impl Host {
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

    /// Whether an entry of the registry was left out, or stayed as it was, since the host failed at it: a compile process was
    /// killed, or the disk was full. [`Host::reload`] of the same file may go well then.
    pub fn may_pass(&self) -> bool {
        self.condition.may_pass.load(Ordering::Acquire)
    }

    /// Words for probes about what is not as the operator may think, while calls are answered: `reload-refused`, since tools
    /// are not those of the files on disk, `compiler-ended`, since only a restart lets something new be compiled, and
    /// `checkpoints-failing`, since what is written is not protected by a checkpoint.
    pub fn degraded(&self) -> Vec<&'static str> {
        let words = [
            (self.condition.is_behind.load(Ordering::Acquire), "reload-refused"),
            (self.compiler.has_ended(), "compiler-ended"),
            (self.condition.are_checkpoints_failing.load(Ordering::Acquire), "checkpoints-failing"),
        ];
        words.into_iter().filter_map(|(holds, word)| holds.then_some(word)).collect()
    }

    /// Starts the drain time. Transports call it when serving is about to end.
    pub fn drain_begins(&self) {
        // The first of two transports counts: a later call finds the value set.
        let _ = self.drain_began.set(self.parts.environment.monotonic());
    }

    /// Gives the journal the rest of the drain time to be written, but at most this long. Transports call it when serving has
    /// ended.
    pub fn drain_ends(&self, most: Duration) {
        let now = self.parts.environment.monotonic();
        let drained = now.saturating_sub(self.drain_began.get().copied().unwrap_or(now));
        let left = self.fixed.drain_time.saturating_sub(drained);
        self.parts.journal.close_within(left.max(CLOSE_MIN).min(most));
    }

    /// The limits on arguments that are in force.
    pub fn argument_limits(&self) -> ArgumentLimits {
        *self.current.load().argument_limits()
    }

    /// Time for running calls to end when serving ends.
    pub fn drain_time(&self) -> Duration {
        self.fixed.drain_time
    }

    /// The settings of the HTTP server.
    pub fn http(&self) -> &HttpConfig {
        &self.fixed.http
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

    /// Where a transport holds its sessions open. Calls in a session that no transport holds open end it as calls with a handle
    /// do: after 30 minutes without one, or when the caller has too many.
    pub fn transport_sessions(&self) -> TransportSessions {
        TransportSessions::new(self.parts.sessions.clone())
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
