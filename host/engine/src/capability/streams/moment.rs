//! What a stream did at one moment: how much it gave or took, or how it failed.
//!
//! Owns the stored form of it. Must not know the streams.

use serde::{Deserialize, Serialize};
use wasmtime_wasi_io::streams::{StreamError, StreamResult};

use crate::tape::{Asked, Kind, Note, Tape};

/// How a stream failed, on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Broken {
    /// It is at its end.
    Closed,
    /// An error, which the stream has again in a replay.
    Failed,
    /// The guest misused it, which ends the guest.
    Trap,
}

/// Bytes that a stream gave or took, or how it failed.
pub(super) type Was = Result<u64, Broken>;

/// Who says what a stream does now.
pub(super) enum Moment {
    /// The stream. The note is where it goes.
    Live(Note),
    /// The cassette: nothing was there yet, and the stream is left alone.
    Nothing,
    /// The cassette: the stream must do the same.
    Taped(Was),
}

/// What is counted of an answer.
pub(super) trait Counted {
    fn count(&self) -> u64;
}

impl Counted for () {
    fn count(&self) -> u64 {
        0
    }
}

impl Counted for u64 {
    fn count(&self) -> u64 {
        *self
    }
}

impl Counted for Vec<u8> {
    fn count(&self) -> u64 {
        self.len() as u64
    }
}

/// Asks the tape what a stream does.
pub(super) fn taped(tape: &Tape, import: &'static str, args: impl Serialize) -> StreamResult<Moment> {
    let asked =
        tape.ask::<Was>(import, Kind::Moment, args).map_err(|stopped| StreamError::Trap(stopped.into()))?;
    Ok(match asked {
        Asked::Live(note) => Moment::Live(note),
        Asked::Taped(played) if played.answer == Ok(0) => Moment::Nothing,
        Asked::Taped(played) => Moment::Taped(played.answer),
    })
}

fn was<T: Counted>(done: &StreamResult<T>) -> Was {
    match done {
        Ok(done) => Ok(done.count()),
        Err(StreamError::Closed) => Err(Broken::Closed),
        Err(StreamError::LastOperationFailed(_)) => Err(Broken::Failed),
        Err(StreamError::Trap(_)) => Err(Broken::Trap),
    }
}

impl Note {
    /// Notes what a stream did, and passes it on.
    pub(super) fn moment<T: Counted>(&self, done: StreamResult<T>) -> StreamResult<T> {
        if self.is_kept() {
            self.answer(&was(&done));
        }
        done
    }
}

/// What a stream did in a replay, which must be what it did when it was recorded.
pub(super) fn replayed<T: Counted>(tape: &Tape, recorded: Was, done: StreamResult<T>) -> StreamResult<T> {
    let now = was(&done);
    // The other end of a connection was gone, which in a replay is always there.
    if recorded == Err(Broken::Closed) {
        return Err(StreamError::Closed);
    }
    if now != recorded {
        if let Some(player) = tape.player() {
            player.diverge(format!("a stream did {now:?} where {recorded:?} was recorded"));
        }
        return Err(StreamError::Trap(crate::tape::Stopped.into()));
    }
    done
}

impl Moment {
    /// Ends a function that waits for its stream, or needs no wait.
    pub(super) fn end<T: Counted>(self, tape: &Tape, done: StreamResult<T>) -> StreamResult<T> {
        match self {
            Moment::Live(note) => note.moment(done),
            Moment::Nothing => replayed(tape, Ok(0), done),
            Moment::Taped(was) => replayed(tape, was, done),
        }
    }
}
