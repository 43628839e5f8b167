//! The compile process: what `airlock compile` runs.
//!
//! Owns the order of its steps. Must not know the cache.

use std::io::{Read as _, Write};

use wasmtime::component::Component;

use super::super::confine::{self, Confinement};
use super::super::describe;
use super::super::engine::{self, Optimize};
use super::answer::{self, Refused};
use airlock_contract::component::ComponentInfo;
use airlock_types::limit::{
    CORE_INSTANCES_MAX, MEMORIES_MAX, MEMORY_BYTES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX,
};

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
        Err(err) => answer::refuse(out, refused(&format!("{err:#}"))),
    }
}

fn refused(error: &str) -> Refused {
    oversized(error).map_or_else(|| Refused::Invalid(error.to_owned()), Refused::Oversized)
}

/// What is larger than the engine's pool has for one instance, if that is what the engine says. It has no type for it,
/// only texts; a test holds them.
fn oversized(error: &str) -> Option<String> {
    let number_before = |text: &str| error.split_once(text)?.0.rsplit(' ').next()?.parse::<u64>().ok();
    let number_after = |text: &str| error.split_once(text)?.1.split(' ').next()?.parse::<u64>().ok();
    let counts = [
        (" core module instances", "core instances", u64::from(CORE_INSTANCES_MAX)),
        (" Wasm linear memories", "memories", u64::from(MEMORIES_MAX)),
        (" tables, which exceeds", "tables", u64::from(TABLES_MAX)),
    ];
    let sizes = [
        ("minimum element size of ", "elements in a table", TABLE_ELEMENTS_MAX),
        ("minimum byte size of ", "bytes in a memory", MEMORY_BYTES_MAX),
    ];
    let count = counts.into_iter().find_map(|(text, what, max)| {
        let n = number_before(text)?;
        Some(format!("{n} {what}, and at most {max} are possible; a composition has those of all its parts"))
    });
    let size = || {
        sizes.into_iter().find_map(|(text, what, max)| {
            Some(format!("{} {what} from the start, and at most {max} are possible", number_after(text)?))
        })
    };
    let rest = || error.contains("in pooling allocator requirements").then(|| error.to_owned());
    count.or_else(size).or_else(rest)
}

fn translate(engine: &wasmtime::Engine, bytes: &[u8]) -> wasmtime::Result<(ComponentInfo, Vec<u8>)> {
    // The cheapest check comes first: a rejected section saves the compilation.
    let sections = describe::sections(bytes).map_err(wasmtime::Error::msg)?;
    let component = Component::from_binary(engine, bytes)?;
    let info = describe::read(engine, &component, sections).map_err(wasmtime::Error::msg)?;
    Ok((info, component.serialize()?))
}

/// The work of a compile process in this process, for the fuzz targets: its answers go nowhere.
#[derive(Debug)]
pub struct Examiner(wasmtime::Engine);

impl Examiner {
    /// None when the engine does not start on this machine.
    pub fn new() -> Option<Examiner> {
        engine::compiler(Optimize::None).ok().map(Examiner)
    }

    /// Whether the component gets an answer: its code, or the reason why there is none.
    pub fn answers(&self, component: &[u8]) -> bool {
        reply(&self.0, component, Vec::new(), std::io::sink()).is_ok()
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
