//! The host: everything wired together.
//!
//! Owns the parts and their life. Must not know transports or the CLI.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::Engine;

use crate::call::raw::RawCall;
use crate::call::reply::{ErrorReport, Reply};
use crate::call::room::{Bulkhead, NoRoom, Place};
use crate::config::ConfigFile;
use crate::contract::caps::Caps;
use crate::diagnostic::Diagnostics;
use crate::environment::{SharedEnvironment, World, ms};
use crate::journal::{Journal, JournalError};
use crate::plan::{Breaker, BreakerView, Plan, Quota, Settled};
use crate::registry::{self, LoadEvent, Loading, Registry};
use crate::sandbox::cache::{CacheError, Compiler};
use crate::sandbox::compile::CompileLimits;
use crate::sandbox::engine::{CALLS_MAX, engine};

/// How a host is opened.
pub struct Options<'a> {
    /// The `airlock` program that compiles; without one it is looked for beside this program.
    pub program: Option<PathBuf>,
    /// Where time and chance come from.
    pub environment: SharedEnvironment,
    /// Who watches the loading.
    pub watch: &'a (dyn Fn(LoadEvent) + Sync),
    /// Calls that the engine's pool has room for, at least `calls_max` of the registry; less reserves less
    /// address space, of which profilers leave little.
    pub pool: u32,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options { program: None, environment: Arc::new(World::new()), watch: &|_| {}, pool: CALLS_MAX }
    }
}

/// Why a host cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The registry is not in order.
    #[error(transparent)]
    Registry(#[from] Diagnostics),
    /// The compile cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The engine cannot be made.
    #[error(
        "the engine cannot be made: {0}; it reserves address space for its pool, which `ulimit -v` or a small \
         machine may forbid"
    )]
    Engine(String),
}

/// A host with its tools, ready to be called.
pub struct Host {
    engine: Engine,
    environment: SharedEnvironment,
    registry: Registry,
    journal: Journal,
    caps: Caps,
    call_deadline_ms: u64,
    room: Arc<Semaphore>,
    /// By tool. No two tools share a lock.
    tools: BTreeMap<String, Standing>,
}

/// What changes about a tool while it is called.
struct Standing {
    bulkhead: Bulkhead,
    health: Mutex<Health>,
}

struct Health {
    quota: Quota,
    breaker: Breaker,
}

impl Host {
    /// Opens a host on a registry.
    ///
    /// # Errors
    /// When the registry, the cache, the journal or the engine is not in order.
    pub async fn open(file: &ConfigFile, options: &Options<'_>) -> Result<Host, OpenError> {
        let engine =
            engine(file.config.host.calls_max).map_err(|err| OpenError::Engine(format!("{err:#}")))?;
        let state = file.folder().join(&file.config.host.state);
        let compiler =
            Compiler::new(&state.join("code"), file.config.compile.limits(), options.program.clone())?;
        let loading = Loading { engine: &engine, compiler: &compiler, watch: options.watch };
        let registry = registry::load(file, &loading).await?;
        let journal = open_journal(file)?;
        let now = ms(options.environment.monotonic());
        let standing = |tool: &registry::Tool| Standing {
            bulkhead: Bulkhead::new(tool.bulkhead_run, tool.bulkhead_wait),
            health: Mutex::new(Health { quota: Quota::full(now), breaker: Breaker::default() }),
        };
        Ok(Host {
            tools: registry.tools().map(|tool| (tool.name.clone(), standing(tool))).collect(),
            engine,
            environment: options.environment.clone(),
            registry,
            journal,
            caps: file.config.arguments.caps(),
            call_deadline_ms: file.config.host.call_deadline_ms,
            room: Arc::new(Semaphore::new(file.config.host.calls_max as usize)),
        })
    }

    /// Calls a tool. Whatever happens, there is a reply, and a record of it. Dropping the future stops the
    /// guest and puts the call on record as cancelled.
    pub async fn call(&self, raw: RawCall) -> Reply {
        crate::call::call(self, raw).await
    }

    /// The plan of a call that is not made, without jitter: every wait is the longest that it could be.
    ///
    /// # Errors
    /// When the call would not get past the inner door.
    pub fn plan(&self, raw: RawCall) -> Result<Plan, Box<ErrorReport>> {
        crate::call::explain(self, raw)
            .map_err(|end| end.report.unwrap_or_else(|| Box::new(ErrorReport::plain(end.code.to_string()))))
    }

    /// The tools.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The records.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// What arguments may be.
    pub fn caps(&self) -> &Caps {
        &self.caps
    }

    pub(crate) fn call_deadline_ms(&self) -> u64 {
        self.call_deadline_ms
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn environment(&self) -> &SharedEnvironment {
        &self.environment
    }

    /// A place for one attempt of a tool.
    pub(crate) async fn enter(&self, tool: &str, within: Duration) -> Result<Place, NoRoom> {
        let standing = self.tools.get(tool).ok_or(NoRoom)?;
        standing.bulkhead.enter(&self.room, within).await
    }

    /// A tool's retry quota and breaker now.
    pub(crate) fn health(&self, tool: &str) -> (u32, BreakerView) {
        let now = ms(self.environment.monotonic());
        self.tools.get(tool).map_or((0, BreakerView::Closed), |standing| {
            let mut health = standing.health.lock().unwrap_or_else(PoisonError::into_inner);
            (health.quota.tokens(now), health.breaker.view(now))
        })
    }

    /// Applies what a call did to a tool's health.
    pub(crate) fn settle(&self, tool: &str, settled: &Settled) {
        let Some(standing) = self.tools.get(tool) else { return };
        let now = ms(self.environment.monotonic());
        let mut health = standing.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.quota.settle(settled.spent, settled.gained);
        settled.samples.iter().for_each(|sample| health.breaker.record(*sample, now));
    }
}

/// The journal of a registry.
///
/// # Errors
/// When it cannot be opened.
pub fn open_journal(file: &ConfigFile) -> Result<Journal, JournalError> {
    let state = file.folder().join(&file.config.host.state);
    private_folder(&state).map_err(|err| JournalError::Open {
        path: state.clone(),
        reason: format!("its folder cannot be made: {err}"),
    })?;
    Journal::open(&state.join("journal.db"))
}

/// A compiler for a component that belongs to no registry, with a cache in the user's own folder.
///
/// # Errors
/// When the cache cannot be used.
pub fn user_compiler() -> Result<Compiler, CacheError> {
    #[expect(clippy::disallowed_methods, reason = "without a registry there are no settings to take it from")]
    let variable = |name: &str| std::env::var(name).ok().filter(|value| value.starts_with('/'));
    let base = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .unwrap_or_else(std::env::temp_dir);
    Compiler::new(&base.join("airlock"), CompileLimits::default(), None)
}

fn private_folder(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
