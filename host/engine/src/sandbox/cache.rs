//! Compiled components and their descriptions on disk.
//!
//! Owns a private folder of compiled code. Write access to it allows running native code in the host, so the folder and
//! its files must belong to this user alone. Code is named by its own digest. An index names the component and the engine
//! of that code; a description names the file of the component, contract included. Names alone are never trusted: a file
//! that was moved, truncated, edited or is outdated is detected and made again. Must not know tools.

mod bound;
mod description;
mod document;
mod entry;

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;

use super::compile::{self, CompileError, Program};
use super::compiler::{Compiler, Resolved};
use super::engine::Backend;
use crate::file;
use crate::file::FileError;
use airlock_contract::component::ComponentInfo;
use airlock_contract::package;
use airlock_journal::state;
use airlock_journal::state::StateError;
use airlock_types::digest::sha256;
use airlock_types::limit::CompileLimits;
use bound::Bound;
use description::Description;
use entry::Entry;

/// Name of the empty folder that the compile process runs in.
const EMPTY: &str = "empty";

/// Describes components, and finds compiled ones or compiles them.
#[derive(Debug)]
pub struct Cache {
    compiler: Resolved,
    empty: PathBuf,
    limits: CompileLimits,
    folder: PathBuf,
    bound: Bound,
}

/// A component that was read.
pub(crate) struct Source {
    bytes: Vec<u8>,
    /// SHA-256 of these bytes, in hex.
    digest: String,
    /// Its description, if the cache has it.
    known: Option<Known>,
}

/// What the cache knows of a component that was loaded before: it was valid, met its contract and could be linked.
pub(crate) struct Known {
    pub(crate) info: ComponentInfo,
    /// Digest of what is executed of it, in hex.
    pub(crate) executed: String,
    /// The functions whose contracts this build has judged and found to be right, by their full addresses.
    pub(crate) judged: BTreeSet<String>,
}

/// The result of a cache look-up.
pub(crate) enum Lookup {
    /// The component was compiled before, and its code is intact.
    Found(Box<Component>),
    /// The component must be compiled.
    Missing(Missing),
}

/// A component that the cache does not hold.
pub(crate) struct Missing {
    bytes: Vec<u8>,
    entry: Entry,
}

