//! Loads a registry: components are read, described, compiled, linked, and checked against each other.
//!
//! Owns the order of loading, and the time that a step may take. Entries load in parallel, an entry with a problem is
//! left out, and every problem is reported, not only the first. Loading stops when a file system does not answer,
//! because it would not answer the next entry either. Must not know calls.

mod entry;
mod fallback;
mod imports;
mod tools;
mod verify;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use toml::Spanned;
use wasmtime::Engine;

use super::Registry;
use super::tool::Component;
use crate::blocking::Lanes;
use crate::capability;
use crate::capability::{Capabilities, http};
use crate::config::{ConfigFile, Places, ToolConfig};
use crate::sandbox::cache::Cache;
use crate::sandbox::compile::CompileError;
use crate::sandbox::run::ToolLanes;
use airlock_types::diagnostic::Diagnostics;
use airlock_types::digest::sha256;
use entry::{Entry, Loaded};
use tools::Tools;

/// Time for one step of loading that a file system may block: reading a component, or looking up its granted folders.
/// Far more than a slow disk needs for the largest component.
pub(crate) const STEP_MAX: Duration = Duration::from_secs(30);

/// Most threads that steps of loading may hold. Each entry holds at most one, with stuck ones of earlier reloads
/// included, so that repeated reloads take no more.
const STEP_THREADS_MAX: usize = 64;

/// The threads for blocking work of a host. They outlive a reload, since a stuck thread does.
#[derive(Debug)]
pub(crate) struct Threads {
    /// For steps of loading; the key is the entry.
    pub(crate) steps: Lanes,
    /// For file accesses of tools; the key is the entry.
    pub(crate) files: Lanes,
    /// For looking up the names of hosts; the key is the entry.
    pub(crate) names: Lanes,
}

impl Default for Threads {
    fn default() -> Threads {
        Threads {
            steps: Lanes::new(STEP_THREADS_MAX, 1),
            files: Lanes::new(capability::THREADS_ALL_TOOLS, capability::THREADS_PER_TOOL),
            names: Lanes::new(http::THREADS_ALL_TOOLS, http::THREADS_PER_TOOL),
        }
    }
}

/// Progress of loading, for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadEvent {
    /// Loading of an entry begins. Holds the registry's key.
    Started(String),
    /// An entry is loaded.
    Ready {
        /// The registry's key of the entry.
        name: String,
        /// Whether the compiled code came from the cache.
        cached: bool,
    },
}

/// The parts of a host that loading needs.
pub struct Loading<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) capabilities: &'a Capabilities,
    pub(crate) cache: Arc<Cache>,
    pub(crate) threads: &'a Threads,
    /// A folder besides the state folder that no tool may be granted.
    pub(crate) apart: Option<&'a Path>,
    /// Receives an event when an entry begins to load and when it is loaded.
    pub watch: &'a (dyn Fn(LoadEvent) + Sync),
    pub(crate) purpose: Purpose,
}

/// What a registry is loaded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Its tools are looked at. Nothing is compiled, and the cache stays as it is.
    Look,
    /// Its tools run.
    Run,
}

/// Why a registry was not loaded.
#[derive(Debug)]
pub(crate) enum LoadFailure {
    /// The file or a component has problems.
    Wrong(Diagnostics),
    /// A step did not end within [`STEP_MAX`].
    Stuck(Diagnostics),
}

impl From<Diagnostics> for LoadFailure {
    fn from(problems: Diagnostics) -> LoadFailure {
        LoadFailure::Wrong(problems)
    }
}

