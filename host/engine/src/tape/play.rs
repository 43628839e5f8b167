//! Answers imports from a cassette.
//!
//! Owns the order in which entries are used, and what is said of the first import that has none. Must not know what an
//! import does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{Kind, Mode, Stopped, Tape};
use airlock_types::cassette::{Cassette, Chunk, End, Entry, Header, Sent};

/// An import as it is compared: with its arguments.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Import {
    /// The import: `wasi:filesystem/types#stat`.
    pub name: String,
    /// Its arguments.
    pub args: Value,
    /// Fuel that had been used, where that is known.
    pub fuel: Option<u64>,
}

/// Where a replay left its cassette.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Divergence {
    /// The number of the import in the cassette, from 1; none where imports are not answered in order.
    pub at: Option<usize>,
    /// What was recorded there; none after the last import, and without an order.
    pub recorded: Option<Import>,
    /// What the guest did instead; none if it ended.
    pub replayed: Option<Import>,
    /// What differs, in one sentence.
    pub what: String,
}

/// Answers the imports of one attempt.
#[derive(Debug)]
pub(crate) struct Player {
    cassette: Cassette,
    mode: Mode,
    /// Whether the deadline ended the attempt, which is then compared up to its last import.
    ends_early: bool,
    place: Mutex<Place>,
    waker: AtomicWaker,
}

#[derive(Debug, Default)]
struct Place {
    /// The next entry, in strict order.
    next: usize,
    /// The entries that were not used yet, by import and arguments. For modes without an order.
    left: BTreeMap<String, VecDeque<usize>>,
    /// The answer that was used last, by import and arguments.
    last: BTreeMap<String, usize>,
    fuel: Option<u64>,
    divergence: Option<Divergence>,
    is_over: bool,
    effects: Vec<Import>,
    /// Reads what the guest sends, beside it.
    readers: Vec<JoinHandle<()>>,
}

