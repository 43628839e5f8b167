//! Writing a file as a stream.

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::task::AbortOnDropHandle;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use super::fault::Fault;
use super::node::Open;
use super::taped;
use super::taped::Noted;
use super::write::{At, WRITE_BYTES_MAX};
use crate::blocking::{Lane, Lost};
use crate::capability::dispatch::Clearance;
use crate::tape::{Asked, Kind, Tape, brief};
use airlock_types::grant::Access;

/// A write, on the tape.
const IMPORT: &str = "wasi:filesystem/types#write-stream";

pub(super) struct FileSink {
    /// `None` in a replay, where each write is answered from the cassette.
    target: Option<Target>,
    at: At,
    tape: Tape,
    /// The guest's path of the file.
    label: String,
    state: State,
}

/// Where a stream writes.
pub(super) struct Target {
    pub(super) file: Arc<Open>,
    pub(super) lane: Lane,
    /// Leave for each write.
    pub(super) clearance: Clearance,
}

enum State {
    Ready,
    /// Aborted with the stream: a write that still waits for a thread then never begins.
    Writing(AbortOnDropHandle<Result<Result<(), Fault>, Lost>>),
    Failed(wasmtime::Error),
    Closed,
}

impl FileSink {
    pub(super) fn new(target: Option<Target>, at: At, (tape, label): (Tape, String)) -> FileSink {
        FileSink { target, at, tape, label, state: State::Ready }
    }

    /// The error that a write left. It is returned once; after that, the stream is closed.
    fn check(&mut self) -> StreamResult<()> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Failed(err) => Err(StreamError::LastOperationFailed(err)),
            State::Closed => Err(StreamError::Closed),
            state @ (State::Ready | State::Writing(_)) => {
                self.state = state;
                Ok(())
            }
        }
    }

    /// Begins to write on a thread of the lane.
    fn start(&mut self, bytes: Bytes) -> Result<(), Fault> {
        let (at, args) = (self.at, (&self.label, self.at, brief(&bytes)));
        let asked = self.tape.ask_later::<taped::Answer<()>>(IMPORT, Kind::Effect, args);
        let task = match (asked.map_err(|_| Fault::NOT_GRANTED)?, &self.target) {
            (Asked::Taped(played), _) => tokio::spawn(async move {
                match played.answer {
                    Some(answer) => Ok(answer.map_err(|name| Fault::Invalid(taped::error(&name)))),
                    // The attempt ended before.
                    None => std::future::pending().await,
                }
            }),
            (Asked::Live(note), Some(Target { file, lane, clearance })) => {
                let (note, file, lane) = (Noted::of(note), file.clone(), lane.clone());
                // Before anything waits, so that the change is open as long as it may happen.
                let begun = file.writing().and_then(|writing| writing.begin(clearance));
                let change = begun.map_err(|fault| note.fault(fault))?;
                let bytes = bytes.clone();
                let work =
                    move || file.granted.noting(Access::ReadWrite, file.write_all(&bytes, at, &change));
                tokio::spawn(async move {
                    let done = lane.run(work).await;
                    done.map(|done| done.map_err(|fault| note.fault(fault)).inspect(|()| note.done()))
                })
            }
            // Only a replay has no target, and it answers every effect.
            (Asked::Live(_), None) => return Err(Fault::NOT_GRANTED),
        };
        if let At::Position(position) = &mut self.at {
            *position = position.saturating_add(bytes.len() as u64);
        }
        self.state = State::Writing(AbortOnDropHandle::new(task));
        Ok(())
    }
}

#[async_trait]
impl Pollable for FileSink {
    async fn ready(&mut self) {
        if let State::Writing(task) = &mut self.state {
            self.state = match task.await {
                Ok(Ok(Ok(()))) => State::Ready,
                Ok(Ok(Err(fault))) => State::Failed(fault.into()),
                Ok(Err(lost)) => State::Failed(lost.into()),
                Err(err) => State::Failed(Lost::from(err).into()),
            };
        }
    }
}

#[async_trait]
impl OutputStream for FileSink {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.check()?;
        if bytes.len() > WRITE_BYTES_MAX || matches!(self.state, State::Writing(_)) {
            return Err(StreamError::trap("more was written than `check-write` allowed"));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        self.start(bytes).map_err(|fault| {
            self.state = State::Closed;
            StreamError::LastOperationFailed(fault.into())
        })
    }

    /// Nothing is kept back, so there is nothing to do.
    fn flush(&mut self) -> StreamResult<()> {
        self.check()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.check()?;
        Ok(if let State::Ready = self.state { WRITE_BYTES_MAX } else { 0 })
    }

    /// Waits for a write that is under way, so that the guest knows it done when the stream is gone.
    async fn cancel(&mut self) {
        self.ready().await;
    }
}
