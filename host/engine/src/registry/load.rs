//! From a registry's file to tools: read, compiled, linked, checked against each other.
//!
//! Owns the order of loading, and how long a step of it may take. Entries are loaded in parallel; every problem is
//! reported, not the first. Where a file system does not answer, loading ends there: it would not answer the next
//! entry either.

mod entry;
mod fallback;
mod imports;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use toml::Spanned;
use wasmtime::Engine;

use super::Registry;
use super::tool::{Component, Tool};
use crate::blocking::Lanes;
use crate::capability;
use crate::config::ConfigFile;
use crate::sandbox::cache::{Cache, Compiled};
use crate::sandbox::compile::CompileError;
use airlock_types::diagnostic::{Diagnostic, Diagnostics};
use entry::Entry;

/// Time for one step of loading that a file system may hold up: reading a component, looking up its granted folders.
/// Far more than a slow disk needs for the largest component.
pub(crate) const STEP_MAX: Duration = Duration::from_secs(30);

/// Threads that steps of loading may hold. Each entry has one at most, stuck ones of earlier reloads included, so
/// that reloading again and again takes no more of them.
const STEP_THREADS_MAX: usize = 64;

/// The threads of what may block in a host: they outlive a reload, as stuck ones do.
#[derive(Debug)]
pub(crate) struct Threads {
    /// Steps of loading, by entry.
    pub(crate) steps: Lanes,
    /// File accesses of tools, by entry.
    pub(crate) files: Lanes,
}

impl Default for Threads {
    fn default() -> Threads {
        Threads {
            steps: Lanes::new(STEP_THREADS_MAX, 1),
            files: Lanes::new(capability::THREADS_ALL_TOOLS, capability::THREADS_PER_TOOL),
        }
    }
}

/// What happens while a registry loads, for those who watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadEvent {
    /// A component is being read, and compiled if it must be.
    Started(String),
    /// It is ready; whether its code came from the cache.
    Ready {
        /// The registry's key.
        name: String,
        /// Whether its code came from the cache.
        cached: bool,
    },
}

/// What loading needs.
pub struct Loading<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) cache: Arc<Cache>,
    pub(crate) threads: &'a Threads,
    /// A folder besides the state folder that no tool may be granted.
    pub(crate) apart: Option<&'a Path>,
    /// Who watches.
    pub watch: &'a (dyn Fn(LoadEvent) + Sync),
}

/// Why there are no tools.
#[derive(Debug)]
pub(crate) enum Unloaded {
    /// Something is wrong.
    Wrong(Diagnostics),
    /// A step did not end in time.
    Stuck(Diagnostics),
}

impl From<Diagnostics> for Unloaded {
    fn from(problems: Diagnostics) -> Unloaded {
        Unloaded::Wrong(problems)
    }
}

/// Loads a registry.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub(crate) async fn load(file: &ConfigFile, loading: &Loading<'_>) -> Result<Registry, Unloaded> {
    let width = std::thread::available_parallelism().map_or(1, usize::from);
    let shared = Arc::new(file.clone());
    // Boxed, so that whoever spawns a load need not know how it is made of others.
    let loads: Vec<_> = file
        .config
        .tools
        .iter()
        .map(|(key, config)| Entry {
            file: shared.clone(),
            key: key.clone(),
            config: config.clone(),
            engine: loading.engine.clone(),
            cache: loading.cache.clone(),
            steps: loading.threads.steps.of(key.get_ref()),
            files: loading.threads.files.of(key.get_ref()),
            apart: loading.apart.map(Path::to_owned),
        })
        .map(|entry| async move { (entry.key.clone(), Arc::new(entry).load(loading.watch).await) }.boxed())
        .collect();
    let mut loads = futures::stream::iter(loads).buffered(width);
    let mut problems = Vec::new();
    let mut registry = Registry { warnings: file.warnings(), ..Registry::default() };
    while let Some((key, tools)) = loads.next().await {
        match tools {
            Ok(tools) => {
                tools.into_iter().for_each(|tool| add(file, &key, tool, &mut registry, &mut problems))
            }
            Err(Unloaded::Wrong(Diagnostics(more))) => problems.extend(more),
            Err(Unloaded::Stuck(Diagnostics(more))) => {
                problems.extend(more);
                return Err(Unloaded::Stuck(Diagnostics(problems)));
            }
        }
    }
    if problems.is_empty() {
        problems = fallback::problems(file, &registry);
    }
    if problems.is_empty() { Ok(registry) } else { Err(Diagnostics(problems).into()) }
}

/// A component by itself: compiled or found in the cache, and what it shows.
///
/// # Errors
/// When it cannot be read or compiled.
pub async fn inspect(path: &Path, cache: &Cache) -> Result<Component, CompileError> {
    inspect_bytes(path, cache.read(path)?, cache).await
}

/// A component by itself without the contract that is embedded in it, and its bytes.
///
/// # Errors
/// When it cannot be read or compiled.
pub async fn unpacked(path: &Path, cache: &Cache) -> Result<(Vec<u8>, Component), CompileError> {
    let bytes = cache.read(path)?;
    // What is no component is left as it is: the compiler says better what it is.
    let bytes = airlock_contract::package::strip(&bytes).unwrap_or(bytes);
    let component = inspect_bytes(path, bytes.clone(), cache).await?;
    Ok((bytes, component))
}

async fn inspect_bytes(path: &Path, bytes: Vec<u8>, cache: &Cache) -> Result<Component, CompileError> {
    let engine = crate::sandbox::engine::compiler(crate::sandbox::engine::Optimize::Speed)
        .map_err(|err| CompileError::Process(format!("{err:#}")))?;
    let Compiled { surface, digest, .. } = cache.load(&engine, bytes).await?;
    Ok(Component { path: path.to_owned(), digest: digest.into(), surface })
}

fn add(
    file: &ConfigFile,
    key: &Spanned<String>,
    (tool, warnings): (Tool, Vec<String>),
    registry: &mut Registry,
    problems: &mut Vec<Diagnostic>,
) {
    registry.warnings.extend(warnings);
    if registry.tools.contains_key(&tool.name) {
        let message = format!("two tools would be called `{}`", tool.name);
        problems.push(file.error(key.span(), message, "one of them is from here", None));
        return;
    }
    registry.tools.insert(tool.name.clone(), Arc::new(tool));
}
