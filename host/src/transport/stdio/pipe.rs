//! Stdin and stdout, waited for like any other pipe.
//!
//! What the runtime offers for them reads on a thread of its own, which costs two changes of threads for each
//! message. Pipes and sockets, which clients start servers with, need none; whatever else they may be (a terminal,
//! a file) gets that thread.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

const STDIN: &str = "/proc/self/fd/0";
const STDOUT: &str = "/proc/self/fd/1";

pub(super) fn stdin() -> Box<dyn AsyncRead + Send + Unpin> {
    // Opened once more, a pipe has flags of its own: nobody else who holds it finds it changed.
    if let Ok(pipe) = pipe::OpenOptions::new().open_receiver(STDIN) {
        return Box::new(pipe);
    }
    match socket(STDIN, std::io::stdin().as_fd()) {
        Some(socket) => Box::new(socket),
        None => Box::new(tokio::io::stdin()),
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

/// A socket, which Node.js starts its children with. It has one end here, and the other one elsewhere.
fn socket(path: &str, file: BorrowedFd<'_>) -> Option<UnixStream> {
    let is_socket = std::fs::metadata(Path::new(path)).is_ok_and(|it| it.file_type().is_socket());
    let socket = std::os::unix::net::UnixStream::from(is_socket.then(|| file.try_clone_to_owned())?.ok()?);
    socket.set_nonblocking(true).ok()?;
    UnixStream::from_std(socket).ok()
}
