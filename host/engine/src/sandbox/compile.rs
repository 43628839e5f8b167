//! Compiling components, in a separate process with its own limits.
//!
//! A small hostile component can keep the compiler busy for minutes (with fuel on, its time grows with the square of
//! the input), and the engine does not count that as a vulnerability. So the server does not compile in its own
//! process, unless an embedding program chooses that. It starts `airlock compile`, whose processor time, memory and
//! wall time are bounded, and which fails alone. All other work on untrusted bytes that can grow beyond their size runs
//! there, too: reading types, the embedded contract, documentation. Owns both ends of that process; its confinement is
//! in `confine`. Must not know tools or the cache's folder.

mod answer;
#[cfg(feature = "in-process-compiler")]
mod in_process;
mod worker;

use airlock_types::limit::CompileLimits;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, Command};

use super::engine::Optimize;
use crate::file::FileError;
use airlock_contract::component::ComponentInfo;
use answer::Answer;
#[cfg(feature = "in-process-compiler")]
pub(crate) use in_process::compile_in_process;
pub use worker::{Examiner, Worker, probe, work};

/// Most bytes read from a failing compile process's stderr. Enough for its last messages.
const COMPLAINT_BYTES_MAX: u64 = 64 << 10;

/// Why a component was not compiled. The texts are full sentences for an operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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
    /// Its file cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(FileError),
    /// The file is larger than `compile.component_bytes_max`.
    #[error(
        "it has {bytes} bytes; at most {max} are allowed; raise `compile.component_bytes_max` in airlock.toml if \
         you trust it"
    )]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// The engine rejects it, or it exceeds what the host reads of a component.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// An instance of it is larger than any slot of the engine's pool.
    #[error("it needs more than the host has for one call: {0}")]
    Oversized(String),
    /// Compiling it exceeded a limit.
    #[error("compiling it took more than {0}; raise `[compile]` in airlock.toml if you trust it")]
    OverBudget(String),
    /// The compile process could not be run.
    #[error("the compile process failed: {0}")]
    Process(String),
}

/// The result of a compilation, except for the code.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) info: ComponentInfo,
    /// SHA-256 of the compiled code, in hex. Computed by this process, not by the compile process.
    pub(crate) code_digest: String,
}

/// Rejects bytes that cannot be a component, by size and first bytes.
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

/// The compiling program and its working directory.
pub(crate) struct Program<'a> {
    /// Path of an `airlock` program.
    pub(crate) path: &'a Path,
    /// Its working directory: an empty folder.
    pub(crate) folder: &'a Path,
}

/// Compiles `bytes` into the file `out`, in a separate process.
pub(crate) async fn compile(
    program: &Program<'_>,
    limits: &CompileLimits,
    bytes: &[u8],
    out: &Path,
) -> Result<Report, CompileError> {
    match attempt(program, limits, bytes, out, Optimize::Speed).await {
        // Without optimization, the time grows linearly with the size, not with its square. Both runs have the full
        // limits, so a component may take twice `wall_s_max`.
        Err(CompileError::OverBudget(_)) => attempt(program, limits, bytes, out, Optimize::None).await,
        ended => ended,
    }
}

