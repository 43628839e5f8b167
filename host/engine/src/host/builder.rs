//! Opens a host from its parts, in the required order.
//!
//! Owns that order and the default of each part. Must not know what a part does.

mod source;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::confined::suit_confinement;
use super::fixed::Fixed;
use super::load::{Means, first_loaded, pool};
use super::{Condition, Host, OpenError};
use crate::capability::keyvalue::{KeyValues, Pairs};
use crate::capability::{Capabilities, Capability, Resolve};
use crate::config::ConfigFile;
use crate::confinement::Confinement;
use crate::environment::World;
use crate::execute::{Execute, Sandbox};
use crate::generation::{Access, Accesses, Answers, Generation, Holds, Keys, Parts};
use crate::registry::{LoadEvent, OutOfReach, Purpose, Registry, Threads};
use crate::sandbox::compiler::Compiler;
use crate::sandbox::engine::Backend;
use crate::secret::{Seal, Unseal};
use airlock_journal::{Interrupted, Journal, JournalError, answers, holds, keys, keyvalue};
use airlock_types::environment::SharedEnvironment;
use source::Records;
pub use source::{JournalSource, RegistrySource};

/// The default registry, the same as for the `airlock` program.
const REGISTRY: &str = "airlock.toml";

/// The parts of a host. Each has a default: the registry `airlock.toml` of the working directory, a journal in its
/// state folder, the compiler beside this program, the clocks and the random source of this machine, and the sandbox.
#[must_use = "a host is there once the builder is opened"]
pub struct HostBuilder<'w> {
    registry: RegistrySource,
    journal: JournalSource,
    compiler: Compiler,
    capabilities: Vec<Capability>,
    resolver: Option<Arc<dyn Resolve>>,
    unseal: Option<Arc<dyn Unseal>>,
    seal: Option<Arc<dyn Seal>>,
    environment: SharedEnvironment,
    execute: Box<MakeExecute>,
    confinement: Option<Confinement>,
    leaves_out_broken: bool,
    proves_code: bool,
    asks_lock: bool,
    backend: Backend,
    /// Whether the pairs of the state folder are read, though the journal is in memory.
    reads_pairs: bool,
    watch: &'w (dyn Fn(LoadEvent) + Sync),
}

/// Makes the executor of attempts from the sandbox.
type MakeExecute = dyn FnOnce(Sandbox) -> Arc<dyn Execute> + Send;

impl Host {
    /// A builder with the default of every part.
    pub fn builder() -> HostBuilder<'static> {
        HostBuilder {
            registry: Path::new(REGISTRY).into(),
            journal: JournalSource(Records::StateFolder),
            compiler: Compiler::default(),
            capabilities: Vec::new(),
            resolver: None,
            unseal: None,
            seal: None,
            environment: Arc::new(World::new()),
            execute: Box::new(|sandbox| Arc::new(sandbox)),
            confinement: Some(Confinement::none("the program does not confine itself")),
            leaves_out_broken: false,
            proves_code: false,
            asks_lock: true,
            backend: Backend::Native,
            reads_pairs: false,
            watch: &|_| {},
        }
    }
}

