//! Compiled components on disk.
//!
//! Owns a private folder of compiled code. Write access to it allows running native code in the host, so the folder and
//! its files must belong to this user alone. Code is named by its own digest. An index names the component, the engine
//! and the description of that code. Names alone are never trusted: a file that was moved, truncated, edited or is
//! outdated is detected and compiled again. Must not know tools.

mod entry;

use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;

use super::compile::{self, CompileError, Program};
use super::compiler::{Compiler, Found};
use crate::file;
use crate::file::FileError;
use airlock_contract::component::ComponentInfo;
use airlock_journal::state;
use airlock_journal::state::StateError;
use airlock_types::digest::sha256;
use airlock_types::limit::CompileLimits;
use entry::{Entry, Kept};

/// Name of the empty folder that the compile process runs in.
const EMPTY: &str = "empty";

/// Finds compiled components, or compiles them.
#[derive(Debug)]
pub struct Cache {
    compiler: Found,
    empty: PathBuf,
    limits: CompileLimits,
    folder: PathBuf,
}

/// A component ready to be linked, and what it shows.
pub(crate) struct Compiled {
    pub(crate) component: Component,
    pub(crate) info: ComponentInfo,
    /// SHA-256 of the component's bytes as they were read, in hex.
    pub(crate) digest: String,
}

/// The result of a cache look-up.
pub(crate) enum Lookup {
    /// The component was compiled before, and its code is intact.
    Found(Box<Compiled>),
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
        let empty = folder.join(EMPTY);
        // The compile process runs in another folder, where a relative path would resolve differently.
        let empty = std::path::absolute(&empty).map_err(|source| CacheError::Io { path: empty, source })?;
        state::folder(folder)?;
        state::folder(&empty)?;
        let io = |source| CacheError::Io { path: empty.clone(), source };
        if std::fs::read_dir(&empty).map_err(io)?.next().is_some() {
            return Err(CacheError::NotEmpty(empty));
        }
        Ok(Cache { compiler: compiler.find()?, empty, limits, folder: folder.to_owned() })
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

    /// The component of these bytes. It is compiled at most once for this engine's settings.
    pub(crate) async fn load(&self, engine: &Engine, bytes: Vec<u8>) -> Result<Compiled, CompileError> {
        match self.look(engine, bytes)? {
            Lookup::Found(compiled) => Ok(*compiled),
            Lookup::Missing(missing) => self.compile(engine, missing).await,
        }
    }

    /// Looks up the component of these bytes without compiling.
    pub(crate) fn look(&self, engine: &Engine, bytes: Vec<u8>) -> Result<Lookup, CompileError> {
        // Size and first bytes come before the digest, which reads all bytes.
        compile::admit(&bytes, &self.limits)?;
        let entry = Entry::new(&self.folder, sha256(&bytes), engine);
        // The bound that code has when it is received from the compile process.
        Ok(match entry.find(engine, self.limits.memory_bytes_max) {
            Some(kept) => Lookup::Found(Box::new(entry.compiled(kept))),
            None => Lookup::Missing(Missing { bytes, entry }),
        })
    }

    /// Compiles a missing component and stores it.
    pub(crate) async fn compile(&self, engine: &Engine, missing: Missing) -> Result<Compiled, CompileError> {
        let Missing { bytes, entry } = missing;
        let aside = entry.aside();
        let report = match &self.compiler {
            Found::Program(path) => {
                let program = Program { path, folder: &self.empty };
                compile::compile(&program, &self.limits, &bytes, &aside).await
            }
            #[cfg(feature = "in-process-compiler")]
            Found::InProcess => compile::compile_in_process(&self.limits, bytes, &aside).await,
        };
        let kept = report.and_then(|report| {
            entry
                .keep(&aside, report)
                .map_err(|err| CompileError::Process(format!("cannot write the cache: {err}")))
        });
        // Fails after a success, because the file was renamed. After a failure it removes what was written so far.
        let _ = std::fs::remove_file(&aside);
        kept?;
        // Read back through the checks of every look-up, so that there is one way from the disk to running code.
        match entry.find(engine, self.limits.memory_bytes_max) {
            Some(kept) => Ok(entry.compiled(kept)),
            None => Err(CompileError::Process("the compiled code could not be read back".into())),
        }
    }
}

impl Entry {
    fn compiled(&self, kept: Kept) -> Compiled {
        let Kept { component, info } = kept;
        Compiled { component, info, digest: self.component().to_owned() }
    }
}