async fn attempt(
    program: &Program<'_>,
    limits: &CompileLimits,
    bytes: &[u8],
    out: &Path,
    optimize: Optimize,
) -> Result<Report, CompileError> {
    let process = |err: std::io::Error| CompileError::Process(format!("{}: {err}", program.path.display()));
    // The keeper lives as long as the child: the kernel ends the child with the thread that started it.
    let (mut child, _keeper) = start(command(program, limits, optimize)).await.map_err(process)?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(process(std::io::Error::other("it has no pipes")));
    };
    let feed = async {
        // A child that dies early closes the pipe. Its exit status gives the reason, so the error here says nothing.
        let _ = stdin.write_all(bytes).await;
        // The child reads to the end of its input.
        drop(stdin);
    };
    let run = async {
        let answered = answer::receive(stdout, out, limits.memory_bytes_max);
        // All pipes at the same time: a child that fills one pipe while this end waits for another would stop both.
        tokio::join!(feed, answered, complaint(stderr), child.wait())
    };
    let Ok(((), answered, complaint, status)) =
        tokio::time::timeout(Duration::from_secs(limits.wall_s_max), run).await
    else {
        // Dropping the child ends it (`kill_on_drop`).
        return Err(CompileError::OverBudget(format!("{} s by the clock", limits.wall_s_max)));
    };
    let status = status.map_err(process)?;
    match answered? {
        // Code has no length of its own in the answer. Without a clean exit it may be only the first part.
        Some(Answer::Done { info, missing, code_digest }) if status.success() => {
            // The limits hold without these means, so this is a warning and not an error.
            if !missing.is_empty() {
                tracing::warn!(
                    "this kernel does not confine the compile process by {}",
                    missing.join(" or ")
                );
            }
            Ok(Report { info, code_digest })
        }
        Some(Answer::Refused(why)) => Err(why.into()),
        Some(Answer::Done { .. }) | None => Err(died(status, &complaint, limits)),
    }
}

fn command(program: &Program<'_>, limits: &CompileLimits, optimize: Optimize) -> Command {
    let mut command = Command::new(program.path);
    command
        .arg("compile")
        .args(["--parent", &std::process::id().to_string()])
        .args(["--cpu-s-max", &limits.cpu_s_max.to_string()])
        .args(["--memory-bytes-max", &limits.memory_bytes_max.to_string()])
        // No variable of the host reaches the process. It may hold secrets, and its code reads untrusted bytes.
        .env_clear()
        // Otherwise the allocator reserves a gigabyte, which counts against the memory limit before it is used.
        .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
        .current_dir(program.folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if optimize == Optimize::None {
        command.arg("--unoptimized");
    }
    command
}

/// Starts a child from a thread that lives until the returned sender is dropped. The parent-death signal of Linux fires
/// when the thread that started the child ends (prctl(2)), and threads of the runtime come and go.
async fn start(mut command: Command) -> std::io::Result<(Child, mpsc::Sender<Infallible>)> {
    let (started, child) = tokio::sync::oneshot::channel();
    let (keeper, dropped) = mpsc::channel();
    let runtime = tokio::runtime::Handle::current();
    std::thread::Builder::new().name("compile".into()).spawn(move || {
        // tokio registers the child's pipes with the runtime that is current.
        let _runtime = runtime.enter();
        // If the receiver is gone, the child is dropped here, which ends it.
        if started.send(command.spawn()).is_ok() {
            // Returns when the keeper is dropped; nothing is ever sent.
            let _ = dropped.recv();
        }
    })?;
    let child = child.await.map_err(std::io::Error::other)?;
    Ok((child?, keeper))
}

/// Reads the first bytes of the child's stderr and then closes the pipe, so that a child that prints without end gets
/// an error.
async fn complaint(stderr: ChildStderr) -> String {
    let mut text = Vec::new();
    // What was read before an error is still the best explanation.
    let _ = stderr.take(COMPLAINT_BYTES_MAX).read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).chars().take(500).collect()
}

/// The error for a child that ended without an answer.
fn died(status: std::process::ExitStatus, complaint: &str, limits: &CompileLimits) -> CompileError {
    use std::os::unix::process::ExitStatusExt as _;
    const SIGKILL: i32 = 9;
    const SIGXCPU: i32 = 24;
    // setrlimit(2): SIGXCPU at the soft limit of processor time, SIGKILL at the hard one. The allocator aborts when the
    // limit of memory refuses it, so every other signal counts as memory.
    match status.signal() {
        Some(SIGXCPU | SIGKILL) => {
            CompileError::OverBudget(format!("{} s of processor time", limits.cpu_s_max))
        }
        Some(_) => CompileError::OverBudget(format!("{} bytes of memory", limits.memory_bytes_max)),
        None => CompileError::Process(complaint.to_owned()),
    }
}

/// Finds the program that compiles: `airlock` in the folder of this executable, which is this executable itself if it
/// is `airlock`, or else in the parent folder, where Cargo puts the program that belongs to its tests and examples.
///
/// # Errors
/// When neither folder holds an `airlock`.
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
