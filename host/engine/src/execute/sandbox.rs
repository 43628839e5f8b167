//! The executor of a real host: each attempt runs in a fresh instance.

use wasmtime::Engine;

use super::{Attempt, Execute, Running};
use crate::sandbox::engine::Backend;
use crate::sandbox::run;
use airlock_types::environment::SharedEnvironment;

/// Runs attempts in the sandbox. Clones share the engine.
#[derive(Clone)]
pub struct Sandbox {
    engine: Engine,
    environment: SharedEnvironment,
}

impl Sandbox {
    /// What runs the code of guests.
    pub(crate) fn backend(&self) -> Backend {
        Backend::of(&self.engine)
    }

    pub(crate) fn new(engine: Engine, environment: SharedEnvironment) -> Sandbox {
        Sandbox { engine, environment }
    }
}

impl Execute for Sandbox {
    fn run<'a>(&'a self, attempt: Attempt<'a>) -> Running<'a> {
        Box::pin(run::run(&self.engine, &self.environment, attempt))
    }
}
