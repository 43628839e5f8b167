//! Stdin and stdout as the files that they are.
//!
//! What the runtime offers for them hands everything to threads of its own, which costs two changes of threads for
//! each message. Pipes and sockets, which clients start servers with, are written by whoever has something to say;
//! whatever else stdout may be (a terminal, a file) gets such a thread.

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

/// Stdin, which blocks whoever reads it.
pub(super) fn stdin() -> std::io::Result<impl Read + Send> {
    Ok(Waiting(File::from(std::io::stdin().as_fd().try_clone_to_owned()?)))
}

/// A file that may have been left in non-blocking mode by whoever holds it too.
struct Waiting(File);

impl Read for Waiting {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(err) if err.kind() == ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(&self.0, PollFlags::IN)], None)?;
                }
                read => return read,
            }
        }
    }
}

pub(super) fn stdout() -> Box<dyn AsyncWrite + Send + Unpin> {
    // Opened once more, a pipe has flags of its own: nobody else who holds it finds it changed.
    if let Ok(pipe) = pipe::OpenOptions::new().open_sender(STDOUT) {
        return Box::new(pipe);
    }
    match socket(STDOUT, std::io::stdout().as_fd()) {
        Some(socket) => Box::new(socket),
        None => Box::new(tokio::io::stdout()),
    }
}

/// A socket, which Node.js starts its children with. It has one end here, and the other one elsewhere.
fn socket(path: &str, file: BorrowedFd<'_>) -> Option<UnixStream> {
    let is_socket = std::fs::metadata(Path::new(path)).is_ok_and(|it| it.file_type().is_socket());
    let socket = std::os::unix::net::UnixStream::from(is_socket.then(|| file.try_clone_to_owned())?.ok()?);
    socket.set_nonblocking(true).ok()?;
    UnixStream::from_std(socket).ok()
}
