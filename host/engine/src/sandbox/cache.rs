//! Compiled components on disk.
//!
//! Owns a private folder of compiled code. Whoever can write into it can run native code in the host, hence its rules:
//! the folder and its files belong to this user and to nobody else. Code is named by its own digest. An index says
//! which component it was made of, for which engine, and what that component shows; it ends in none of these by its
//! name alone, so that a file that lies at another's place, or is cut off, edited or old, is found out and made anew.
//! Must not know tools.

mod entry;

use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;

use super::compile::{self, CompileError, Program};
use super::compiler::{Compiler, Found};
use crate::file;
use crate::file::FileError;
use airlock_contract::surface::Surface;
use airlock_journal::state;
use airlock_journal::state::StateError;
use airlock_types::digest::sha256;
use airlock_types::limit::CompileLimits;
use entry::{Entry, Kept};

/// The empty folder in which the compile process runs.
const EMPTY: &str = "empty";

/// Compiles, or finds what was compiled before.
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
    pub(crate) surface: Surface,
    /// SHA-256 of the component as it was given, hex.
    pub(crate) digest: String,
}

/// What the cache says of a component.
pub(crate) enum Looked {
    /// It was compiled before.
    Found(Box<Compiled>),
    /// It must be compiled.
    Missing(Missing),
}

/// A component that the cache does not hold.
pub(crate) struct Missing {
    bytes: Vec<u8>,
    entry: Entry,
}

/// Why the cache's folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// It cannot be made, or others could write into it.
    #[error("the compile cache: {0}")]
    State(#[from] StateError),
    /// It cannot be read.
    #[error("the cache folder {} cannot be used: {source}", .path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something is in the folder that the compile process runs in.
    #[error("the folder {} must be empty: the compile process runs in it; remove what is inside", .0.display())]
    NotEmpty(PathBuf),
    /// No program that compiles.
    #[error(transparent)]
    Program(#[from] CompileError),
}

impl Cache {
    /// A cache in this folder, which is made where it is missing, and who fills it.
    ///
    /// # Errors
    /// When the folder cannot be used, or there is no program that compiles.
    pub fn new(folder: &Path, limits: CompileLimits, compiler: &Compiler) -> Result<Cache, CacheError> {
        let empty = folder.join(EMPTY);
        // The compile process is started in another folder, from which a relative path would lead elsewhere.
        let empty = std::path::absolute(&empty).map_err(|source| CacheError::Io { path: empty, source })?;
        state::folder(folder)?;
        state::folder(&empty)?;
        let io = |source| CacheError::Io { path: empty.clone(), source };
        if std::fs::read_dir(&empty).map_err(io)?.next().is_some() {
            return Err(CacheError::NotEmpty(empty));
        }
        Ok(Cache { compiler: compiler.find()?, empty, limits, folder: folder.to_owned() })
    }

    /// The bytes of a component's file, at most as many as the limits allow.
    ///
    /// # Errors
    /// When it cannot be read, is not a regular file or is too large.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>, CompileError> {
        file::read(path, self.limits.component_bytes_max).map_err(|err| match err {
            FileError::TooLarge { bytes, max } => CompileError::TooLarge { bytes, max },
            err => CompileError::Unreadable(err),
        })
    }

    /// The component of these bytes, compiled at most once for this engine's settings.
    pub(crate) async fn load(&self, engine: &Engine, bytes: Vec<u8>) -> Result<Compiled, CompileError> {
        match self.look(engine, bytes)? {
            Looked::Found(compiled) => Ok(*compiled),
            Looked::Missing(missing) => self.compile(engine, missing).await,
        }
    }

    /// The component of these bytes, if it was compiled before.
    pub(crate) fn look(&self, engine: &Engine, bytes: Vec<u8>) -> Result<Looked, CompileError> {
        compile::admit(&bytes, &self.limits)?;
        let entry = Entry::new(&self.folder, sha256(&bytes), engine);
        Ok(match entry.find(engine, self.limits.memory_bytes_max) {
            Some(kept) => Looked::Found(Box::new(entry.compiled(kept))),
            None => Looked::Missing(Missing { bytes, entry }),
        })
    }

    /// Compiles what the cache does not hold, and keeps it there.
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
        // On success it has another name by now.
        let _ = std::fs::remove_file(&aside);
        kept?;
        match entry.find(engine, self.limits.memory_bytes_max) {
            Some(kept) => Ok(entry.compiled(kept)),
            None => Err(CompileError::Process("the compiled code could not be read back".into())),
        }
    }
}

impl Entry {
    fn compiled(&self, kept: Kept) -> Compiled {
        let Kept { component, surface } = kept;
        Compiled { component, surface, digest: self.component().to_owned() }
    }
}
