//! The starter: a process that starts compile processes for a host that is confined.
//!
//! A confined process starts no other one, so it makes this one before. Owns both ends of the socket between them. An
//! order says which task is to be done within which limits, and nothing else: program, folder and environment are the
//! starter's, so a host that is taken over gains no program by it. Must not know components.

use std::io::{self, IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

use super::super::engine::Backend;
use super::Task;
use super::process::Ends;
use airlock_types::limit::CompileLimits;

/// The verb of the `airlock` program that calls [`serve`].
const VERB: &str = "compile-starter";

/// The running program, also after its file was replaced: another version would compile for another engine.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Most bytes of an order, which are numbers alone.
const ORDER_BYTES_MAX: usize = 512;

/// Descriptors with an order: the child's stdin, stdout and stderr, and the socket for its end.
const DESCRIPTORS: usize = 4;

/// Wait after the system had no memory for an order.
const PAUSE: Duration = Duration::from_millis(50);

/// Most children at the same time: twice the steps of loading that run at once.
const CHILDREN_MAX: usize = 128;

/// One compile process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    cpu_s_max: u64,
    memory_bytes_max: u64,
    task: Task,
}

impl Order {
    pub(super) fn new(limits: &CompileLimits, task: Task) -> Order {
        // The parent enforces the others: on what it reads and keeps, and by ending the process.
        let CompileLimits {
            cpu_s_max,
            memory_bytes_max,
            wall_s_max: _,
            component_bytes_max: _,
            cache_bytes_max: _,
        } = *limits;
        Order { cpu_s_max, memory_bytes_max, task }
    }

    /// The command that starts it as a child of this process.
    pub(super) fn command(&self, program: &Path, [stdin, stdout, stderr]: Ends) -> Command {
        let Order { cpu_s_max, memory_bytes_max, task } = *self;
        let mut command = Command::new(program);
        command
            .arg("compile")
            .args(["--parent", &std::process::id().to_string()])
            .args(["--cpu-s-max", &cpu_s_max.to_string()])
            .args(["--memory-bytes-max", &memory_bytes_max.to_string()])
            // No variable of the host reaches the process. It may hold secrets, and its code reads untrusted bytes.
            .env_clear()
            // Otherwise the allocator reserves a gigabyte, which counts against the memory limit before it is used.
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            .stdin(Stdio::from(stdin))
            .stdout(Stdio::from(stdout))
            .stderr(Stdio::from(stderr));
        match task {
            Task::Describe => command.arg("--describe"),
            Task::Compile { unoptimized, backend } => command
                .args(unoptimized.then_some("--unoptimized"))
                .args((backend == Backend::Interpreter).then_some("--interpreted")),
        };
        command
    }
}

/// The host's end. The starter and its children end when this is dropped.
#[derive(Debug)]
pub(crate) struct Starter(OwnedFd);

