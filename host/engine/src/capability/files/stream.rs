//! Reading a file as a stream.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};

use super::fault::Fault;
use super::taped::{error, name};
use crate::blocking::{Lane, Lost};
use crate::tape::{Feed, Note, Stopped};
use airlock_types::cassette::{Blob, Chunk};

/// Most bytes of one read. A guest gets the rest with its next read.
pub(super) const READ_BYTES_MAX: usize = 64 << 10;

/// Bytes that are read for a guest that polls a stream without saying how much it wants.
const AHEAD_BYTES: usize = 4 << 10;

pub(super) struct FileStream {
    source: Source,
    position: u64,
    state: State,
}

/// Where a stream reads.
pub(super) enum Source {
    /// A file. The note is where the bytes go.
    File(Arc<File>, Lane, Note),
    /// The cassette of a replay.
    Taped(Feed),
}

enum State {
    Idle,
    Reading(JoinHandle<io::Result<Vec<u8>>>),
    Read(Bytes),
    Failed(wasmtime::Error),
    Ended,
}

impl FileStream {
    pub(super) fn new(source: Source, position: u64) -> FileStream {
        FileStream { source, position, state: State::Idle }
    }

    /// Reads once if no bytes are buffered. When this future is dropped, the next call continues the same read.
    async fn fill(&mut self, size: usize) {
        if let State::Idle = self.state {
            self.state = match &mut self.source {
                Source::Taped(feed) => taped(feed.next()),
                Source::File(file, lane, _) => {
                    let (file, position) = (file.clone(), self.position);
                    match lane.start(move || read_at(&file, position, size)).await {
                        Ok(reading) => State::Reading(reading),
                        Err(lost) => State::Failed(lost.into()),
                    }
                }
            };
        }
        if let State::Reading(reading) = &mut self.state {
            self.state = match reading.await {
                Ok(Ok(bytes)) if bytes.is_empty() => State::Ended,
                Ok(Ok(bytes)) => State::Read(bytes.into()),
                Ok(Err(err)) => State::Failed(err.into()),
                Err(err) => State::Failed(Lost::from(err).into()),
            };
            if let Source::File(_, _, note) = &self.source {
                note.feed(|| chunk(&self.state));
            }
        }
    }
}

/// A read, on record.
fn chunk(state: &State) -> Chunk {
    match state {
        State::Read(bytes) => Chunk::Data(Blob(bytes.to_vec())),
        State::Failed(err) => {
            let code = err.downcast_ref::<io::Error>().map_or(ErrorCode::Io, ErrorCode::from);
            Chunk::Failed(name(code).to_owned())
        }
        State::Idle | State::Reading(_) | State::Ended => Chunk::End,
    }
}

/// A read of a replay.
fn taped(chunk: Option<Chunk>) -> State {
    match chunk {
        Some(Chunk::Data(Blob(bytes))) => State::Read(bytes.into()),
        Some(Chunk::Failed(code)) => State::Failed(Fault::Invalid(error(&code)).into()),
        Some(Chunk::End | Chunk::Trailers(_)) => State::Ended,
        None => State::Failed(Stopped.into()),
    }
}

#[async_trait]
impl Pollable for FileStream {
    async fn ready(&mut self) {
        self.fill(AHEAD_BYTES).await;
    }
}

#[async_trait]
impl InputStream for FileStream {
    /// Starts no read: a guest that never waits would start reads without end.
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        match &mut self.state {
            State::Idle | State::Reading(_) => Ok(Bytes::new()),
            State::Read(bytes) => {
                // The position follows what the guest took, not what was read ahead.
                let part = bytes.split_to(bytes.len().min(size));
                self.position += part.len() as u64;
                if bytes.is_empty() {
                    self.state = State::Idle;
                }
                Ok(part)
            }
            State::Failed(_) => {
                // The error is returned once. After that, the stream is closed.
                let failed = std::mem::replace(&mut self.state, State::Ended);
                if let State::Failed(err) = failed {
                    Err(StreamError::LastOperationFailed(err))
                } else {
                    Err(StreamError::Closed)
                }
            }
            State::Ended => Err(StreamError::Closed),
        }
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        // A read of zero bytes would look like the end of the file.
        self.fill(size.max(1)).await;
        self.read(size)
    }
}

/// Reads at most `size` bytes. Returns fewer at the end of the file, none beyond it.
pub(super) fn read_at(file: &File, position: u64, size: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; size.min(READ_BYTES_MAX)];
    loop {
        match file.read_at(&mut bytes, position) {
            // A signal interrupted the read before it read anything.
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            read => {
                bytes.truncate(read?);
                return Ok(bytes);
            }
        }
    }
}
