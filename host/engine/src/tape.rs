//! The tape of one attempt: every import that something outside of the attempt answers passes here, to be recorded or to be
//! answered from a cassette.
//!
//! Owns the one question, [`Tape::ask`], and which modes let an import out. Must not know what an import does, or how an
//! attempt runs. `record` makes a cassette, `play` answers from one.
//!
//! There are two kinds of entries. Most say what came in: the bytes of a file, a response, the time. Those of
//! [`Kind::Moment`] say when: which pollables were ready, how many bytes a stream took or gave at once. Only a strict replay
//! needs the second kind, since everything is ready at once in a replay.

mod play;
mod record;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use play::{Divergence, Import};
pub(crate) use play::{Feed, Player};
pub(crate) use record::Recorder;

use airlock_types::cassette::{Chunk, Header, Sent};
use airlock_types::digest::sha256;

/// What an import does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It reads something outside of the attempt.
    Read,
    /// It may change something there.
    Effect,
    /// It reads something that an effect made, which a cassette that answers the effect answers too.
    Follow,
    /// It asks what is ready by now.
    Moment,
}

/// How a cassette answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// In the recorded order: any other import is a divergence.
    Strict,
    /// By import and arguments, in whatever order. For a component that asks in another order.
    Stub,
    /// Reading is real. What may change something is answered from the cassette, or refused.
    LiveShadow,
}

/// Encrypts a cassette to the operator's key.
pub(crate) type Seal = dyn Fn(&str) -> Result<String, String> + Send + Sync;

/// The tape of one attempt. Clones are handles of one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tape(Option<Arc<Deck>>);

#[derive(Debug)]
enum Deck {
    Record(Recorder),
    Play(Box<Player>),
}

/// The replay has ended, by a divergence or because nothing more is recorded. It ends the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the replay has ended")]
pub(crate) struct Stopped;

/// Who answers an import.
pub(crate) enum Asked<T> {
    /// The world. The note is where its answer goes.
    Live(Note),
    /// The cassette.
    Taped(Played<T>),
}

/// An answer from a cassette.
pub(crate) struct Played<T> {
    pub(crate) answer: T,
    /// What came after it.
    pub(crate) feed: Feed,
    /// What the guest sent, if it had sent all of it.
    pub(crate) sent: Option<Sent>,
}

/// The place of an answer on the tape.
#[derive(Clone, Debug, Default)]
pub(crate) struct Note(Option<(Arc<Deck>, usize)>);

impl Tape {
    pub(crate) fn recording(recorder: Recorder) -> Tape {
        Tape(Some(Arc::new(Deck::Record(recorder))))
    }

    pub(crate) fn playing(player: Player) -> Tape {
        Tape(Some(Arc::new(Deck::Play(Box::new(player)))))
    }

    pub(crate) fn recorder(&self) -> Option<&Recorder> {
        match self.0.as_deref()? {
            Deck::Record(recorder) => Some(recorder),
            Deck::Play(_) => None,
        }
    }

    pub(crate) fn player(&self) -> Option<&Player> {
        match self.0.as_deref()? {
            Deck::Record(_) => None,
            Deck::Play(player) => Some(player),
        }
    }

    /// Whether nothing outside of the attempt is asked, so that no time passes either.
    pub(crate) fn is_closed(&self) -> bool {
        self.player().is_some_and(|player| player.mode() != Mode::LiveShadow)
    }

    /// Notes that the whole of it is confidential, and why.
    pub(crate) fn set_confidential(&self, why: &str) {
        if let Some(recorder) = self.recorder() {
            recorder.set_confidential(why);
        }
    }

    /// The header of the cassette that is played.
    pub(crate) fn header(&self) -> Option<&Header> {
        self.player().map(Player::header)
    }

    /// Asks who answers an import, with its canonical arguments. An answer of the world must go into the note.
    ///
    /// # Errors
    /// When a replay has ended.
    pub(crate) fn ask<T: DeserializeOwned>(
        &self,
        import: &'static str,
        kind: Kind,
        args: impl Serialize,
    ) -> Result<Asked<T>, Stopped> {
        Ok(match self.ask_for(import, kind, args, false)? {
            Asked::Live(note) => Asked::Live(note),
            Asked::Taped(Played { answer, feed, sent }) => {
                Asked::Taped(Played { answer: answer.ok_or(Stopped)?, feed, sent })
            }
        })
    }

