//! Loading for a host: the steps that touch the disk, each on a thread of its own and within its time. Also loads
//! registries and caches without a host, for inspection.
//!
//! Owns the time limits of these steps. Must not know what a host does with the result.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::Engine;

use super::OpenError;
use crate::blocking::Lost;
use crate::capability::Capabilities;
use crate::config::ConfigFile;
use crate::environment::World;
use crate::lock::{Lock, LockError, Served};
use crate::registry;
use crate::registry::{
    LoadEvent, LoadFailure, Loading, OutOfReach, Purpose, Registry, STEP_MAX, Threads, Tool, may_stay,
};
use crate::sandbox::cache::{Cache, CacheError, folder_of};
use crate::sandbox::compiler::Compiler;
use crate::sandbox::engine::{Backend, Optimize, compiler, engine};
use airlock_journal::{Journal, JournalError, state};
use airlock_types::diagnostic::{Diagnostic, Diagnostics};
use airlock_types::environment::Environment;
use airlock_types::limit::CompileLimits;

/// The parts of a host that loading takes.
pub(super) struct Means<'a> {
    pub(super) engine: &'a Engine,
    pub(super) capabilities: &'a Capabilities,
    pub(super) compiler: &'a Compiler,
    /// A folder besides the state folder that no tool may be granted.
    pub(super) apart: Option<&'a Path>,
    pub(super) threads: &'a Threads,
    pub(super) environment: &'a dyn Environment,
    pub(super) purpose: Purpose,
    /// The entries that this process does not reach.
    pub(super) out_of_reach: &'a OutOfReach,
    /// What is served now, whose code is taken over where it links alike.
    pub(super) older: &'a Registry,
}

/// Opens the compile cache and loads the registry's tools.
///
/// # Errors
/// When the registry or the cache cannot be used, or a file system does not answer in time.
pub(super) async fn load(
    file: &ConfigFile,
    means: &Means<'_>,
    watch: &(dyn Fn(LoadEvent) + Sync),
) -> Result<Registry, OpenError> {
    exports_apart(file, means.threads).await?;
    // Read at each load, so that a reload finds a new value. Only here: who looks at tools needs no secret.
    let read = {
        let (file, capabilities) = (file.clone(), means.capabilities.clone());
        move || capabilities.with_secrets(&file)
    };
    let capabilities = &step(means.threads, "reading secrets", read).await?;
    with_secrets(file, &Means { capabilities, ..*means }, watch).await
}

/// Checks that checkpoints are not appended to a file that the registry uses for something else.
async fn exports_apart(file: &ConfigFile, threads: &Threads) -> Result<(), OpenError> {
    if file.checkpoint_file().is_none() {
        return Ok(());
    }
    let file = file.clone();
    let problem =
        step(threads, "looking at the file of checkpoints", move || file.checkpoint_problem()).await;
    match problem {
        Ok(Some(problem)) => Err(Diagnostics::from(problem).into()),
        // A component on a disk that does not answer keeps no other from being served: nothing is appended to a file with
        // anything else in it.
        Ok(None) | Err(_) => Ok(()),
    }
}

/// Opens the compile cache and loads the registry's tools with these capabilities, whose secrets are read.
async fn with_secrets(
    file: &ConfigFile,
    means: &Means<'_>,
    watch: &(dyn Fn(LoadEvent) + Sync),
) -> Result<Registry, OpenError> {
    let Means { engine, capabilities, compiler, apart, threads, environment, purpose, out_of_reach, older } =
        *means;
    let cache = cache(file, compiler, threads).await?;
    let (signed, now_s) = (&signed(file, threads).await?, environment.wall().as_secs());
    let older = &older.code();
    let loading = Loading {
        engine,
        capabilities,
        cache,
        threads,
        apart,
        watch,
        purpose,
        now_s,
        signed,
        out_of_reach,
        older,
    };
    registry::load(file, &loading).await.map_err(|unloaded| match unloaded {
        LoadFailure::Wrong(problems) | LoadFailure::Failed(problems) => problems.into(),
        LoadFailure::Stuck(problems) => OpenError::Stuck { step: "loading", reason: problems.to_string() },
    })
}

/// The tools that were signed when they were accepted.
async fn signed(file: &ConfigFile, threads: &Threads) -> Result<BTreeSet<String>, OpenError> {
    let file = file.clone();
    step(threads, "reading the lock", move || Lock::signed(&file)).await
}

async fn cache(file: &ConfigFile, compiler: &Compiler, threads: &Threads) -> Result<Arc<Cache>, OpenError> {
    let (state, limits) = (file.state(), file.config.compile.limits());
    let compiler = compiler.clone();
    let cache = move || Ok::<_, OpenError>(Cache::new(&folder_of(&state)?, limits, &compiler)?);
    Ok(Arc::new(step(threads, "looking at the compile cache", cache).await??))
}

