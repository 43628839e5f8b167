//! Writing a file as a stream.

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::task::AbortOnDropHandle;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use super::fault::Fault;
use super::node::Open;
use super::write::{At, WRITE_BYTES_MAX};
use crate::blocking::{Lane, Lost};
use crate::capability::dispatch::Clearance;
use airlock_types::grant::Access;

pub(super) struct FileSink {
    file: Arc<Open>,
    lane: Lane,
    at: At,
    /// Leave for each write.
    clearance: Clearance,
    state: State,
}

enum State {
    Ready,
    /// Aborted with the stream: a write that still waits for a thread then never begins.
    Writing(AbortOnDropHandle<Result<Result<(), Fault>, Lost>>),
    Failed(wasmtime::Error),
    Closed,
}

impl FileSink {
    pub(super) fn new(file: Arc<Open>, lane: Lane, at: At, clearance: Clearance) -> FileSink {
        FileSink { file, lane, at, clearance, state: State::Ready }
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
        let (file, lane, at) = (self.file.clone(), self.lane.clone(), self.at);
        // Before anything waits, so that the change is open as long as it may happen.
        let change = file.writing()?.begin(&self.clearance)?;
        if let At::Position(position) = &mut self.at {
            *position = position.saturating_add(bytes.len() as u64);
        }
        let work = move || file.granted.noting(Access::ReadWrite, file.write_all(&bytes, at, &change));
        let task = tokio::spawn(async move { lane.run(work).await });
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
                Err(_) => State::Failed(Lost::Panicked.into()),
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