impl<'w> HostBuilder<'w> {
    /// Sets the registry of tools: a path, or a [`ConfigFile`]. Default: `airlock.toml`.
    pub fn registry(self, registry: impl Into<RegistrySource>) -> HostBuilder<'w> {
        HostBuilder { registry: registry.into(), ..self }
    }

    /// Sets the journal: [`Journal::memory`](airlock_journal::Journal::memory), or the path of a file in an existing folder. The registry's
    /// `journal.bytes_max` bounds it; a journal in memory has its own bound as well. Default: a file in the state
    /// folder.
    pub fn journal(self, journal: impl Into<JournalSource>) -> HostBuilder<'w> {
        HostBuilder { journal: journal.into(), ..self }
    }

    /// Sets the compiler of components. Default: the `airlock` program beside this one.
    pub fn compiler(self, compiler: Compiler) -> HostBuilder<'w> {
        HostBuilder { compiler, ..self }
    }

    /// Adds a capability of this program, which a registry grants as `grants.custom.NAME`.
    pub fn capability(mut self, capability: Capability) -> HostBuilder<'w> {
        self.capabilities.push(capability);
        self
    }

    /// Sets the source of the addresses of hosts that tools send requests to. Whatever it returns is checked. Default: the
    /// operating system.
    pub fn resolver(self, resolver: Arc<dyn Resolve>) -> HostBuilder<'w> {
        HostBuilder { resolver: Some(resolver), ..self }
    }

    /// Sets what decrypts the age files of secrets. Default: nothing, and such secrets cannot be read.
    pub fn unseal(self, unseal: Arc<dyn Unseal>) -> HostBuilder<'w> {
        HostBuilder { unseal: Some(unseal), ..self }
    }

    /// Sets what encrypts cassettes to `journal.recipient`. Default: nothing, and a registry with this setting is refused.
    pub fn seal(self, seal: Arc<dyn Seal>) -> HostBuilder<'w> {
        HostBuilder { seal: Some(seal), ..self }
    }

    /// Sets the source of time and randomness.
    pub fn environment(self, environment: SharedEnvironment) -> HostBuilder<'w> {
        HostBuilder { environment, ..self }
    }

    /// Puts another source of time and randomness over the one that was set.
    pub(crate) fn over_environment(
        self,
        over: impl FnOnce(SharedEnvironment) -> SharedEnvironment,
    ) -> HostBuilder<'w> {
        HostBuilder { environment: over(self.environment), ..self }
    }

    /// Sets the executor of attempts: something in front of the sandbox, such as [`Faulty`](crate::execute::Faulty).
    /// Default: the sandbox alone.
    pub fn execute(self, make: impl FnOnce(Sandbox) -> Arc<dyn Execute> + Send + 'static) -> HostBuilder<'w> {
        HostBuilder { execute: Box::new(make), ..self }
    }

    /// States how this program has confined its process. Default: not at all, and a registry with
    /// `host.confine = "require"` is refused.
    pub fn confinement(self, confinement: Confinement) -> HostBuilder<'w> {
        HostBuilder { confinement: Some(confinement), ..self }
    }

    /// Opens the host for a program that makes no calls, such as a list of tools. No component runs in it, so
    /// `host.confine` does not apply, and nothing is compiled: a call ends with `host.internal`.
    pub fn without_calls(self) -> HostBuilder<'w> {
        HostBuilder { confinement: None, ..self }
    }

    /// Sets the receiver of the progress of loading. Default: none.
    pub fn watch<'n>(self, watch: &'n (dyn Fn(LoadEvent) + Sync)) -> HostBuilder<'n> {
        HostBuilder { watch, ..self }
    }

    /// Opens the host without the entries that are broken, instead of not at all: [`Host::problems`] says which. Without
    /// this a broken entry is an error, which a program cannot overlook.
    pub fn leave_out_broken(self) -> HostBuilder<'w> {
        HostBuilder { leaves_out_broken: true, ..self }
    }

    /// Maps and links the code of every component before the host opens. Without this, code that the cache has is mapped and
    /// linked by the first call of its component, which then takes some milliseconds more. For checks of a registry.
    pub fn prove_code(self) -> HostBuilder<'w> {
        HostBuilder { proves_code: true, ..self }
    }

    /// Opens the host without asking the lock. For replays, which try what was not accepted yet; such a host makes no calls.
    pub fn without_lock(self) -> HostBuilder<'w> {
        HostBuilder { asks_lock: false, ..self }
    }

    /// Runs guests on the engine's interpreter. For replays: a result that it repeats is no fault of the code generator.
    ///
    /// Needs the Cargo feature `pulley`.
    #[cfg(feature = "pulley")]
    pub fn interpreted(self) -> HostBuilder<'w> {
        HostBuilder { backend: Backend::Interpreter, ..self }
    }

    /// Lets tools read the pairs that are kept in the state folder, while the journal is in memory. None of them is changed. For
    /// replays in which reading is real.
    pub fn reading_pairs(self) -> HostBuilder<'w> {
        HostBuilder { reads_pairs: true, ..self }
    }

    /// Opens the host.
    ///
    /// # Errors
    /// Fails when the registry, its lock, the cache, the journal or the engine cannot be used.
    pub async fn open(self) -> Result<Host, OpenError> {
        // Destructured without `..`, so that a part cannot be set and then ignored.
        let HostBuilder {
            registry,
            journal,
            compiler,
            capabilities,
            resolver,
            unseal,
            seal,
            environment,
            execute,
            confinement,
            leaves_out_broken,
            proves_code,
            asks_lock,
            backend,
            reads_pairs,
            watch,
        } = self;
        let capabilities =
            Capabilities::with(capabilities)?.resolving(resolver).unsealing(unseal).sealing(seal);
        // Resolved before tools load, since no tool may be granted this folder.
        let read = tokio::task::spawn_blocking(move || places(registry, journal));
        let (file, journal, journal_folder, [keyvalues, beside @ ..]) = read.await.map_err(panicked)??;
        // Before anything of a component is read, and before a database opens.
        suit_confinement(&file, confinement.as_ref()).await?;
        let pairs = pairs(keyvalues, reads_pairs, &file);
        let capabilities = capabilities.keeping(KeyValues::new(pairs, &environment.seed()));
        // Awaited below, so that it opens while components compile.
        let journal = opening(journal, file.clone());
        let purpose = purpose(confinement.as_ref(), proves_code);
        let engine = pool(&file, backend)?;
        let threads = Threads::default();
        let means = Means {
            engine: &engine,
            capabilities: &capabilities,
            compiler: &compiler,
            apart: journal_folder.as_deref(),
            threads: &threads,
            environment: &*environment,
            purpose,
            out_of_reach: &OutOfReach::new(),
            older: &Registry::default(),
        };
        let (registry, served) = first_loaded(&file, &means, watch, (leaves_out_broken, asks_lock)).await?;
        let journal = journal.await.map_err(panicked)??;
        // Only now: an embedding program's executor is not made for a host that is refused.
        let execute = execute(Sandbox::new(engine.clone(), environment.clone()));
        let kept = kept(beside, &file, &environment).await;
        let parts = Arc::new(Parts::new(engine, execute, environment, journal, kept));
        let access = Arc::new(Access::of(&file));
        let condition = Condition { may_pass: registry.may_pass().into(), ..Condition::default() };
        let first = Generation::new(parts.clone(), &file, registry, access.clone(), None);
        // Last: what is reported once must be reported by a host that opens.
        let interrupted = interrupted(&parts).await?;
        Ok(Host {
            parts,
            capabilities,
            compiler,
            journal_folder,
            folder: file.folder().to_owned(),
            calls: Arc::default(),
            fixed: Fixed::of(&file),
            confinement,
            purpose,
            current: ArcSwap::from_pointee(first),
            accesses: Mutex::new(Accesses::new(access)),
            served,
            threads,
            condition,
            drain_began: OnceLock::new(),
            generations: watch::Sender::new(0),
            interrupted,
        })
    }
}

