//! Who compiles components: a process with limits of its own, unless an embedding program says otherwise.

use std::path::PathBuf;

use super::compile::{self, CompileError};

/// Who compiles components. Without another choice it is the `airlock` program that lies beside this one.
#[derive(Clone, Debug, Default)]
pub struct Compiler(Choice);

#[derive(Clone, Debug, Default)]
enum Choice {
    #[default]
    Beside,
    Program(PathBuf),
}

/// What compiles, found.
#[derive(Debug)]
pub(super) enum Found {
    /// An `airlock`, run for each component.
    Program(PathBuf),
}

impl Compiler {
    /// This `airlock` program, started for each component as a confined process.
    pub fn program(path: impl Into<PathBuf>) -> Compiler {
        Compiler(Choice::Program(path.into()))
    }

    /// Looks for the program where none was named.
    pub(super) fn find(&self) -> Result<Found, CompileError> {
        match &self.0 {
            Choice::Beside => compile::locate().map(Found::Program),
            Choice::Program(path) => Ok(Found::Program(path.clone())),
        }
    }
}