    /// The same, for an import whose answer comes later and beside the guest. It is none if none came.
    ///
    /// # Errors
    /// When a replay has ended.
    pub(crate) fn ask_later<T: DeserializeOwned>(
        &self,
        import: &'static str,
        kind: Kind,
        args: impl Serialize,
    ) -> Result<Asked<Option<T>>, Stopped> {
        self.ask_for(import, kind, args, true)
    }

    fn ask_for<T: DeserializeOwned>(
        &self,
        import: &'static str,
        kind: Kind,
        args: impl Serialize,
        may_lack: bool,
    ) -> Result<Asked<Option<T>>, Stopped> {
        let Some(deck) = &self.0 else { return Ok(Asked::Live(Note::default())) };
        match &**deck {
            Deck::Record(recorder) => {
                let place = recorder.begin(import, kind, args);
                Ok(Asked::Live(Note(place.map(|place| (deck.clone(), place)))))
            }
            Deck::Play(player) => {
                if !player.answers(kind) {
                    return Ok(Asked::Live(Note::default()));
                }
                let (place, answer) = player.answer(import, kind, json(args), may_lack)?;
                let feed = Feed::new(self.clone(), player.feed(place));
                Ok(Asked::Taped(Played { answer, feed, sent: player.sent(place) }))
            }
        }
    }

    /// Asks for an import whose answer is there at once.
    pub(crate) fn through<T: Serialize + DeserializeOwned>(
        &self,
        import: &'static str,
        kind: Kind,
        args: impl Serialize,
        live: impl FnOnce() -> T,
    ) -> Result<T, Stopped> {
        match self.ask(import, kind, args)? {
            Asked::Taped(Played { answer, .. }) => Ok(answer),
            Asked::Live(note) => {
                let answer = live();
                note.answer(&answer);
                Ok(answer)
            }
        }
    }

    /// Notes the fuel that the guest has used, for the imports from here on.
    pub(crate) fn set_fuel(&self, left: Option<u64>) {
        match self.0.as_deref() {
            Some(Deck::Record(recorder)) => recorder.set_fuel(left),
            Some(Deck::Play(player)) => player.set_fuel(left),
            None => {}
        }
    }

    /// Whether a replay has ended, which ends the guest wherever it is.
    pub(crate) fn poll_ended(&self, context: &Context<'_>) -> Poll<()> {
        self.player().map_or(Poll::Pending, |player| player.poll_ended(context))
    }
}

impl Note {
    fn recorder(&self) -> Option<(&Recorder, usize)> {
        let (deck, place) = self.0.as_ref()?;
        match &**deck {
            Deck::Record(recorder) => Some((recorder, *place)),
            Deck::Play(_) => None,
        }
    }

    /// Whether it is recorded: otherwise nothing need be copied for it.
    pub(crate) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// What the import answered.
    pub(crate) fn answer(&self, answer: &impl Serialize) {
        if let Some((recorder, place)) = self.recorder() {
            recorder.answer(place, json(answer));
        }
    }

    /// A part of what came after the answer.
    pub(crate) fn feed(&self, chunk: impl FnOnce() -> Chunk) {
        if let Some((recorder, place)) = self.recorder() {
            recorder.feed(place, chunk());
        }
    }

    /// What the guest sent, once all of it was sent.
    pub(crate) fn sent(&self, sent: Sent) {
        if let Some((recorder, place)) = self.recorder() {
            recorder.sent(place, sent);
        }
    }

    /// Notes that what was answered has credentials in it, which are kept under the operator's key alone.
    pub(crate) fn set_confidential(&self, what: &str) {
        if let Some((recorder, _)) = self.recorder() {
            recorder.set_confidential(what);
        }
    }

    /// Notes that the answer has no stored form, so that the attempt cannot be replayed.
    pub(crate) fn lack(&self, why: &str) {
        if let Some((recorder, _)) = self.recorder() {
            recorder.lack(why);
        }
    }
}

/// Bytes that a guest passes, as they are compared: their number and their digest.
pub(crate) fn brief(bytes: &[u8]) -> String {
    format!("{} bytes sha256:{}", bytes.len(), sha256(bytes))
}

/// A value as JSON. Arguments and answers are plain data, for which this cannot fail.
fn json(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Strict => "strict",
            Mode::Stub => "stub",
            Mode::LiveShadow => "live-shadow",
        })
    }
}
