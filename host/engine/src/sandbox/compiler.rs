//! The choice of compiler: a confined process, or this process for programs that embed the host.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cache::{self, CacheError};
use super::compile::starter::Starter;
use super::compile::{self, CompileError};

/// The compiler of components. Default: the `airlock` program beside this one.
#[derive(Clone, Debug, Default)]
pub struct Compiler(Choice);

#[derive(Clone, Debug, Default)]
enum Choice {
    #[default]
    Beside,
    Program(PathBuf),
    Starter(Arc<Starter>),
    #[cfg(feature = "in-process-compiler")]
    InProcess,
}

/// A compiler that was found.
#[derive(Debug)]
pub(super) enum Resolved {
    /// The path of an `airlock` program, run once for each component.
    Program(PathBuf),
    /// The process that starts such programs.
    Starter(Arc<Starter>),
    /// This process.
    #[cfg(feature = "in-process-compiler")]
    InProcess,
}

impl Compiler {
    /// The `airlock` program at this path. It runs as a confined process for each component.
    pub fn program(path: impl Into<PathBuf>) -> Compiler {
        Compiler(Choice::Program(path.into()))
    }

    /// A process that starts the `airlock` program at this path for each component, for a program that is about to be
    /// confined and cannot start one itself any more. It is started here, and ends with this process. `state` is the
    /// state folder of the registry, whose cache it works for.
    ///
    /// # Errors
    /// When the cache cannot be used, or the program cannot be started.
    pub fn starter(program: &Path, state: &Path) -> Result<Compiler, CacheError> {
        let folder = cache::working_folder(&cache::folder_of(state)?)?;
        let starter = Starter::start(program, &folder)
            .map_err(|err| CompileError::Process(format!("{}: {err}", program.display())))?;
        Ok(Compiler(Choice::Starter(Arc::new(starter))))
    }

    /// Whether the process of [`Compiler::starter`] has ended, so that nothing that is new is compiled any more.
    pub(crate) fn has_ended(&self) -> bool {
        match &self.0 {
            Choice::Starter(starter) => starter.has_ended(),
            Choice::Beside | Choice::Program(_) => false,
            #[cfg(feature = "in-process-compiler")]
            Choice::InProcess => false,
        }
    }

    /// This process itself, for programs that trust their components as they trust their own code.
    ///
    /// Nothing confines the compiler here. A hostile component can take all processor time and memory of this process,
    /// and a bug of the compiler is a bug of this process. `compile.cpu_s_max` and `compile.memory_bytes_max` of the
    /// registry are not enforced. After `compile.wall_s_max` loading ends with an error, and the thread continues until
    /// the compiler is done. `compile.component_bytes_max` is enforced.
    ///
    /// Needs the Cargo feature `in-process-compiler`.
    #[cfg(feature = "in-process-compiler")]
    pub fn in_process_for_trusted_components() -> Compiler {
        Compiler(Choice::InProcess)
    }

    /// Resolves the choice. Searches for the program if none was named.
    ///
    /// # Errors
    /// When no program was named and none is found.
    pub(super) fn find(&self) -> Result<Resolved, CompileError> {
        match &self.0 {
            Choice::Beside => compile::locate().map(Resolved::Program),
            // Not looked for: a wrong path fails when the program is started, with an error that names it.
            Choice::Program(path) => Ok(Resolved::Program(path.clone())),
            Choice::Starter(starter) => Ok(Resolved::Starter(starter.clone())),
            #[cfg(feature = "in-process-compiler")]
            Choice::InProcess => Ok(Resolved::InProcess),
        }
    }
}
