//! Compiled components on disk.
//!
//! Owns a private folder of compiled code, keyed by what the code was made of: the component's digest and the
//! engine's configuration. Whoever can write into it can run native code in the host, hence its rules: the
//! folder belongs to this user and to nobody else, files are read-only and named by content, and what is
//! mapped was digested first. Must not know tools.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::Engine;
use wasmtime::component::Component;

use super::compile::{self, CompileError, CompileLimits, Report};
use crate::contract::digest::sha256;
use crate::contract::surface::Surface;
use crate::state::{self, StateError};

/// Compiles, or finds what was compiled before.
#[derive(Debug)]
pub struct Compiler {
    program: PathBuf,
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
    digest: String,
    key: PathBuf,
}

/// Why the cache's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It cannot be made, or others could write into it.
    #[error("the compile cache: {0}")]
    State(#[from] StateError),
    /// No program that compiles.
    #[error(transparent)]
    Program(#[from] CompileError),
}

impl Compiler {
    /// A compiler with its folder, which is made where it is missing. `program` is the `airlock` to run;
    /// without one it is looked for beside this program.
    pub fn new(
        folder: &Path,
        limits: CompileLimits,
        program: Option<PathBuf>,
    ) -> Result<Compiler, CacheError> {
        state::folder(folder)?;
        let program = program.map_or_else(compile::locate, Ok)?;
        Ok(Compiler { program, limits, folder: folder.to_owned() })
    }

    /// The largest component that is compiled.
    pub(crate) fn component_bytes_max(&self) -> u64 {
        self.limits.component_bytes_max
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
        let digest = sha256(&bytes);
        let key = self.folder.join(format!("{digest}-{:016x}", settings_key(engine)));
        Ok(match cached(engine, &key) {
            Some((component, Report { surface, .. })) => {
                Looked::Found(Box::new(Compiled { component, surface, digest }))
            }
            None => Looked::Missing(Missing { bytes, digest, key }),
        })
    }

    /// Compiles what the cache does not hold, and keeps it there.
    pub(crate) async fn compile(&self, engine: &Engine, missing: Missing) -> Result<Compiled, CompileError> {
        let Missing { bytes, digest, key } = missing;
        let Report { surface, .. } = self.keep(&bytes, &key).await?;
        match cached(engine, &key) {
            Some((component, _)) => Ok(Compiled { component, surface, digest }),
            None => Err(CompileError::Process("the compiled code could not be read back".into())),
        }
    }

    async fn keep(&self, bytes: &[u8], key: &Path) -> Result<Report, CompileError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let aside =
            key.with_extension(format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        let report = compile::compile(&self.program, &self.limits, bytes, &aside).await;
        let kept = report.and_then(|report| {
            let json = serde_json::to_vec(&report).map_err(std::io::Error::from);
            json.and_then(|json| {
                let index = aside.with_added_extension("json");
                state::write(&index, &json)?;
                std::fs::rename(&aside, code_path(key))?;
                std::fs::rename(&index, index_path(key))
            })
            .map_err(|err| CompileError::Process(format!("cannot write the cache: {err}")))?;
            Ok(report)
        });
        if kept.is_err() {
            let _ = std::fs::remove_file(&aside);
        }
        kept
    }
}

fn code_path(key: &Path) -> PathBuf {
    key.with_added_extension("cwasm")
}

fn index_path(key: &Path) -> PathBuf {
    key.with_added_extension("json")
}

fn settings_key(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    hasher.finish()
}

/// What the cache holds under this key; anything that does not fit is as good as nothing, and is made anew.
fn cached(engine: &Engine, key: &Path) -> Option<(Component, Report)> {
    let report: Report = serde_json::from_slice(&trusted(&index_path(key))?).ok()?;
    let path = code_path(key);
    let code = trusted(&path)?;
    if sha256(&code) != report.code_digest {
        tracing::warn!("a file of the compile cache does not match its digest and is made anew");
        let _ = std::fs::remove_file(&path);
        return None;
    }
    Some((map(engine, &path)?, report))
}

/// A file of the cache, if it is one that nobody else can have written.
fn trusted(path: &Path) -> Option<Vec<u8>> {
    state::read(path).unwrap_or_else(|err| {
        tracing::warn!("a file of the compile cache is made anew: {err}");
        None
    })
}

#[expect(unsafe_code, reason = "the engine can only take precompiled code on trust; see the proof inside")]
fn map(engine: &Engine, path: &Path) -> Option<Component> {
    // SAFETY: the file was written by our own compile process through `Component::serialize`, its digest is
    // the one that process reported, and it is a regular file of this user, without another name, in a folder
    // that only this user can write to, which `state` checked. So nobody but this user could have put other code there or
    // can change it while it is mapped, and this user can run code anyway. Code of other engine versions or
    // settings is refused by the engine itself.
    unsafe { Component::deserialize_file(engine, path) }.ok()
}
