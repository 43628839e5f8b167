//! Describing and compiling components, in a separate process with its own limits.
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
mod process;
pub(crate) mod starter;
mod worker;

use airlock_types::limit::CompileLimits;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;

pub use super::confine::close_inherited;
use super::engine::Backend;
use crate::file::FileError;
use airlock_contract::component::ComponentInfo;
use answer::Answer;
#[cfg(feature = "in-process-compiler")]
pub(crate) use in_process::{compile_in_process, describe_in_process};
use process::Process;
use starter::Starter;
pub use starter::serve as serve_orders;
pub use worker::{Examiner, Task, Worker, probe, work};

/// Most bytes read from a failing compile process's stderr. Enough for its last messages.
const COMPLAINT_BYTES_MAX: u64 = 64 << 10;

/// Why a component was not described or compiled. The texts are full sentences for an operator.
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
    /// It is a component of a kind that this version does not run.
    #[error("the component uses {0}")]
    Unsupported(String),
    /// The work exceeded a limit.
    #[error("{work} it took more than {limit}; raise `[compile]` in airlock.toml if you trust it")]
    OverBudget {
        /// `reading` or `compiling`.
        work: &'static str,
        /// The limit, with its unit.
        limit: String,
    },
    /// The compile process could not be run.
    #[error("the compile process failed: {0}")]
    Process(String),
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

/// How compile processes are started.
pub(crate) enum Program<'a> {
    /// As children of this process.
    Path {
        /// Path of an `airlock` program.
        path: &'a Path,
        /// Its working directory: an empty folder.
        folder: &'a Path,
    },
    /// By another process.
    Starter(&'a Starter),
}

/// Describes the component of these bytes, in a separate process.
pub(crate) async fn describe(
    program: &Program<'_>,
    limits: &CompileLimits,
    bytes: &[u8],
) -> Result<ComponentInfo, CompileError> {
    described(ask(program, limits, bytes, Task::Describe, None).await?)
}

/// Compiles `bytes` into the file `out`, in a separate process. Returns the SHA-256 of the code, in hex, computed by this
/// process and not by the compile process.
pub(crate) async fn compile(
    program: &Program<'_>,
    (limits, backend): (&CompileLimits, Backend),
    bytes: &[u8],
    out: &Path,
) -> Result<String, CompileError> {
    let task = |unoptimized| Task::Compile { unoptimized, backend };
    match ask(program, limits, bytes, task(false), Some(out)).await {
        // Without optimization, the time grows linearly with the size, not with its square. Both runs have the full
        // limits, so a component may take twice `wall_s_max`.
        Err(CompileError::OverBudget { .. }) => {
            // What the first run wrote before its end.
            let _ = tokio::fs::remove_file(out).await;
            compiled(ask(program, limits, bytes, task(true), Some(out)).await?)
        }
        ended => compiled(ended?),
    }
}

fn described(answer: Answer) -> Result<ComponentInfo, CompileError> {
    match answer {
        Answer::Described { info, missing: _ } => Ok(*info),
        Answer::Refused(why) => Err(why.into()),
        Answer::Compiled { .. } => Err(CompileError::Process("it compiled instead of describing".into())),
    }
}

fn compiled(answer: Answer) -> Result<String, CompileError> {
    match answer {
        Answer::Compiled { code_digest, missing: _ } => Ok(code_digest),
        Answer::Refused(why) => Err(why.into()),
        Answer::Described { .. } => Err(CompileError::Process("it described instead of compiling".into())),
    }
}

/// Lets a process do a task with these bytes.
async fn ask(
    program: &Program<'_>,
    limits: &CompileLimits,
    bytes: &[u8],
    task: Task,
    out: Option<&Path>,
) -> Result<Answer, CompileError> {
    let process = |err: std::io::Error| {
        CompileError::Process(match program {
            Program::Path { path, .. } => format!("{}: {err}", path.display()),
            Program::Starter(starter) => starter.explained(&err),
        })
    };
    let started = Process::start(program, limits, task).await.map_err(process)?;
    let Process { mut stdin, stdout, stderr, mut end } = started;
    let feed = async {
        // A child that dies early closes the pipe. Its exit status gives the reason, so the error here says nothing.
        let _ = stdin.write_all(bytes).await;
        // The child reads to the end of its input.
        drop(stdin);
    };
    let run = async {
        let answered = answer::receive(stdout, out, limits.memory_bytes_max);
        // All pipes at the same time: a child that fills one pipe while this end waits for another would stop both.
        tokio::join!(feed, answered, complaint(stderr), end.wait())
    };
    let Ok(((), answered, complaint, status)) =
        tokio::time::timeout(Duration::from_secs(limits.wall_s_max), run).await
    else {
        // Dropping its end ends the process.
        return Err(over(task, format!("{} s by the clock", limits.wall_s_max)));
    };
    let status = status.map_err(process)?;
    match answered? {
        // A refusal is a clean end. Code has no length of its own: without a clean exit it may be only the first part.
        Some(answer @ Answer::Refused(_)) => Ok(answer),
        Some(answer) if status.success() => {
            warn(&answer);
            Ok(answer)
        }
        Some(_) | None => Err(died(status, &complaint, limits, task)),
    }
}

/// The limits hold without these means, so this is a warning and not an error.
fn warn(answer: &Answer) {
    let missing = match answer {
        Answer::Described { missing, .. } | Answer::Compiled { missing, .. } => missing.as_slice(),
        Answer::Refused(_) => &[],
    };
    if !missing.is_empty() {
        tracing::warn!("this kernel does not confine the compile process by {}", missing.join(" or "));
    }
}

fn over(task: Task, limit: String) -> CompileError {
    let work = match task {
        Task::Describe => "reading",
        Task::Compile { .. } => "compiling",
    };
    CompileError::OverBudget { work, limit }
}

/// Reads the first bytes of the child's stderr and then closes the pipe, so that a child that prints without end gets
/// an error.
async fn complaint(stderr: pipe::Receiver) -> String {
    let mut text = Vec::new();
    // What was read before an error is still the best explanation.
    let _ = stderr.take(COMPLAINT_BYTES_MAX).read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).chars().take(500).collect()
}

/// The error for a child that ended without an answer.
fn died(
    status: std::process::ExitStatus,
    complaint: &str,
    limits: &CompileLimits,
    task: Task,
) -> CompileError {
    use std::os::unix::process::ExitStatusExt as _;
    const SIGKILL: i32 = 9;
    const SIGXCPU: i32 = 24;
    // setrlimit(2): SIGXCPU at the soft limit of processor time, a second before SIGKILL at the hard one. So whoever sent
    // SIGKILL was somebody else, and the component is not to blame. The allocator aborts when the limit of memory refuses
    // it, so every other signal counts as memory.
    match status.signal() {
        Some(SIGXCPU) => over(task, format!("{} s of processor time", limits.cpu_s_max)),
        Some(SIGKILL) => CompileError::Process(
            "it was killed from outside, as by a system that runs out of memory".to_owned(),
        ),
        Some(_) => over(task, format!("{} bytes of memory", limits.memory_bytes_max)),
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
