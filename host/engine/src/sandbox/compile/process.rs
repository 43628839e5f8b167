//! A compile process as the host sees it: three pipes and an end.
//!
//! Owns how it is started: by this process, or by the starter of a process that is confined and starts none itself. Must
//! not know what goes through the pipes.

use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::mpsc;

use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

use super::starter::Order;
use super::{Program, Task};
use airlock_types::limit::CompileLimits;

/// A running compile process, which ends when this is dropped.
pub(super) struct Process {
    pub(super) stdin: pipe::Sender,
    pub(super) stdout: pipe::Receiver,
    pub(super) stderr: pipe::Receiver,
    pub(super) end: End,
}

/// The end of a compile process.
pub(super) enum End {
    /// Of a child of this process. The keeper lives as long as the child: the kernel ends the child with the thread that
    /// started it.
    Own(Child, #[expect(dead_code, reason = "held for its drop")] mpsc::Sender<Infallible>),
    /// Of a child of the starter, which writes the status to this socket, and ends the child when it is closed.
    Ordered(UnixStream),
}

/// The other ends of the pipes: stdin, stdout and stderr of the process.
pub(super) type Ends = [OwnedFd; 3];

impl Process {
    /// Starts one for a task.
    pub(super) async fn start(
        program: &Program<'_>,
        limits: &CompileLimits,
        task: Task,
    ) -> io::Result<Process> {
        let (theirs_in, stdin) = io::pipe()?;
        let (stdout, theirs_out) = io::pipe()?;
        let (stderr, theirs_err) = io::pipe()?;
        let theirs = [theirs_in.into(), theirs_out.into(), theirs_err.into()];
        let end = match program {
            Program::Path { path, folder } => own(command(path, limits, task, folder, theirs)).await?,
            Program::Starter(starter) => {
                End::Ordered(UnixStream::from_std(starter.order(Order::new(limits, task), theirs)?)?)
            }
        };
        Ok(Process {
            stdin: pipe::Sender::from_owned_fd(stdin.into())?,
            stdout: pipe::Receiver::from_owned_fd(stdout.into())?,
            stderr: pipe::Receiver::from_owned_fd(stderr.into())?,
            end,
        })
    }
}

impl End {
    /// Waits for it.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        match self {
            End::Own(child, _) => child.wait().await,
            End::Ordered(socket) => {
                // An end without a status is that of an order that was not carried out.
                Ok(ExitStatus::from_raw(socket.read_i32().await?))
            }
        }
    }
}

fn command(path: &Path, limits: &CompileLimits, task: Task, folder: &Path, ends: Ends) -> Command {
    let mut command = Command::from(Order::new(limits, task).command(path, ends));
    command.current_dir(folder).kill_on_drop(true);
    command
}

/// Starts a child from a thread that lives until the returned sender is dropped. The parent-death signal of Linux fires
/// when the thread that started the child ends (prctl(2)), and threads of the runtime come and go.
async fn own(mut command: Command) -> io::Result<End> {
    let (started, child) = tokio::sync::oneshot::channel();
    let (keeper, dropped) = mpsc::channel();
    let runtime = tokio::runtime::Handle::current();
    std::thread::Builder::new().name("compile".into()).spawn(move || {
        // tokio registers the child with the runtime that is current.
        let _runtime = runtime.enter();
        let spawned = command.spawn();
        // It holds the child's ends of the pipes, which must close with the child.
        drop(command);
        // If the receiver is gone, the child is dropped here, which ends it.
        if started.send(spawned).is_ok() {
            // Returns when the keeper is dropped; nothing is ever sent.
            let _ = dropped.recv();
        }
    })?;
    let child = child.await.map_err(io::Error::other)?;
    Ok(End::Own(child?, keeper))
}
