//! Streams, errors and what waits for them: `wasi:io`.
//!
//! Always granted: a stream or pollable comes from another capability, which decides what it reaches. Here the tape learns
//! when something was ready and how many bytes a stream took or gave; what these are, is the other capability's to record.
//! So a replay holds a guest to the recorded readiness, while everything behind it is ready at once.

mod moment;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable, ResourceType};
use wasmtime_wasi_io::bindings::wasi::io::{error, poll, streams};
use wasmtime_wasi_io::poll::DynPollable;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream, StreamError, StreamResult};

use super::State;
use crate::tape::{Asked, Kind, Tape};
use moment::{Moment, replayed, taped};
use streams::{HostInputStream, HostOutputStream};

pub(super) const INTERFACES: &[&str] = &["wasi:io/error", "wasi:io/poll", "wasi:io/streams"];

struct Streams;

impl HasData for Streams {
    type Data<'a> = View<'a>;
}

/// What a host function borrows during one call.
pub(super) struct View<'a> {
    pub(super) table: &'a mut ResourceTable,
    pub(super) tape: &'a Tape,
}

pub(super) fn resource(name: &str) -> Option<ResourceType> {
    match name {
        "error" => Some(ResourceType::host::<error::Error>()),
        "pollable" => Some(ResourceType::host::<poll::Pollable>()),
        "input-stream" => Some(ResourceType::host::<streams::InputStream>()),
        "output-stream" => Some(ResourceType::host::<streams::OutputStream>()),
        _ => None,
    }
}

pub(super) fn link(linker: &mut Linker<State>, interface: &str) -> wasmtime::Result<()> {
    match interface {
        "wasi:io/error" => error::add_to_linker::<State, Streams>(linker, State::streams),
        "wasi:io/poll" => poll::add_to_linker::<State, Streams>(linker, State::streams),
        "wasi:io/streams" => streams::add_to_linker::<State, Streams>(linker, State::streams),
        _ => Err(super::unlinked(interface)),
    }
}

impl error::Host for View<'_> {}

impl error::HostError for View<'_> {
    fn drop(&mut self, err: Resource<streams::Error>) -> wasmtime::Result<()> {
        error::HostError::drop(self.table, err)
    }

    fn to_debug_string(&mut self, err: Resource<streams::Error>) -> wasmtime::Result<String> {
        // Its text may have what only the system knows.
        let rep = err.rep();
        let text = error::HostError::to_debug_string(self.table, err)?;
        Ok(self.tape.through("wasi:io/error#to-debug-string", Kind::Moment, rep, || text)?)
    }
}

impl poll::Host for View<'_> {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        let reps: Vec<u32> = pollables.iter().map(Resource::rep).collect();
        match self.tape.ask::<Vec<u32>>("wasi:io/poll#poll", Kind::Moment, &reps)? {
            Asked::Live(note) => {
                let ready = poll::Host::poll(self.table, pollables).await?;
                note.answer(&ready);
                Ok(ready)
            }
            Asked::Taped(played) => {
                for at in &played.answer {
                    let rep = reps.get(*at as usize).ok_or(crate::tape::Stopped)?;
                    poll::HostPollable::block(self.table, Resource::new_borrow(*rep)).await?;
                }
                Ok(played.answer)
            }
        }
    }
}

impl poll::HostPollable for View<'_> {
    async fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        let asked = self.tape.ask::<()>("wasi:io/poll#block", Kind::Moment, pollable.rep())?;
        poll::HostPollable::block(self.table, pollable).await?;
        if let Asked::Live(note) = asked {
            note.answer(&());
        }
        Ok(())
    }

    async fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        match self.tape.ask::<bool>("wasi:io/poll#ready", Kind::Moment, pollable.rep())? {
            Asked::Live(note) => {
                let is_ready = poll::HostPollable::ready(self.table, pollable).await?;
                note.answer(&is_ready);
                Ok(is_ready)
            }
            Asked::Taped(played) => {
                if played.answer {
                    poll::HostPollable::block(self.table, pollable).await?;
                }
                Ok(played.answer)
            }
        }
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.table, pollable)
    }
}

impl streams::Host for View<'_> {
    fn convert_stream_error(&mut self, err: StreamError) -> wasmtime::Result<streams::StreamError> {
        streams::Host::convert_stream_error(self.table, err)
    }
}

