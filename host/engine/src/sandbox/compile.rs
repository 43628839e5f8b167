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
mod worker;

use airlock_types::limit::CompileLimits;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, Command};

use crate::file::FileError;
use airlock_contract::component::ComponentInfo;
use answer::Answer;
#[cfg(feature = "in-process-compiler")]
pub(crate) use in_process::{compile_in_process, describe_in_process};
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

/// The compiling program and its working directory.
pub(crate) struct Program<'a> {
    /// Path of an `airlock` program.
    pub(crate) path: &'a Path,
    /// Its working directory: an empty folder.
    pub(crate) folder: &'a Path,
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
    limits: &CompileLimits,
    bytes: &[u8],
    out: &Path,
) -> Result<String, CompileError> {
    let (fast, plain) = (Task::Compile { unoptimized: false }, Task::Compile { unoptimized: true });
    match ask(program, limits, bytes, fast, Some(out)).await {
        // Without optimization, the time grows linearly with the size, not with its square. Both runs have the full
        // limits, so a component may take twice `wall_s_max`.
        Err(CompileError::OverBudget { .. }) => {
            // What the first run wrote before its end.
            let _ = tokio::fs::remove_file(out).await;
            compiled(ask(program, limits, bytes, plain, Some(out)).await?)
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
    let process = |err: std::io::Error| CompileError::Process(format!("{}: {err}", program.path.display()));
    // The keeper lives as long as the child: the kernel ends the child with the thread that started it.
    let (mut child, _keeper) = start(command(program, limits, task)).await.map_err(process)?;
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

fn command(program: &Program<'_>, limits: &CompileLimits, task: Task) -> Command {
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
    match task {
        Task::Describe => command.arg("--describe"),
        Task::Compile { unoptimized: true } => command.arg("--unoptimized"),
        Task::Compile { unoptimized: false } => &mut command,
    };
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
fn died(
    status: std::process::ExitStatus,
    complaint: &str,
    limits: &CompileLimits,
    task: Task,
) -> CompileError {
    use std::os::unix::process::ExitStatusExt as _;
    const SIGKILL: i32 = 9;
    const SIGXCPU: i32 = 24;
    // setrlimit(2): SIGXCPU at the soft limit of processor time, SIGKILL at the hard one. The allocator aborts when the
    // limit of memory refuses it, so every other signal counts as memory.
    match status.signal() {
        Some(SIGXCPU | SIGKILL) => over(task, format!("{} s of processor time", limits.cpu_s_max)),
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
