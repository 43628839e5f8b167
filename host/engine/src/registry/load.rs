//! Loads a registry: components are read, described, compiled, linked, and checked against each other.
//!
//! Owns the order of loading, and the time that a step may take. Entries load in parallel, an entry with a problem is
//! left out, and every problem is reported, not only the first. Loading stops when a file system does not answer,
//! because it would not answer the next entry either. Must not know calls.

mod entry;
mod facts;
mod fallback;
mod holds;
mod imports;
mod older;
mod timing;
mod tools;
mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use toml::Spanned;
use wasmtime::Engine;

use super::Registry;
use super::code::Code;
use super::tool::Component;
use crate::blocking::Lanes;
use crate::capability;
use crate::capability::{Capabilities, http};
use crate::config::{ConfigFile, Places, ToolConfig};
use crate::sandbox::cache::Cache;
use crate::sandbox::compile::{CompileError, admit};
use crate::sandbox::run::ToolLanes;
use crate::signature;
use crate::signature::{Evidence, Fault, Policy, Signed};
use crate::webhook::Webhook;
use airlock_contract::component::{ComponentInfo, FunctionDocs, Problem};
use airlock_contract::package::{PackError, SectionError};
use airlock_contract::surface;
use airlock_contract::surface::Parts;
use airlock_types::diagnostic::{Diagnostic, Diagnostics};
use airlock_types::digest::sha256;
use airlock_types::limit::CompileLimits;
use entry::{Entry, Loaded};
pub(crate) use older::may_stay;
use tools::Tools;

/// Time for one step of loading that a file system may block: reading a component, or looking up its granted folders.
/// Far more than a slow disk needs for the largest component.
pub(crate) const STEP_MAX: Duration = Duration::from_secs(30);

/// Most threads that steps of loading may hold. Each entry holds at most one, with stuck ones of earlier reloads
/// included, so that repeated reloads take no more.
const STEP_THREADS_MAX: usize = 64;

/// Most threads that first calls may hold while they map and link code. Each entry holds at most one, beside the one for
/// loading it.
const FIRST_CALL_THREADS_MAX: usize = 32;

/// The threads for blocking work of a host. They outlive a reload, since a stuck thread does.
#[derive(Debug)]
pub(crate) struct Threads {
    /// For steps of loading; the key is the entry.
    pub(crate) steps: Lanes,
    /// For mapping and linking the code of a first call; the key is the entry. Apart from the steps of loading: a reload that
    /// hangs on the disk of a component must not stop its calls, whose code is in the cache.
    pub(crate) first_calls: Lanes,
    /// For file accesses of tools; the key is the entry.
    pub(crate) files: Lanes,
    /// For looking up the names of hosts; the key is the entry.
    pub(crate) names: Lanes,
}

