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

/// A compiler that was found.
#[derive(Debug)]
pub(super) enum Resolved {
    /// The path of an `airlock` program, run once for each component.
    Program(PathBuf),
    /// This process.
    #[cfg(feature = "in-process-compiler")]
    InProcess,
}

impl Compiler {
    /// The `airlock` program at this path. It runs as a confined process for each component.
    pub fn program(path: impl Into<PathBuf>) -> Compiler {
        Compiler(Choice::Program(path.into()))
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
            #[cfg(feature = "in-process-compiler")]
            Choice::InProcess => Ok(Resolved::InProcess),
        }
    }
}