impl HostInputStream for View<'_> {
    async fn drop(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<()> {
        HostInputStream::drop(self.table, stream).await
    }

    fn read(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<Vec<u8>> {
        let args = (stream.rep(), len);
        match taped(self.tape, "wasi:io/streams#read", args)? {
            Moment::Live(note) => note.moment(HostInputStream::read(self.table, stream, len)),
            Moment::Nothing => Ok(Vec::new()),
            Moment::Taped(was) => replayed(self.tape, was, HostInputStream::read(self.table, stream, len)),
        }
    }

    async fn blocking_read(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<Vec<u8>> {
        let args = (stream.rep(), len);
        let moment = taped(self.tape, "wasi:io/streams#blocking-read", args)?;
        let read = HostInputStream::blocking_read(self.table, stream, len).await;
        moment.end(self.tape, read)
    }

    fn skip(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<u64> {
        let args = (stream.rep(), len);
        match taped(self.tape, "wasi:io/streams#skip", args)? {
            Moment::Live(note) => note.moment(HostInputStream::skip(self.table, stream, len)),
            Moment::Nothing => Ok(0),
            Moment::Taped(was) => replayed(self.tape, was, HostInputStream::skip(self.table, stream, len)),
        }
    }

    async fn blocking_skip(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<u64> {
        let args = (stream.rep(), len);
        let moment = taped(self.tape, "wasi:io/streams#blocking-skip", args)?;
        let skipped = HostInputStream::blocking_skip(self.table, stream, len).await;
        moment.end(self.tape, skipped)
    }

    fn subscribe(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        HostInputStream::subscribe(self.table, stream)
    }
}

impl HostOutputStream for View<'_> {
    async fn drop(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<()> {
        HostOutputStream::drop(self.table, stream).await
    }

    fn check_write(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<u64> {
        match taped(self.tape, "wasi:io/streams#check-write", stream.rep())? {
            Moment::Live(note) => note.moment(HostOutputStream::check_write(self.table, stream)),
            Moment::Nothing => Ok(0),
            // As much as was recorded: in a replay there is always room.
            Moment::Taped(Ok(was)) => Ok(was),
            Moment::Taped(was) => replayed(self.tape, was, HostOutputStream::check_write(self.table, stream)),
        }
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        let moment = taped(self.tape, "wasi:io/streams#write", (stream.rep(), bytes.len()))?;
        moment.end(self.tape, HostOutputStream::write(self.table, stream, bytes))
    }

    fn subscribe(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        HostOutputStream::subscribe(self.table, stream)
    }

    async fn blocking_write_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        let args = (stream.rep(), bytes.len());
        let moment = taped(self.tape, "wasi:io/streams#blocking-write-and-flush", args)?;
        let written = HostOutputStream::blocking_write_and_flush(self.table, stream, bytes).await;
        moment.end(self.tape, written)
    }

    async fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        len: u64,
    ) -> StreamResult<()> {
        let args = (stream.rep(), len);
        let moment = taped(self.tape, "wasi:io/streams#blocking-write-zeroes-and-flush", args)?;
        let written = HostOutputStream::blocking_write_zeroes_and_flush(self.table, stream, len).await;
        moment.end(self.tape, written)
    }

    fn write_zeroes(&mut self, stream: Resource<DynOutputStream>, len: u64) -> StreamResult<()> {
        let moment = taped(self.tape, "wasi:io/streams#write-zeroes", (stream.rep(), len))?;
        moment.end(self.tape, HostOutputStream::write_zeroes(self.table, stream, len))
    }

    fn flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        let moment = taped(self.tape, "wasi:io/streams#flush", stream.rep())?;
        moment.end(self.tape, HostOutputStream::flush(self.table, stream))
    }

    async fn blocking_flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        let moment = taped(self.tape, "wasi:io/streams#blocking-flush", stream.rep())?;
        let flushed = HostOutputStream::blocking_flush(self.table, stream).await;
        moment.end(self.tape, flushed)
    }

    fn splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        len: u64,
    ) -> StreamResult<u64> {
        let args = (to.rep(), from.rep(), len);
        match taped(self.tape, "wasi:io/streams#splice", args)? {
            Moment::Live(note) => note.moment(HostOutputStream::splice(self.table, to, from, len)),
            Moment::Nothing => Ok(0),
            Moment::Taped(was) => {
                replayed(self.tape, was, HostOutputStream::splice(self.table, to, from, len))
            }
        }
    }

    async fn blocking_splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        len: u64,
    ) -> StreamResult<u64> {
        let args = (to.rep(), from.rep(), len);
        let moment = taped(self.tape, "wasi:io/streams#blocking-splice", args)?;
        let spliced = HostOutputStream::blocking_splice(self.table, to, from, len).await;
        moment.end(self.tape, spliced)
    }
}