impl Starter {
    /// Starts a starter, whose children run in this folder.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(crate) fn start(program: &Path, folder: &Path) -> io::Result<Starter> {
        // A sequence of packets: each order keeps its descriptors, and the end of one side is the end of the other.
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let mut command = Command::new(program);
        // Not stdout, which belongs to the client of a server over stdio.
        command.arg(VERB).env_clear().current_dir(folder).stdin(Stdio::from(theirs)).stdout(Stdio::null());
        // It is not waited for: it ends with this process.
        command.spawn()?;
        Ok(Starter(ours))
    }

    /// Orders a compile process with these ends of its pipes. Its status comes through the returned socket. Closing the
    /// socket ends the process.
    pub(super) fn order(&self, order: Order, ends: Ends) -> io::Result<UnixStream> {
        let text = serde_json::to_vec(&order)?;
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let [stdin, stdout, stderr] = &ends;
        let descriptors = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd(), theirs.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        // Without waiting: the starter reads at once, so a full socket means that it does not run.
        sendmsg(&self.0, &[IoSlice::new(&text)], &mut control, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
        Ok(ours)
    }

    /// Whether it has ended, so that nothing is started any more.
    pub(crate) fn has_ended(&self) -> bool {
        let mut ours = [PollFd::new(&self.0, PollFlags::IN)];
        let looked = poll(&mut ours, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        looked.is_ok() && ours[0].revents().contains(PollFlags::HUP)
    }

    /// An error of an order, with what is to be done about it.
    pub(super) fn explained(&self, err: &io::Error) -> String {
        if self.has_ended() {
            return format!("the process that starts it has ended ({err}); restart the server");
        }
        format!("the process that starts it could not do so now ({err}); the next reload tries it again")
    }
}

/// What came over the socket of a host.
enum Received {
    Order(Order, [OwnedFd; DESCRIPTORS]),
    /// Something that cannot be used, with the reason. What came of its descriptors is closed.
    Useless(String),
    /// The host has ended.
    End,
}

/// Starts compile processes as they are ordered over stdin, until the host ends. An order that cannot be carried out is
/// dropped, which its host sees: the descriptors close. The next one may be carried out.
///
/// # Errors
/// When stdin is not the socket of a host.
pub fn serve() -> io::Result<()> {
    let (stdin, running) = (io::stdin(), Arc::new(()));
    loop {
        match receive(stdin.as_fd())? {
            Received::Order(order, descriptors) => start(order, descriptors, &running),
            Received::Useless(why) => dropped(&why),
            Received::End => return Ok(()),
        }
    }
}

fn dropped(why: &dyn std::fmt::Display) {
    tracing::error!("a compile process was not started: {why}");
}

fn start(order: Order, descriptors: [OwnedFd; DESCRIPTORS], running: &Arc<()>) {
    if Arc::strong_count(running) > CHILDREN_MAX {
        return dropped(&format!("{CHILDREN_MAX} run already"));
    }
    let place = running.clone();
    // A thread for each: the kernel ends a child with the thread that started it.
    let spawned = std::thread::Builder::new().spawn(move || {
        let _place = place;
        if let Err(err) = run(&order, descriptors) {
            dropped(&err);
        }
    });
    if let Err(err) = spawned {
        dropped(&err);
    }
}

fn receive(socket: BorrowedFd<'_>) -> io::Result<Received> {
    let mut text = [0; ORDER_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(&mut text)];
    let read =
        rustix::io::retry_on_intr(|| recvmsg(socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC));
    let bytes = match read {
        Ok(read) if read.bytes == 0 => return Ok(Received::End),
        Ok(read) => read.bytes,
        Err(Errno::NOMEM | Errno::NOBUFS | Errno::MFILE | Errno::NFILE) => {
            // So that a machine without memory is not kept busy by it.
            std::thread::sleep(PAUSE);
            return Ok(Received::Useless("the machine or this process has no place for its order".into()));
        }
        Err(err) => return Err(err.into()),
    };
    let descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let descriptors: Vec<OwnedFd> = descriptors.flatten().collect();
    // The kernel leaves out those for which the process has no number left (`ulimit -n`).
    let Ok(descriptors) = <[OwnedFd; DESCRIPTORS]>::try_from(descriptors) else {
        return Ok(Received::Useless("its order came without its descriptors".into()));
    };
    Ok(match serde_json::from_slice(&text[..bytes]) {
        Ok(order) => Received::Order(order, descriptors),
        Err(err) => Received::Useless(err.to_string()),
    })
}

/// Runs a compile process to its end, or until the host closes the socket.
fn run(order: &Order, [stdin, stdout, stderr, socket]: [OwnedFd; DESCRIPTORS]) -> io::Result<()> {
    let mut command = order.command(Path::new(THIS_PROGRAM), [stdin, stdout, stderr]);
    // As in a list of processes.
    command.arg0("airlock");
    let mut child = command.spawn()?;
    // It holds the child's ends of the pipes, which must close with the child.
    drop(command);
    let mut socket = UnixStream::from(socket);
    let is_wanted = ends_first(&child, &socket);
    if !matches!(is_wanted, Ok(true)) {
        child.kill()?;
    }
    let status = child.wait()?.into_raw();
    // The host may have closed its end by now.
    let _ = socket.write_all(&status.to_be_bytes());
    is_wanted.map(drop)
}

/// Waits until the child ends or the host closes the socket. Returns whether it was the child.
fn ends_first(child: &Child, socket: &UnixStream) -> io::Result<bool> {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let ended = pidfd_open(id.ok_or_else(|| io::Error::other("it has no id"))?, PidfdFlags::empty())?;
    let mut both = [PollFd::new(socket, PollFlags::IN), PollFd::new(&ended, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut both, None))?;
    // The host sends nothing: there is something to read when it has closed its end.
    Ok(both[0].revents().is_empty())
}