impl Player {
    pub(crate) fn new(cassette: Cassette, mode: Mode) -> Player {
        let mut place = Place::default();
        for (at, entry) in cassette.entries.iter().enumerate() {
            place.left.entry(key(&entry.import, &entry.args)).or_default().push_back(at);
        }
        let ends_early = cassette.end.as_ref().is_some_and(|end| end.kind == End::DEADLINE);
        // Without an import nothing is compared, and the guest might go on for ever.
        place.is_over = mode == Mode::Strict && ends_early && cassette.entries.is_empty();
        Player { cassette, mode, ends_early, place: Mutex::new(place), waker: AtomicWaker::new() }
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether it stands for an attempt that nothing entered, and of which no cassette was kept.
    fn is_bare(&self) -> bool {
        self.cassette.entries.is_empty() && self.cassette.header.engine.is_empty()
    }

    pub(super) fn header(&self) -> &Header {
        &self.cassette.header
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the cassette answers imports of this kind.
    pub(super) fn answers(&self, kind: Kind) -> bool {
        match self.mode {
            // Without a cassette it is known that nothing entered, and not what was ready when: everything is, at once.
            Mode::Strict => kind != Kind::Moment || !self.is_bare(),
            Mode::Stub => kind != Kind::Moment,
            Mode::LiveShadow => matches!(kind, Kind::Effect | Kind::Follow),
        }
    }

    /// The place of an entry, and its answer; none only where that `may_lack`, as one that comes later.
    pub(super) fn answer<T: DeserializeOwned>(
        &self,
        import: &'static str,
        kind: Kind,
        args: Value,
        may_lack: bool,
    ) -> Result<(usize, Option<T>), Stopped> {
        let mut place = self.place();
        if place.is_over {
            return Err(Stopped);
        }
        let asked = Import { name: import.to_owned(), args, fuel: place.fuel.take() };
        let found = match self.mode {
            Mode::Strict => self.in_order(&mut place, &asked),
            Mode::Stub | Mode::LiveShadow => self.by_arguments(&mut place, &asked, kind),
        };
        let found = found.and_then(|at| {
            // The attempt ended before the answer, and so does its replay.
            let Some(answer) = self.cassette.entries[at].answer.clone() else {
                return if may_lack { Ok((at, None)) } else { Err(None) };
            };
            let read = serde_json::from_value(answer);
            Ok((at, Some(read.map_err(|err| Some(format!("its recorded answer cannot be read: {err}")))?)))
        });
        match found {
            Ok(found) => {
                if kind == Kind::Effect {
                    place.effects.push(asked);
                }
                Ok(found)
            }
            Err(what) => {
                if let Some(what) = what {
                    self.diverge_at(&mut place, Some(asked), what);
                }
                self.end(&mut place);
                Err(Stopped)
            }
        }
    }

    /// The next entry, if it is this import. `Err` says what differs; `None` where the recording ends here.
    fn in_order(&self, place: &mut Place, asked: &Import) -> Result<usize, Option<String>> {
        let Some(entry) = self.cassette.entries.get(place.next) else {
            let what = "the guest called another import after the last one that was recorded";
            return Err((!self.ends_early).then(|| what.to_owned()));
        };
        if entry.import != asked.name {
            return Err(Some("the guest called another import".to_owned()));
        }
        if entry.args != asked.args {
            return Err(Some("the guest called the import with other arguments".to_owned()));
        }
        if let (Some(recorded), Some(used)) = (entry.fuel, asked.fuel)
            && recorded != used
        {
            return Err(Some(format!(
                "the guest had used {used} fuel before the import, and {recorded} when it was recorded"
            )));
        }
        place.next += 1;
        if self.ends_early && place.next == self.cassette.entries.len() {
            // Nothing more is compared, and the guest might go on for ever.
            self.end(place);
        }
        Ok(place.next - 1)
    }

    /// An entry of this import with these arguments: the next that was not used, or the last one again, unless it is an
    /// effect.
    fn by_arguments(&self, place: &mut Place, asked: &Import, kind: Kind) -> Result<usize, Option<String>> {
        let key = key(&asked.name, &asked.args);
        if let Some(at) = place.left.get_mut(&key).and_then(VecDeque::pop_front) {
            place.last.insert(key, at);
            return Ok(at);
        }
        match (place.last.get(&key), kind) {
            (Some(at), Kind::Read | Kind::Follow | Kind::Moment) => Ok(*at),
            (Some(_), Kind::Effect) => {
                Err(Some("the effect was recorded fewer times, and is refused".to_owned()))
            }
            (None, Kind::Effect) => Err(Some("the effect was not recorded, and is refused".to_owned())),
            (None, Kind::Read | Kind::Follow | Kind::Moment) => {
                Err(Some("no import with these arguments was recorded".to_owned()))
            }
        }
    }

    fn diverge_at(&self, place: &mut Place, replayed: Option<Import>, what: String) {
        if place.divergence.is_some() {
            return;
        }
        let (at, recorded) = match self.mode {
            Mode::Strict => (Some(place.next + 1), self.cassette.entries.get(place.next).map(Import::from)),
            Mode::Stub | Mode::LiveShadow => (None, None),
        };
        place.divergence = Some(Divergence { at, recorded, replayed, what });
    }

    /// Notes a difference that is not about the order of imports.
    pub(crate) fn diverge(&self, what: String) {
        let mut place = self.place();
        self.diverge_at(&mut place, None, what);
        self.end(&mut place);
    }

    fn end(&self, place: &mut Place) {
        place.is_over = true;
        self.waker.wake();
    }

    pub(super) fn poll_ended(&self, context: &Context<'_>) -> Poll<()> {
        // Registered first: what ends in between wakes the task.
        self.waker.register(context.waker());
        if self.place().is_over { Poll::Ready(()) } else { Poll::Pending }
    }

    pub(super) fn set_fuel(&self, left: Option<u64>) {
        self.place().fuel = left.map(|left| self.cassette.header.fuel_max.saturating_sub(left));
    }

    pub(super) fn feed(&self, place: usize) -> VecDeque<Chunk> {
        self.cassette.entries[place].feed.iter().cloned().collect()
    }

    pub(super) fn sent(&self, place: usize) -> Option<Sent> {
        self.cassette.entries[place].sent.clone()
    }

    /// Keeps a task that reads what the guest sends, until all of it was read.
    pub(crate) fn read_beside(&self, reader: JoinHandle<()>) {
        self.place().readers.push(reader);
    }

    /// Waits until all is read that the guest sent. Its store must be gone.
    pub(crate) async fn settle(&self) {
        let readers = std::mem::take(&mut self.place().readers);
        for reader in readers {
            // One that was aborted or panicked has nothing to say.
            let _ = reader.await;
        }
    }

    /// Whether the replay ended before the guest did.
    pub(crate) fn is_over(&self) -> bool {
        self.place().is_over
    }

    /// Ends the replay of a guest that has ended: what it did, and where it left the cassette.
    pub(crate) fn finish(&self) -> (Vec<Import>, Option<Divergence>) {
        let mut place = self.place();
        let is_left = self.mode == Mode::Strict && place.next < self.cassette.entries.len();
        if is_left && !place.is_over {
            self.diverge_at(&mut place, None, "the guest ended before this import".to_owned());
        }
        (std::mem::take(&mut place.effects), place.divergence.take())
    }
}

fn key(import: &str, args: &Value) -> String {
    format!("{import} {args}")
}

impl From<&Entry> for Import {
    fn from(entry: &Entry) -> Import {
        Import { name: entry.import.clone(), args: entry.args.clone(), fuel: entry.fuel }
    }
}

/// What came in parts after an answer.
#[derive(Debug)]
pub(crate) struct Feed {
    tape: Tape,
    chunks: VecDeque<Chunk>,
}

impl Feed {
    pub(super) fn new(tape: Tape, chunks: VecDeque<Chunk>) -> Feed {
        Feed { tape, chunks }
    }

    /// The next part. `None` where the recording ends: the guest asks for more than it did.
    pub(crate) fn next(&mut self) -> Option<Chunk> {
        let next = self.chunks.pop_front();
        if let (None, Some(player)) = (&next, self.tape.player()) {
            player.diverge("the guest read more of a stream than was recorded".to_owned());
        }
        next
    }
}