impl Default for Threads {
    fn default() -> Threads {
        Threads {
            steps: Lanes::new(STEP_THREADS_MAX, 1),
            first_calls: Lanes::new(FIRST_CALL_THREADS_MAX, 1),
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
    /// The component of an entry is compiled, which may take half a minute for one that carries a language's runtime. Holds
    /// the registry's key.
    Compiling(String),
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
    /// Receives an event when an entry begins to load, when it is compiled and when it is loaded.
    pub watch: &'a (dyn Fn(LoadEvent) + Sync),
    pub(crate) purpose: Purpose,
    /// The time at which signatures must hold, since 1970 in seconds.
    pub(crate) now_s: u64,
    /// The tools that were signed when they were accepted, by public name.
    pub(crate) signed: &'a BTreeSet<String>,
    /// The entries that this process does not reach, by key. They count as broken, and are not read.
    pub(crate) out_of_reach: &'a OutOfReach,
    /// The code that is served now, by the key of the entry. What links alike is taken over and not linked again.
    pub(crate) older: &'a BTreeMap<String, Arc<Code>>,
}

/// The entries of a registry that a process does not reach any more, by key, each with its problems.
pub type OutOfReach = BTreeMap<String, Diagnostics>;

/// What a registry is loaded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Its tools are looked at. Nothing is compiled, and the cache stays as it is.
    Look,
    /// Its tools run. Code is mapped and linked when a call needs it.
    Run,
    /// As [`Purpose::Run`], and all of its code is mapped and linked now.
    Prove,
}

/// Why a registry was not loaded.
#[derive(Debug)]
pub(crate) enum LoadFailure {
    /// The file or a component has problems.
    Wrong(Diagnostics),
    /// The host failed at it: a compile process was killed, or the disk is full. Loading it again may go well.
    Failed(Diagnostics),
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
    // As they end, so that one that compiles for long keeps no core from the others.
    let mut loads = futures::stream::iter(entries(file, loading)).buffer_unordered(width);
    let mut loaded = Vec::new();
    while let Some(one) = loads.next().await {
        let is_stuck = matches!(one, (_, _, Err(LoadFailure::Stuck(_))));
        loaded.push(one);
        // Dropping the stream abandons the other entries; stuck threads keep their permits.
        if is_stuck {
            break;
        }
    }
    // In the order of the keys, so that problems come in the same order every time.
    loaded.sort_by_key(|(at, _, _)| *at);
    let mut found = Tools::default();
    for (_, key, tools) in loaded {
        match tools {
            Ok(tools) => tools.into_iter().for_each(|tool| found.add(file, &key, tool)),
            Err(LoadFailure::Wrong(Diagnostics(problems))) => found.leave_out(key.get_ref(), problems),
            Err(LoadFailure::Failed(Diagnostics(problems))) => {
                found.may_pass = true;
                found.leave_out(key.get_ref(), problems);
            }
            Err(LoadFailure::Stuck(Diagnostics(more))) => {
                let problems = found.broken.into_values().flatten().chain(more).collect();
                return Err(LoadFailure::Stuck(Diagnostics(problems)));
            }
        }
    }
    for (key, Diagnostics(problems)) in loading.out_of_reach {
        found.leave_out(key, problems.clone());
    }
    leave_out_secrets(file, loading.capabilities, &mut found);
    let webhook = webhook(file, loading, &mut found);
    Ok(Registry { webhook, ..found.finish(file) })
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

/// Who is told of held calls. None for a registry that is looked at.
fn webhook(file: &ConfigFile, loading: &Loading<'_>, found: &mut Tools) -> Option<Arc<Webhook>> {
    let written = file.config.approval.webhook.as_ref().filter(|_| loading.purpose != Purpose::Look)?;
    let (capabilities, lane) = (loading.capabilities, loading.threads.names.of(WEBHOOK));
    match Webhook::new(written.get_ref(), capabilities.secrets(), capabilities.resolver(), lane) {
        Ok(webhook) => webhook.map(Arc::new),
        Err(err) => {
            let problem = file.error(written.span(), err.to_string(), "this webhook", None);
            found.leave_out(WEBHOOK, vec![problem]);
            None
        }
    }
}

/// The setting, which is the key of no entry.
const WEBHOOK: &str = "approval.webhook";

/// One entry, loaded: its place among the keys, its key, and its tools.
type LoadedEntry = (usize, Spanned<String>, Loaded);

/// A future for each entry, in the order of the keys. Boxed, so that the type of the future of a load does not contain
/// all the futures inside it.
fn entries<'l>(file: &ConfigFile, loading: &'l Loading<'_>) -> Vec<BoxFuture<'l, LoadedEntry>> {
    // Shared by the threads of all entries, which may outlive the load.
    let shared = Arc::new(file.clone());
    let Places { lines, texts, forms } = file.places();
    let (lines, texts, forms) = (Arc::new(lines), Arc::new(texts), Arc::new(forms));
    let state = Arc::new(OnceLock::new());
    let entry = |(key, config): (&Spanned<String>, &ToolConfig)| Entry {
        file: shared.clone(),
        state: state.clone(),
        lines: lines.clone(),
        texts: texts.clone(),
        forms: forms.clone(),
        key: key.clone(),
        config: config.clone(),
        engine: loading.engine.clone(),
        capabilities: loading.capabilities.clone(),
        cache: loading.cache.clone(),
        steps: loading.threads.steps.of(key.get_ref()),
        first_calls: loading.threads.first_calls.of(key.get_ref()),
        older: loading.older.get(key.get_ref()).cloned(),
        lanes: ToolLanes {
            files: loading.threads.files.of(key.get_ref()),
            names: loading.threads.names.of(key.get_ref()),
        },
        apart: loading.apart.map(Path::to_owned),
        purpose: loading.purpose,
        now_s: loading.now_s,
        was_signed: loading.signed.iter().any(|name| config.may_show(key.get_ref(), name)),
    };
    let load = |(at, entry): (usize, Entry)| {
        async move { (at, entry.key.clone(), Arc::new(entry).load(loading.watch).await) }.boxed()
    };
    let reached =
        file.config.tools.iter().filter(|(key, _)| !loading.out_of_reach.contains_key(key.get_ref()));
    reached.map(entry).enumerate().map(load).collect()
}

/// Inspects a component on its own: reads what it shows, and compiles nothing.
///
/// # Errors
/// When it cannot be read.
pub async fn inspect(path: &Path, cache: &Cache) -> Result<Component, CompileError> {
    inspect_bytes(path, &cache.read(path)?, cache).await
}

/// A component without what is embedded in it.
#[derive(Debug)]
pub struct Unpacked {
    /// Its bytes, without the contract and signatures.
    pub bytes: Vec<u8>,
    /// What it shows.
    pub component: Component,
    /// Whether a contract was embedded, valid or not.
    pub had_contract: bool,
    /// The doc comments that were embedded, by function. An error when the section is damaged.
    pub docs: Result<BTreeMap<String, FunctionDocs>, SectionError>,
}

/// Inspects a component without the contract that is embedded in it.
///
/// # Errors
/// When it cannot be read.
pub async fn unpacked(path: &Path, cache: &Cache) -> Result<Unpacked, CompileError> {
    let bytes = cache.read(path)?;
    let had_contract = airlock_contract::package::has_contract(&bytes);
    let docs = airlock_contract::package::packed(&bytes).map(|packed| packed.unwrap_or_default().docs);
    // Bytes that are not a component stay as they are: the reader of descriptions reports best what they are.
    let bytes = airlock_contract::package::strip(&bytes).unwrap_or(bytes);
    let component = inspect_bytes(path, &bytes, cache).await?;
    Ok(Unpacked { bytes, component, had_contract, docs })
}

/// Verifies who made a component, without a registry that loads it. `was_signed` is whether it was signed when it was
/// accepted, and `now_s` the time since 1970 in seconds.
///
/// # Errors
/// When the component cannot be read or described. Whether its signatures hold is the value.
pub async fn verified(
    path: &Path,
    cache: &Cache,
    policy: &Policy,
    was_signed: bool,
    now_s: u64,
) -> Result<Result<Signed, Fault>, SignableError> {
    let bytes = cache.read(path)?;
    let found = Evidence::find(path, &bytes).and_then(|found| found.authenticate(&bytes, policy, was_signed));
    let authentic = match found {
        Ok(authentic) => authentic,
        Err(fault) => return Ok(Err(fault)),
    };
    let parts = match authentic.has_statements() {
        false => None,
        true => match signable_parts(&bytes, cache).await {
            Ok(parts) => Some(parts),
            // What was signed could be described.
            Err(_) if authentic.contradicts() => return Ok(Err(Fault::Digest)),
            Err(unusable) => return Err(unusable),
        },
    };
    let digest = authentic.digest().to_owned();
    let about =
        parts.as_ref().map(|parts| signature::Component { name: &policy.name, digest: &digest, parts });
    Ok(authentic.judge(about.as_ref(), policy, now_s))
}

/// What can be signed of a component: its bytes without signatures, and its parts.
///
/// # Errors
/// When it cannot be read, or its contract has problems.
pub async fn signable(path: &Path, cache: &Cache) -> Result<(Vec<u8>, Parts), SignableError> {
    let bytes = cache.read(path)?;
    // Before its sections are read, which of another file are a riddle.
    admit(&bytes, &CompileLimits::default())?;
    let bytes = airlock_contract::package::unsigned(&bytes)?.into_owned();
    let parts = signable_parts(&bytes, cache).await?;
    Ok((bytes, parts))
}

async fn signable_parts(bytes: &[u8], cache: &Cache) -> Result<Parts, SignableError> {
    let info = cache.describe(bytes).await?;
    if info.problems.is_empty() {
        return Ok(Parts::of(&info)?);
    }
    // The problems of the contract, with their places, as a load reports them.
    Ok(Parts::of(&info).and_then(|_| Err(described(&info)))?)
}

fn described(info: &ComponentInfo) -> Diagnostics {
    let one = |problem: &Problem| Diagnostic::without_place(&problem.message, problem.hint.clone());
    Diagnostics(info.problems.iter().map(one).collect())
}

/// Why a component cannot be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignableError {
    /// It cannot be read or described.
    #[error(transparent)]
    Unusable(#[from] CompileError),
    /// Its sections cannot be read.
    #[error(transparent)]
    Sections(#[from] PackError),
    /// A host would refuse its contract.
    #[error("its contract has problems, for which a host would refuse it:\n{0}")]
    Contract(#[from] Diagnostics),
}

async fn inspect_bytes(path: &Path, bytes: &[u8], cache: &Cache) -> Result<Component, CompileError> {
    let info = cache.describe(bytes).await?;
    let wit = surface::wit(&info);
    let signed = Signed::Unasked;
    Ok(Component {
        path: path.to_owned(),
        digest: sha256(bytes).into(),
        wit,
        signed,
        signed_until_ms: None,
        info,
    })
}
