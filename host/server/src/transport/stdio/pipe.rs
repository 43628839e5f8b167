//! Stdin and stdout as plain files.
//!
//! The async runtime passes their data to separate threads, which costs two thread switches for each message. Clients
//! usually start servers with pipes or sockets; these are written directly by the task that has a message. Any other
//! stdout (a terminal, a file) uses such a thread.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use tokio::io::AsyncWrite;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

const STDOUT: &str = "/proc/self/fd/1";

/// Stdin. Reading it blocks the thread.
pub(super) fn stdin() -> std::io::Result<impl Read + Send> {
    // A duplicate, so that the process keeps its own stdin open. It bypasses the buffer and the lock of the standard
    // library, since `lines` has a buffer of its own.
    Ok(Waiting(File::from(std::io::stdin().as_fd().try_clone_to_owned()?)))
}

/// A file that can be in non-blocking mode, because another process that shares it set that mode.
struct Waiting(File);

impl Read for Waiting {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(err) if err.kind() == ErrorKind::WouldBlock => {
                    // The mode cannot be changed back: it belongs to the open file, and the process that set it relies
                    // on it.
                    poll(&mut [PollFd::new(&self.0, PollFlags::IN)], None)?;
                }
                read => return read,
            }
        }
    }
}

pub(super) fn stdout() -> Box<dyn AsyncWrite + Send + Unpin> {
    if let Ok(pipe) = pipe::OpenOptions::new().open_sender(STDOUT) {
        return Box::new(pipe);
    }
    match socket(STDOUT, std::io::stdout().as_fd()) {
        Some(socket) => Box::new(socket),
        None => Box::new(tokio::io::stdout()),
    }
}

/// A socket: Node.js starts its children with one. Its other end belongs to the client.
fn socket(path: &str, file: BorrowedFd<'_>) -> Option<UnixStream> {
    let is_socket = std::fs::metadata(Path::new(path)).is_ok_and(|it| it.file_type().is_socket());
    let socket = std::os::unix::net::UnixStream::from(is_socket.then(|| file.try_clone_to_owned())?.ok()?);
    // A socket cannot be opened again by path, so the mode is set for all its holders.
    socket.set_nonblocking(true).ok()?;
    UnixStream::from_std(socket).ok()
}