/// Loads a registry. An entry with a problem is left out, and its problems are in [`Registry::problems`]: one broken
/// component must not take the others away.
///
/// # Errors
/// When a file system does not answer.
pub(crate) async fn load(file: &ConfigFile, loading: &Loading<'_>) -> Result<Registry, LoadFailure> {
    // At most one entry per core at a time: most of the work is hashing, compiling and linking.
    let width = std::thread::available_parallelism().map_or(1, usize::from);
    // `buffered` keeps the order of the keys, so that problems come in the same order every time.
    let mut loads = futures::stream::iter(entries(file, loading)).buffered(width);
    let mut found = Tools::default();
    while let Some((key, tools)) = loads.next().await {
        match tools {
            Ok(tools) => tools.into_iter().for_each(|tool| found.add(file, &key, tool)),
            Err(LoadFailure::Wrong(Diagnostics(problems))) => found.leave_out(key.get_ref(), problems),
            Err(LoadFailure::Stuck(Diagnostics(more))) => {
                // Dropping the stream abandons the other entries; stuck threads keep their permits.
                let problems = found.broken.into_values().flatten().chain(more).collect();
                return Err(LoadFailure::Stuck(Diagnostics(problems)));
            }
        }
    }
    leave_out_secrets(file, loading.capabilities, &mut found);
    Ok(found.finish(file))
}

/// Reports the secrets that cannot be read and that no grant uses; the others are problems of their entries.
fn leave_out_secrets(file: &ConfigFile, capabilities: &Capabilities, found: &mut Tools) {
    let is_used = |name: &str| {
        file.config
            .secret_uses()
            .any(|(_, grant)| grant.secret.as_ref().is_some_and(|used| used.name == name))
    };
    for (name, problem) in capabilities.secrets().problems().filter(|(name, _)| !is_used(name)) {
        // No entry has this key.
        found.leave_out(&format!("secrets.{name}"), vec![problem.clone()]);
    }
}

/// A future for each entry, in the order of the keys. Boxed, so that the type of the future of a load does not contain
/// all the futures inside it.
fn entries<'l>(file: &ConfigFile, loading: &'l Loading<'_>) -> Vec<BoxFuture<'l, (Spanned<String>, Loaded)>> {
    // Shared by the threads of all entries, which may outlive the load.
    let shared = Arc::new(file.clone());
    let Places { lines, texts } = file.places();
    let (lines, texts) = (Arc::new(lines), Arc::new(texts));
    let entry = |(key, config): (&Spanned<String>, &ToolConfig)| Entry {
        file: shared.clone(),
        lines: lines.clone(),
        texts: texts.clone(),
        key: key.clone(),
        config: config.clone(),
        engine: loading.engine.clone(),
        capabilities: loading.capabilities.clone(),
        cache: loading.cache.clone(),
        steps: loading.threads.steps.of(key.get_ref()),
        lanes: ToolLanes {
            files: loading.threads.files.of(key.get_ref()),
            names: loading.threads.names.of(key.get_ref()),
        },
        apart: loading.apart.map(Path::to_owned),
        purpose: loading.purpose,
    };
    let load =
        |entry: Entry| async move { (entry.key.clone(), Arc::new(entry).load(loading.watch).await) }.boxed();
    file.config.tools.iter().map(entry).map(load).collect()
}

/// Inspects a component on its own: reads what it shows, and compiles nothing.
///
/// # Errors
/// When it cannot be read.
pub async fn inspect(path: &Path, cache: &Cache) -> Result<Component, CompileError> {
    inspect_bytes(path, &cache.read(path)?, cache).await
}

/// Inspects a component without the contract that is embedded in it. Also returns the bytes without the contract.
///
/// # Errors
/// When it cannot be read.
pub async fn unpacked(path: &Path, cache: &Cache) -> Result<(Vec<u8>, Component), CompileError> {
    let bytes = cache.read(path)?;
    // Bytes that are not a component stay as they are: the reader of descriptions reports best what they are.
    let bytes = airlock_contract::package::strip(&bytes).unwrap_or(bytes);
    let component = inspect_bytes(path, &bytes, cache).await?;
    Ok((bytes, component))
}

async fn inspect_bytes(path: &Path, bytes: &[u8], cache: &Cache) -> Result<Component, CompileError> {
    let info = cache.describe(bytes).await?;
    Ok(Component { path: path.to_owned(), digest: sha256(bytes).into(), info })
}