/// What was served before a reload, and what it is held against.
#[derive(Default)]
pub(super) struct Older {
    pub(super) registry: Arc<Registry>,
    /// A folder that no tool may be granted.
    pub(super) apart: Option<PathBuf>,
    /// Now, in seconds since 1970.
    pub(super) now_s: u64,
}

/// The tools that are served first, and the note of what was served.
pub(super) async fn first_loaded(
    file: &ConfigFile,
    means: &Means<'_>,
    watch: &(dyn Fn(LoadEvent) + Sync),
    how: (bool, bool),
) -> Result<(Arc<Registry>, Arc<Mutex<Served>>), OpenError> {
    // Builds tables that the first contract would otherwise wait for. Nothing waits for its end.
    tokio::task::spawn_blocking(airlock_contract::tool::warm);
    let registry = load(file, means, watch).await?;
    let served = Arc::new(Mutex::new(Served::default()));
    // After loading: the lock compares the definitions of loaded components.
    let (registry, locked) = admitted(file, registry, how, means.threads).await?;
    note(&served).serve(&registry, locked);
    Ok((registry, served))
}

/// The tools of entries that are in order and that the lock accepts. Of the others a problem tells, if broken entries are left
/// out. With whether there is a lock.
async fn admitted(
    file: &ConfigFile,
    loaded: Registry,
    (leaves_out_broken, asks_lock): (bool, bool),
    threads: &Threads,
) -> Result<(Arc<Registry>, bool), OpenError> {
    if !asks_lock {
        return Ok((Arc::new(loaded), false));
    }
    if !leaves_out_broken {
        if let Some(problems) = loaded.problems() {
            return Err(problems.into());
        }
        let loaded = Arc::new(loaded);
        let locked = admit(file, &loaded, None, threads).await?;
        return Ok((loaded, locked));
    }
    let (rest, locked, quarantine) = accepted(file, loaded, Older::default(), None, threads).await?;
    Ok(match quarantine {
        Some(problems) => (Arc::new(Registry::clone(&rest).with_problems(problems)), locked),
        None => (rest, locked),
    })
}

/// The tools that may be served: those that the lock accepts, and older ones in the place of the others. With whether there
/// is a lock. Names that are new and not accepted are quarantined: they are not there.
///
/// # Errors
/// When the lock cannot be asked.
pub(super) async fn accepted(
    file: &ConfigFile,
    loaded: Registry,
    older: Older,
    served: Option<Arc<Mutex<Served>>>,
    threads: &Threads,
) -> Result<(Arc<Registry>, bool, Option<Diagnostics>), OpenError> {
    let older = Arc::new(older);
    let whole = Arc::new(with_older(file, loaded, &older, BTreeSet::new(), threads).await?);
    let refused = match admit(file, &whole, served.clone(), threads).await {
        Err(OpenError::Lock(refused)) => refused,
        admitted => return Ok((whole, admitted?, None)),
    };
    let LockError::Changed { changes, how } = &refused else { return Err(refused.into()) };
    let message = format!(
        "these tools are quarantined, since they are not the accepted ones, so that no call of them runs:\n{changes}"
    );
    let quarantine = Diagnostic::without_place(message.trim_end(), Some(how.clone()));
    let unaccepted: BTreeSet<String> = changes.0.iter().map(|change| change.tool.clone()).collect();
    let rest = Arc::new(with_older(file, Registry::clone(&whole), &older, unaccepted, threads).await?);
    // Asked again: what is served is what the lock has seen.
    let locked = admit(file, &rest, served, threads).await?;
    Ok((rest, locked, Some(quarantine.into())))
}

/// A registry with older tools in the place of those that it lacks, as far as its file lets them stay.
async fn with_older(
    file: &ConfigFile,
    registry: Registry,
    older: &Arc<Older>,
    unaccepted: BTreeSet<String>,
    threads: &Threads,
) -> Result<Registry, OpenError> {
    let (file, older) = (file.clone(), older.clone());
    let kept = move || registry.with_older(&older.registry, &unaccepted, |tool| older.may_stay(&file, tool));
    step(threads, "looking at the grants of older tools", kept).await
}

/// The older tools that may stay under a file of which nothing is loaded.
///
/// # Errors
/// When a file system does not answer.
pub(super) async fn withdrawn(
    file: &ConfigFile,
    older: Older,
    threads: &Threads,
) -> Result<Registry, OpenError> {
    let file = file.clone();
    let kept = move || older.registry.only(|tool| older.may_stay(&file, tool));
    step(threads, "looking at the grants of older tools", kept).await
}

