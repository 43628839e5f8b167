//! The compile process: what `airlock compile` runs.
//!
//! Owns the order of its steps. Must not know the cache.

use std::io::{Read as _, Write};

use serde::{Deserialize, Serialize};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::super::confine::{self, Confinement};
use super::super::describe;
use super::super::describe::DescribeError;
use super::super::engine::{self, Backend, Optimize};
use super::answer::{self, Refusal};

/// The settings of a compile process, given by its parent.
#[derive(Clone, Copy, Debug)]
pub struct Worker {
    /// Process id of the parent. The process ends when the parent does.
    pub parent: u32,
    /// Limit of processor time, in seconds.
    pub cpu_s_max: u64,
    /// Limit of writable memory, in bytes.
    pub memory_bytes_max: u64,
    /// What it is to do.
    pub task: Task,
}

/// What is to be done with a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Say what it shows. No code is compiled.
    Describe,
    /// Compile it.
    Compile {
        /// Without optimizations, which takes time linear in the size.
        unoptimized: bool,
        /// For whom.
        backend: Backend,
    },
}

impl Worker {
    fn confine(&self) -> anyhow::Result<Vec<String>> {
        let Worker { parent, cpu_s_max, memory_bytes_max, task: _ } = *self;
        Ok(confine::confine(&Confinement { parent, cpu_s_max, memory_bytes_max })?)
    }
}

/// Reads a component from stdin, describes or compiles it and writes the answer to stdout.
///
/// # Errors
/// Fails only for errors of the host. An invalid component is an answer.
pub fn work(worker: &Worker) -> anyhow::Result<()> {
    // First: no byte of the component is read with more rights than compiling needs.
    let missing = worker.confine()?;
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    reply(worker.task, &bytes, missing, std::io::stdout().lock())
}

/// Does a task with a component and writes the answer to `out`: description or code, or the reason for a refusal.
pub(super) fn reply(task: Task, bytes: &[u8], missing: Vec<String>, out: impl Write) -> anyhow::Result<()> {
    match task {
        Task::Describe => match describe::read(bytes) {
            Ok(info) => answer::send_description(out, info, missing),
            Err(err) => answer::refuse(out, err.into()),
        },
        Task::Compile { unoptimized, backend } => {
            let optimize = if unoptimized { Optimize::None } else { Optimize::Speed };
            let engine = engine::compiler(backend, optimize).map_err(|err| anyhow::anyhow!("{err:#}"))?;
            match translate(&engine, bytes) {
                Ok(code) => answer::send_code(out, missing, &code),
                Err(refused) => answer::refuse(out, refused),
            }
        }
    }
}

impl From<DescribeError> for Refusal {
    fn from(err: DescribeError) -> Refusal {
        match err {
            DescribeError::Oversized(reason) => Refusal::Oversized(reason),
            DescribeError::Unsupported(reason) => Refusal::Unsupported(reason),
            err => Refusal::Invalid(err.to_string()),
        }
    }
}

/// The code of a component, if the engine reads it as the host does.
fn translate(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let info = describe::shown(bytes)?;
    if let Some(unsupported) = info.unsupported {
        return Err(Refusal::Unsupported(unsupported));
    }
    let refused = |err: wasmtime::Error| engine_refused(&format!("{err:#}"));
    let component = Component::from_binary(engine, bytes).map_err(refused)?;
    if !describe::agrees(&info, engine, &component) {
        // A fault of the host. Values of wrong types would reach the guest.
        return Err(Refusal::Invalid("the engine reads its types otherwise than the host does".into()));
    }
    component.serialize().map_err(refused)
}

/// What the description could not count is counted by the engine, which says so by text alone.
fn engine_refused(error: &str) -> Refusal {
    let of_the_pool = ["in the pooling allocator", "in pooling allocator requirements"];
    if of_the_pool.iter().any(|text| error.contains(text)) {
        Refusal::Oversized(error.to_owned())
    } else {
        Refusal::Invalid(error.to_owned())
    }
}

/// The work of a compile process in this process, for the fuzz targets: its answers go nowhere.
#[derive(Debug)]
pub struct Examiner(Engine);

impl Examiner {
    /// None when the engine does not start on this machine.
    pub fn new() -> Option<Examiner> {
        engine::compiler(Backend::Native, Optimize::None).ok().map(Examiner)
    }

    /// Whether the component gets an answer and the host reads it as the engine does: a component that the engine accepts
    /// is described with the engine's types, or has a bound of the host.
    pub fn answers(&self, component: &[u8]) -> bool {
        let is_answered = reply(Task::Describe, component, Vec::new(), std::io::sink()).is_ok();
        let described = describe::shown(component);
        let compiled = Component::from_binary(&self.0, component);
        let is_agreed = match (&described, &compiled) {
            (Ok(info), Ok(compiled)) => {
                info.unsupported.is_none() && describe::agrees(info, &self.0, compiled)
            }
            (Err(err), Ok(_)) => err.is_bound(),
            (_, Err(_)) => true,
        };
        is_answered && is_agreed
    }
}

/// Confines itself as for a component, tries what a confined process must not be able to do, and prints what came of
/// each attempt. The tests of the confinement run it.
///
/// # Errors
/// When the process cannot be confined.
pub fn probe(worker: &Worker) -> anyhow::Result<()> {
    let missing = worker.confine()?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "missing: {}", missing.join(" "))?;
    for (attempt, outcome) in confine::probe(worker.parent) {
        writeln!(out, "{attempt}: {}", outcome.err().as_deref().unwrap_or("done"))?;
    }
    Ok(())
}