/// Why the cache cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The folder cannot be created, or other users could write to it.
    #[error("the compile cache: {0}")]
    State(#[from] StateError),
    /// It cannot be read.
    #[error("the cache folder {} cannot be used: {source}", .path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The working folder of the compile process is not empty.
    #[error("the folder {} must be empty: the compile process runs in it; remove what is inside", .0.display())]
    NotEmpty(PathBuf),
    /// No compiling program was found.
    #[error(transparent)]
    Program(#[from] CompileError),
}

impl Cache {
    /// A cache in this folder, which is created if missing, filled by `compiler`.
    ///
    /// # Errors
    /// Fails when the folder cannot be used, or no compiling program is found.
    pub fn new(folder: &Path, limits: CompileLimits, compiler: &Compiler) -> Result<Cache, CacheError> {
        let empty = working_folder(folder)?;
        let bound = Bound::new(limits.cache_bytes_max);
        Ok(Cache { compiler: compiler.find()?, empty, limits, folder: folder.to_owned(), bound })
    }

    /// Makes the folders again that were removed since the cache was opened.
    fn remake(&self) -> Result<(), CompileError> {
        working_folder(&self.folder).map(drop).map_err(|err| CompileError::Process(err.to_string()))
    }

    fn program<'a>(&'a self, path: &'a Path) -> Program<'a> {
        Program::Path { path, folder: &self.empty }
    }

    /// Reads the file of a component, up to the size limit.
    ///
    /// # Errors
    /// Fails when the file cannot be read, is not a regular file or is too large.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>, CompileError> {
        file::read(path, self.limits.component_bytes_max).map_err(|err| match err {
            FileError::TooLarge { bytes, max } => CompileError::TooLarge { bytes, max },
            err => CompileError::Unreadable(err),
        })
    }

    /// A component of these bytes, with its description if the cache has it.
    ///
    /// # Errors
    /// Fails when the bytes cannot be a component.
    pub(crate) fn source(&self, engine: &Engine, bytes: Vec<u8>) -> Result<Source, CompileError> {
        // Size and first bytes come before the digest, which reads all bytes.
        compile::admit(&bytes, &self.limits)?;
        let digest = sha256(&bytes);
        let known = self.description(engine, &digest).find();
        Ok(Source { bytes, digest, known })
    }

    /// Says what a component shows. Compiles nothing, and leaves nothing in the cache.
    pub(crate) async fn describe(&self, bytes: &[u8]) -> Result<ComponentInfo, CompileError> {
        compile::admit(bytes, &self.limits)?;
        self.remake()?;
        match &self.compiler {
            Resolved::Program(path) => compile::describe(&self.program(path), &self.limits, bytes).await,
            Resolved::Starter(starter) => {
                compile::describe(&Program::Starter(starter), &self.limits, bytes).await
            }
            #[cfg(feature = "in-process-compiler")]
            Resolved::InProcess => compile::describe_in_process(&self.limits, bytes.to_vec()).await,
        }
    }

    /// Keeps the description of a component that was loaded, so that it is read once. `judged` are the functions whose
    /// contracts were found to be right.
    pub(crate) fn keep_description(
        &self,
        engine: &Engine,
        (digest, info): (&str, &ComponentInfo),
        executed: &str,
        judged: &BTreeSet<String>,
    ) {
        // The next load reads it again. What cannot be written here was not needed for this one.
        if let Err(err) = self.description(engine, digest).keep(info, executed, judged) {
            tracing::warn!("the compile cache cannot keep the description of a component: {err}");
        }
    }

    fn description(&self, engine: &Engine, digest: &str) -> Description {
        Description::new(&self.folder, digest, settings(engine))
    }

    /// Whether the code of what has this digest is there. It is mapped, and proven, when it is looked up.
    pub(crate) fn has(&self, engine: &Engine, executed: &str) -> bool {
        self.entry(engine, executed).is_there(self.limits.memory_bytes_max)
    }

    /// The code of what has this digest, if it is there and intact.
    pub(crate) fn find(&self, engine: &Engine, executed: &str) -> Option<Component> {
        // The bound that code has when it is received from the compile process.
        self.entry(engine, executed).find(engine, self.limits.memory_bytes_max)
    }

    fn entry(&self, engine: &Engine, executed: &str) -> Entry {
        Entry::new(&self.folder, executed.to_owned(), settings(engine))
    }

    /// Looks up the code of a component without compiling. Also returns the digest of what is executed of it.
    pub(crate) fn look(&self, engine: &Engine, source: Source) -> (Lookup, String) {
        let Source { bytes, digest, .. } = source;
        // What is executed does not depend on the contract, so packing another one compiles nothing.
        let (bytes, executed) = match package::strip(&bytes) {
            Ok(stripped) if stripped.len() != bytes.len() => {
                let digest = sha256(&stripped);
                (stripped, digest)
            }
            _ => (bytes, digest),
        };
        let looked = match self.find(engine, &executed) {
            Some(component) => Lookup::Found(Box::new(component)),
            None => Lookup::Missing(Missing { bytes, entry: self.entry(engine, &executed) }),
        };
        (looked, executed)
    }

    /// Compiles a missing component and stores it.
    pub(crate) async fn compile(&self, engine: &Engine, missing: Missing) -> Result<Component, CompileError> {
        let Missing { bytes, entry } = missing;
        self.remake()?;
        let (aside, how) = (entry.aside(), (&self.limits, Backend::of(engine)));
        let code = match &self.compiler {
            Resolved::Program(path) => compile::compile(&self.program(path), how, &bytes, &aside).await,
            Resolved::Starter(starter) => {
                compile::compile(&Program::Starter(starter), how, &bytes, &aside).await
            }
            #[cfg(feature = "in-process-compiler")]
            Resolved::InProcess => compile::compile_in_process(how, bytes, &aside).await,
        };
        let written = std::fs::metadata(&aside).map_or(0, |file| file.len());
        let component = code.and_then(|code| {
            // Read back through the checks of every look-up, so that there is one way from the disk to running code.
            let kept = || entry.keep(&aside, code).map(|()| entry.find(engine, self.limits.memory_bytes_max));
            self.bound
                .around(&self.folder, written, kept)
                .map_err(|err| CompileError::Process(format!("cannot write the cache: {err}")))
        });
        // Fails after a success, because the file was renamed. After a failure it removes what was written so far.
        let _ = std::fs::remove_file(&aside);
        component?.ok_or_else(|| CompileError::Process("the compiled code could not be read back".into()))
    }
}

/// The folder of the cache in a state folder. Both are created if they are missing.
pub(crate) fn folder_of(state: &Path) -> Result<PathBuf, StateError> {
    let folder = state.join("code");
    state::folder(state)?;
    state::folder(&folder)?;
    Ok(folder)
}

/// The folder of a cache that compile processes run in: absolute, because a relative path would be another one there.
pub(super) fn working_folder(folder: &Path) -> Result<PathBuf, CacheError> {
    let empty = folder.join(EMPTY);
    let empty = std::path::absolute(&empty).map_err(|source| CacheError::Io { path: empty, source })?;
    state::folder(folder)?;
    state::folder(&empty)?;
    let io = |source| CacheError::Io { path: empty.clone(), source };
    if std::fs::read_dir(&empty).map_err(io)?.next().is_some() {
        return Err(CacheError::NotEmpty(empty));
    }
    Ok(empty)
}

impl Source {
    /// SHA-256 of the component's bytes as they were read, in hex.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its description, if the cache has it.
    pub(crate) fn known(&mut self) -> Option<Known> {
        self.known.take()
    }
}

/// A short name of everything besides the component that compiled code and descriptions depend on. The engine checks its
/// own settings again when it maps code, so a collision of this hash is no danger.
fn settings(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
