//! Compiling components, in a process of their own with limits of its own.
//!
//! A small hostile component can keep the compiler busy for minutes (with fuel on, its time grows with the
//! square of the input), and the engine does not count that as a vulnerability. So the server never
//! compiles: it starts `airlock compile`, whose processor time, memory and wall time are bounded, and
//! which dies alone. Owns that process, both of its ends. Must not know tools or the cache's folder.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use wasmtime::component::Component;

use super::engine::{self, Optimize};
use crate::contract::digest::sha256;
use crate::contract::surface::Surface;

/// What one compilation may use. The largest components at hand, language runtimes of 12 to 18 MB, need
/// 15–26 s of processor time and 480 MB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Processor time, in seconds.
    pub cpu_s_max: u64,
    /// Memory, in bytes.
    pub memory_bytes_max: u64,
    /// Time by the clock, in seconds.
    pub wall_s_max: u64,
    /// Size of the component, in bytes.
    pub component_bytes_max: u64,
}

impl Default for CompileLimits {
    fn default() -> CompileLimits {
        CompileLimits {
            cpu_s_max: 60,
            memory_bytes_max: 1 << 30,
            wall_s_max: 180,
            component_bytes_max: 64 << 20,
        }
    }
}

/// Why a component was not compiled. The texts are whole sentences for an operator.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// It is not WebAssembly.
    #[error("this is not WebAssembly: it does not begin with `\\0asm`")]
    NotWasm,
    /// It is a core module.
    #[error(
        "this is a core module, not a component; make a component of it with `wasm-tools component new`, or \
         build for `wasm32-wasip2`"
    )]
    CoreModule,
    /// It is already compiled.
    #[error("this is precompiled code, which is only trusted from Airlock's own cache; give the `.wasm`")]
    Precompiled,
    /// It is too large.
    #[error("it has {bytes} bytes; at most {max} are allowed")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// The engine refuses it.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// It took too much to compile.
    #[error("compiling it took more than {0}; raise `[compile]` in airlock.toml if you trust it")]
    OverBudget(String),
    /// The compile process could not be run.
    #[error("the compile process failed: {0}")]
    Process(String),
}

/// What the compile process reports.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) surface: Surface,
    /// SHA-256 of the compiled code, hex.
    pub(crate) code_digest: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Done(Box<Report>),
    Invalid(String),
}

/// Refuses what is no component by its first bytes.
pub(crate) fn admit(bytes: &[u8], limits: &CompileLimits) -> Result<(), CompileError> {
    if bytes.len() as u64 > limits.component_bytes_max {
        return Err(CompileError::TooLarge { bytes: bytes.len() as u64, max: limits.component_bytes_max });
    }
    if wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err(CompileError::Precompiled);
    }
    if wasmparser::Parser::is_core_wasm(bytes) {
        return Err(CompileError::CoreModule);
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(CompileError::NotWasm);
    }
    Ok(())
}

/// Compiles `bytes` into the file `out`, in a process of its own.
pub(crate) async fn compile(
    program: &Path,
    limits: &CompileLimits,
    bytes: &[u8],
    out: &Path,
) -> Result<Report, CompileError> {
    match attempt(program, limits, bytes, out, Optimize::Speed).await {
        // Without optimization the time grows with the size, not with its square.
        Err(CompileError::OverBudget(_)) => attempt(program, limits, bytes, out, Optimize::None).await,
        ended => ended,
    }
}