/// What components are loaded for. Their code is compiled and mapped only by who runs it.
fn purpose(confinement: Option<&Confinement>, proves_code: bool) -> Purpose {
    match (confinement, proves_code) {
        (None, _) => Purpose::Look,
        (Some(_), false) => Purpose::Run,
        (Some(_), true) => Purpose::Prove,
    }
}

/// The registry, the journal with its folder if it is not the state folder, and the files beside it.
type Places = (ConfigFile, JournalSource, Option<PathBuf>, [Option<PathBuf>; 4]);

fn places(registry: RegistrySource, journal: JournalSource) -> Result<Places, OpenError> {
    let file = registry.read()?;
    let folder = journal.folder()?;
    let beside = [keyvalue::FILE, answers::FILE, keys::FILE, holds::FILE]
        .map(|name| journal.beside(&file, folder.as_deref(), name));
    Ok((file, journal, folder, beside))
}

/// Opens the journal on a thread of its own.
fn opening(journal: JournalSource, file: ConfigFile) -> JoinHandle<Result<Journal, JournalError>> {
    tokio::task::spawn_blocking(move || journal.open(&file))
}

/// What is kept in files beside the records. Of holds also which components a rule of first use does not hold any more.
async fn kept(
    [answers, keys, holds]: [Option<PathBuf>; 3],
    file: &ConfigFile,
    environment: &SharedEnvironment,
) -> (Answers, Keys, Holds) {
    let holds = Holds::new(holds, environment.seed());
    if file.config.holds.iter().any(|rule| rule.get_ref().first_use) {
        holds.read_known(environment).await;
    }
    (Answers::new(answers), Keys::new(keys), holds)
}

/// Where the pairs of tools are.
fn pairs(path: Option<PathBuf>, are_read: bool, file: &ConfigFile) -> Pairs {
    match (path, are_read) {
        (None, true) => Pairs::Read(file.state().join(keyvalue::FILE)),
        (None, false) => Pairs::Memory,
        (Some(path), _) => Pairs::File(path),
    }
}

/// The calls that earlier processes left open. Whatever keeps the journal from telling them is no reason not to open.
async fn interrupted(parts: &Arc<Parts>) -> Result<Vec<Interrupted>, JournalError> {
    let parts = parts.clone();
    let settled = tokio::task::spawn_blocking(move || parts.journal.settle_interrupted());
    Ok(settled.await.map_err(panicked)?.unwrap_or_else(|err| {
        tracing::warn!("calls that an earlier process left open are reported at the next start: {err}");
        Vec::new()
    }))
}

/// The error of a blocking task that panicked, or was dropped with the runtime.
fn panicked(err: tokio::task::JoinError) -> JournalError {
    JournalError::Read(err.to_string())
}
