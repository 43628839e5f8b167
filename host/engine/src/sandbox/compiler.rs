//! The choice of compiler: a confined process, or this process for programs that embed the host.

use std::path::PathBuf;

use super::compile::{self, CompileError};

/// The compiler of components. Default: the `airlock` program beside this one.
#[derive(Clone, Debug, Default)]
pub struct Compiler(Choice);

#[derive(Clone, Debug, Default)]
enum Choice {
    #[default]
    Beside,
    Program(PathBuf),
    #[cfg(feature = "in-process-compiler")]
    InProcess,
}

/// The compiler in use, after the look-up.
#[derive(Debug)]
pub(super) enum Found {
    /// An `airlock`, run for each component.
    Program(PathBuf),
    /// This process.
    #[cfg(feature = "in-process-compiler")]
    InProcess,
}

impl Compiler {
    /// This `airlock` program, started for each component as a confined process.
    pub fn program(path: impl Into<PathBuf>) -> Compiler {
        Compiler(Choice::Program(path.into()))
    }

    /// This process itself, for programs that trust their components as they trust their own code.
    ///
    /// None of what confines a compiler exists here: a component that is made for it can take all processor time and
    /// memory of this process, and a bug of the compiler is one of this process. `compile.cpu_s_max` and
    /// `compile.memory_bytes_max` of the registry are not enforced; after `compile.wall_s_max` loading ends with an
    /// error, and the thread goes on until the compiler is done. `compile.component_bytes_max` holds.
    ///
    /// Needs the Cargo feature `in-process-compiler`.
    #[cfg(feature = "in-process-compiler")]
    pub fn in_process_for_trusted_components() -> Compiler {
        Compiler(Choice::InProcess)
    }

    /// Resolves the choice; looks for the program if none was named.
    pub(super) fn find(&self) -> Result<Found, CompileError> {
        match &self.0 {
            Choice::Beside => compile::locate().map(Found::Program),
            Choice::Program(path) => Ok(Found::Program(path.clone())),
            #[cfg(feature = "in-process-compiler")]
            Choice::InProcess => Ok(Found::InProcess),
        }
    }
}