async fn attempt(
    program: &Path,
    limits: &CompileLimits,
    bytes: &[u8],
    out: &Path,
    optimize: Optimize,
) -> Result<Report, CompileError> {
    let process = |err: std::io::Error| CompileError::Process(format!("{}: {err}", program.display()));
    let mut command = tokio::process::Command::new(program);
    command
        .arg("compile")
        .arg(out)
        .args(["--cpu-s-max", &limits.cpu_s_max.to_string()])
        .args(["--memory-bytes-max", &limits.memory_bytes_max.to_string()])
        .env_clear()
        // The allocator would reserve a gigabyte that counts against the limit before anything is in it.
        .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if optimize == Optimize::None {
        command.arg("--unoptimized");
    }
    let mut child = command.spawn().map_err(process)?;
    let stdin = child.stdin.take();
    let feed = async {
        // A child that dies early closes the pipe; its exit says why.
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(bytes).await;
        }
    };
    let run = async { tokio::join!(feed, child.wait_with_output()).1 };
    let Ok(output) = tokio::time::timeout(Duration::from_secs(limits.wall_s_max), run).await else {
        return Err(CompileError::OverBudget(format!("{} s by the clock", limits.wall_s_max)));
    };
    ended(&output.map_err(process)?, limits)
}

fn ended(output: &std::process::Output, limits: &CompileLimits) -> Result<Report, CompileError> {
    use std::os::unix::process::ExitStatusExt as _;
    const SIGKILL: i32 = 9;
    const SIGXCPU: i32 = 24;
    match serde_json::from_slice(&output.stdout) {
        Ok(Answer::Done(report)) if output.status.success() => Ok(*report),
        Ok(Answer::Invalid(reason)) => Err(CompileError::Invalid(reason)),
        Ok(Answer::Done(_)) | Err(_) => Err(match output.status.signal() {
            Some(SIGXCPU | SIGKILL) => {
                CompileError::OverBudget(format!("{} s of processor time", limits.cpu_s_max))
            }
            Some(_) => CompileError::OverBudget(format!("{} bytes of memory", limits.memory_bytes_max)),
            None => CompileError::Process(
                String::from_utf8_lossy(&output.stderr).chars().take(500).collect::<String>(),
            ),
        }),
    }
}

/// The other end: what `airlock compile` does. Reads the component from stdin, writes code to `out`, and
/// answers on stdout.
///
/// # Errors
/// Only for trouble of the host's: an invalid component is an answer.
pub fn worker(out: &Path, cpu_s_max: u64, memory_bytes_max: u64, unoptimized: bool) -> anyhow::Result<()> {
    use rlimit::Resource;
    Resource::CPU.set(cpu_s_max, cpu_s_max + 1)?;
    // Counts what can be written, so that reserved address space is free.
    Resource::DATA.set(memory_bytes_max, memory_bytes_max)?;
    Resource::CORE.set(0, 0)?;
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    let optimize = if unoptimized { Optimize::None } else { Optimize::Speed };
    let engine = engine::compiler(optimize).map_err(|err| anyhow::anyhow!("{err:#}"))?;
    let answer = match translate(&engine, &bytes) {
        Ok((surface, code)) => {
            write_private(out, &code)?;
            Answer::Done(Box::new(Report { surface, code_digest: sha256(&code) }))
        }
        Err(err) => Answer::Invalid(format!("{err:#}").chars().take(2_000).collect()),
    };
    serde_json::to_writer(std::io::stdout().lock(), &answer)?;
    Ok(())
}

fn translate(engine: &wasmtime::Engine, bytes: &[u8]) -> wasmtime::Result<(Surface, Vec<u8>)> {
    let component = Component::from_binary(engine, bytes)?;
    let surface = super::surface::read(engine, &component.component_type(), bytes);
    Ok((surface, component.serialize()?))
}

fn write_private(path: &Path, code: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)?;
    file.write_all(code)?;
    file.sync_all()
}

/// The program that can compile: this one where it is `airlock`, else the `airlock` beside it or one folder
/// up, as test binaries and examples of one build lie.
pub(crate) fn locate() -> Result<PathBuf, CompileError> {
    let this = std::env::current_exe().map_err(|err| CompileError::Process(err.to_string()))?;
    let beside = this.ancestors().skip(1).take(2).map(|folder| folder.join("airlock"));
    beside.into_iter().find(|program| program.is_file()).ok_or_else(|| {
        CompileError::Process(format!(
            "no `airlock` program beside {}; set the program explicitly",
            this.display()
        ))
    })
}