impl Older {
    fn may_stay(&self, file: &ConfigFile, tool: &Tool) -> bool {
        may_stay(file, self.apart.as_deref(), self.now_s, tool)
            .inspect_err(|why| tracing::error!("`{}` is not served any more: {why}", tool.name))
            .is_ok()
    }
}

/// Checks the registry against its lock. Returns whether there is one.
///
/// # Errors
/// When the lock does not accept the definitions, or does not answer in time.
pub(super) async fn admit(
    file: &ConfigFile,
    registry: &Arc<Registry>,
    served: Option<Arc<Mutex<Served>>>,
    threads: &Threads,
) -> Result<bool, OpenError> {
    let (file, registry) = (file.clone(), registry.clone());
    let admit = move || {
        let lock = Lock::read(&file)?;
        // Taken after the lock's file was read, and only without one: a thread that is stuck on the disk must not hold
        // it.
        let served = served.as_deref().filter(|_| !lock.exists()).map(note);
        lock.admit(&registry, served.as_deref())?;
        Ok::<_, LockError>(lock.exists())
    };
    Ok(step(threads, "asking the lock", admit).await??)
}

/// Runs a step of loading that belongs to no entry. Its name is the key of its thread, and contains characters that no
/// entry's key has.
async fn step<T: Send + 'static>(
    threads: &Threads,
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, OpenError> {
    let done = threads.steps.of(name).run_within(STEP_MAX, work).await;
    done.map_err(|lost: Lost| OpenError::Stuck { step: name, reason: lost.to_string() })
}

/// Locks the memory of served definitions.
pub(super) fn note(served: &Mutex<Served>) -> MutexGuard<'_, Served> {
    served.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Loads the tools of a registry for inspection, without compiling. They are not served, so the lock is not asked.
///
/// # Errors
/// When the registry, the cache or the engine cannot be used.
pub async fn load_registry(
    file: &ConfigFile,
    watch: &(dyn Fn(LoadEvent) + Sync),
) -> Result<Registry, OpenError> {
    // An engine that runs nothing has a small pool, so that inspecting works where address space is scarce. It is here
    // for its settings, by which the cache knows descriptions.
    let engine =
        compiler(Backend::Native, Optimize::Speed).map_err(|err| OpenError::Engine(format!("{err:#}")))?;
    let means = Means {
        engine: &engine,
        capabilities: &Capabilities::default(),
        compiler: &Compiler::default(),
        apart: None,
        threads: &Threads::default(),
        environment: &World::new(),
        purpose: Purpose::Look,
        out_of_reach: &OutOfReach::new(),
        older: &Registry::default(),
    };
    with_secrets(file, &means, watch).await
}

/// An engine with a pool that has a place for each call that may run.
///
/// # Errors
/// When the engine cannot reserve the address space.
pub(super) fn pool(file: &ConfigFile, backend: Backend) -> Result<Engine, OpenError> {
    engine(backend, file.config.host.calls_max).map_err(|err| OpenError::Engine(format!("{err:#}")))
}

/// The name of the journal in the state folder.
pub const JOURNAL_FILE: &str = "journal.db";

/// Opens the journal in the state folder of a registry, to look into it.
///
/// # Errors
/// When it cannot be opened.
pub fn open_journal(file: &ConfigFile) -> Result<Journal, JournalError> {
    Journal::open(&journal_path(file)?, file.config.journal.bytes_max)
}

/// Opens the journal of a host in the state folder of its registry.
pub(super) fn host_journal(file: &ConfigFile) -> Result<Journal, JournalError> {
    file.config.journal.open(&journal_path(file)?)
}

fn journal_path(file: &ConfigFile) -> Result<PathBuf, JournalError> {
    let path = file.state().join(JOURNAL_FILE);
    match state::folder(&file.state()) {
        Ok(()) => Ok(path),
        Err(err) => Err(JournalError::Open { path, reason: err.to_string() }),
    }
}

/// A cache in the user's own folder, for a component that belongs to no registry.
///
/// # Errors
/// When the cache cannot be used.
pub fn user_cache() -> Result<Cache, CacheError> {
    Cache::new(&user_folder().join("code"), CompileLimits::default(), &Compiler::default())
}

/// The user's folder for files that belong to no registry: `airlock` in the user's cache folder, or in the system's
/// folder for temporary files.
pub fn user_folder() -> PathBuf {
    // Only absolute paths: the XDG specification has relative ones ignored.
    #[expect(clippy::disallowed_methods, reason = "without a registry there are no settings to take it from")]
    let variable = |name: &str| std::env::var(name).ok().filter(|value| value.starts_with('/'));
    let base = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .unwrap_or_else(std::env::temp_dir);
    base.join("airlock")
}
