//! The compile process: what `airlock compile` runs.
//!
//! Owns the order of its steps. Must not know the cache.

use std::io::{Read as _, Write};

use wasmtime::component::Component;

use super::super::confine::{self, Confinement};
use super::super::describe;
use super::super::engine::{self, Optimize};
use super::answer;
use airlock_contract::component::ComponentInfo;

/// The settings of a compile process, given by its parent.
#[derive(Clone, Copy, Debug)]
pub struct Worker {
    /// Process id of the parent. The process ends when the parent does.
    pub parent: u32,
    /// Limit of processor time, in seconds.
    pub cpu_s_max: u64,
    /// Limit of writable memory, in bytes.
    pub memory_bytes_max: u64,
    /// Whether to compile without optimizations, which takes time linear in the size.
    pub unoptimized: bool,
}

impl Worker {
    fn confine(&self) -> anyhow::Result<Vec<String>> {
        let Worker { parent, cpu_s_max, memory_bytes_max, unoptimized: _ } = *self;
        Ok(confine::confine(&Confinement { parent, cpu_s_max, memory_bytes_max })?)
    }
}

/// Reads a component from stdin, compiles it and writes the answer to stdout.
///
/// # Errors
/// Fails only for errors of the host. An invalid component is an answer.
pub fn work(worker: &Worker) -> anyhow::Result<()> {
    // First: no byte of the component is read with more rights than compiling needs.
    let missing = worker.confine()?;
    let optimize = if worker.unoptimized { Optimize::None } else { Optimize::Speed };
    let engine = engine::compiler(optimize).map_err(|err| anyhow::anyhow!("{err:#}"))?;
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    reply(&engine, &bytes, missing, std::io::stdout().lock())
}

/// Compiles a component and writes the answer to `out`: description and code, or the reason for a refusal.
pub(super) fn reply(
    engine: &wasmtime::Engine,
    bytes: &[u8],
    missing: Vec<String>,
    out: impl Write,
) -> anyhow::Result<()> {
    match translate(engine, bytes) {
        Ok((info, code)) => answer::send(out, info, missing, &code),
        Err(err) => answer::refuse(out, &format!("{err:#}")),
    }
}

fn translate(engine: &wasmtime::Engine, bytes: &[u8]) -> wasmtime::Result<(ComponentInfo, Vec<u8>)> {
    // The cheapest check comes first: a rejected section saves the compilation.
    let sections = describe::sections(bytes).map_err(wasmtime::Error::msg)?;
    let component = Component::from_binary(engine, bytes)?;
    let info = describe::read(engine, &component.component_type(), sections).map_err(wasmtime::Error::msg)?;
    Ok((info, component.serialize()?))
}

/// Confines this process as for a component, tries what a confined process must not be able to do, and prints the
/// result of each attempt. Exists for the tests of the confinement.
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
