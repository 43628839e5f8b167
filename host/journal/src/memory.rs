//! Records in memory: for tests, and for programs that keep records elsewhere or not at all.
//!
//! Owns the same rules as the database has, without a thread: what is put on record is there at once, and gone with
//! the process. Must not know what a record says.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound::{Included, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::standing::{Losses, Standing, log_full, log_removal};
use crate::{Durability, JournalError, JournalView, bound};
use airlock_types::json::Json;
use airlock_types::record::Record;

/// What a record takes beside its JSON: its id, twice an entry of a map.
const RECORD_BYTES: u64 = 256;

/// Records in memory.
pub(super) struct Memory {
    /// The bound that it was made with; settings may lower it.
    own_bytes_max: u64,
    lost: Losses,
    held: Mutex<Held>,
}

struct Held {
    bytes_max: u64,
    /// Of records, and of what was set aside for the records of intents.
    bytes: u64,
    records: BTreeMap<Arc<str>, Kept>,
    /// Records of calls that only read, in the order in which they were put on record.
    removable: BTreeMap<u64, Arc<str>>,
    /// Calls that began and have not ended, and the bytes that are set aside for their records.
    intents: BTreeMap<String, u64>,
    /// Counts what is put on record.
    count: u64,
    removed: u64,
    is_full: bool,
    is_closed: bool,
}

struct Kept {
    /// JSON: exact in what it takes, and free of what the call shares with others.
    text: Box<str>,
    /// The key in `removable`; none for a call with effects.
    removable: Option<u64>,
}

impl Memory {
    pub(super) fn new(bytes_max: u64) -> Memory {
        let held = Held {
            bytes_max,
            bytes: 0,
            records: BTreeMap::new(),
            removable: BTreeMap::new(),
            intents: BTreeMap::new(),
            count: 0,
            removed: 0,
            is_full: false,
            is_closed: false,
        };
        Memory { own_bytes_max: bytes_max, lost: Losses::default(), held: Mutex::new(held) }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn intend(&self, record: &Record<Json>) -> Result<(), JournalError> {
        let bytes = bound::size(record);
        let mut held = self.held();
        held.check_open()?;
        if held.is_full {
            return Err(JournalError::Full);
        }
        bound::admit(bytes, held.bytes_max)?;
        held.reserve(record.id.clone(), bytes as u64 + RECORD_BYTES)
    }

    pub(super) fn seal(&self, record: &Record<Json>, durability: Durability) -> Result<(), JournalError> {
        bound::admit(bound::size(record), self.held().bytes_max)?;
        self.put(record, durability)
    }

    /// Also of a record that is larger than one may be: nobody can be told any more.
    pub(super) fn seal_now(&self, record: &Record<Json>, durability: Durability) {
        if let Err(err) = self.put(record, durability) {
            self.lose(&err.to_string());
        }
    }

    fn put(&self, record: &Record<Json>, durability: Durability) -> Result<(), JournalError> {
        // Outside of the lock: it takes longer than everything that is done under it.
        let text = serde_json::to_string(record).map_err(|err| JournalError::Write(err.to_string()))?;
        self.held().put(record.id.as_str().into(), text.into(), durability)
    }

    pub(super) fn lose(&self, why: &str) {
        self.lost.add(1, why);
    }

    pub(super) fn view(&self) -> JournalView {
        let held = self.held();
        JournalView {
            standing: if held.is_full { Standing::Full } else { Standing::Writing },
            waiting: 0,
            lost: self.lost.count(),
            removed: held.removed,
        }
    }

    pub(super) fn bound(&self, bytes_max: u64) {
        let mut held = self.held();
        held.bytes_max = bytes_max.min(self.own_bytes_max);
        held.make_room(0);
    }

    pub(super) fn find(&self, id: &str) -> Result<Option<Record>, JournalError> {
        let held = self.held();
        let text = match held.records.get(id) {
            Some(exact) => &exact.text,
            None => {
                let mut begin = held
                    .records
                    .range::<str, _>((Included(id), Unbounded))
                    .take_while(|(key, _)| key.starts_with(id));
                match (begin.next(), begin.next()) {
                    (None, _) => return Ok(None),
                    (Some((_, kept)), None) => &kept.text,
                    (Some(_), Some(_)) => return Err(JournalError::Ambiguous(id.into())),
                }
            }
        };
        serde_json::from_str(text).map(Some).map_err(|err| JournalError::Read(err.to_string()))
    }

    pub(super) fn open_intents(&self) -> Vec<String> {
        self.held().intents.keys().cloned().collect()
    }

    pub(super) fn check_open(&self) -> Result<(), JournalError> {
        self.held().check_open()
    }

    pub(super) fn close(&self) {
        self.held().is_closed = true;
    }
}

impl Held {
    fn check_open(&self) -> Result<(), JournalError> {
        if self.is_closed { Err(JournalError::Write("it is closed".into())) } else { Ok(()) }
    }

    /// Sets bytes aside for the record of a call that begins.
    fn reserve(&mut self, id: String, bytes: u64) -> Result<(), JournalError> {
        self.make_room(bytes);
        self.take(bytes)?;
        self.intents.insert(id, bytes);
        Ok(())
    }

    fn put(&mut self, id: Arc<str>, text: Box<str>, durability: Durability) -> Result<(), JournalError> {
        self.check_open()?;
        let bytes = text.len() as u64 + RECORD_BYTES;
        self.remove(&id);
        // What was set aside for it is taken by it; an intent whose record does not fit stays open.
        let intent = (durability == Durability::Committed).then(|| self.intents.remove(&*id)).flatten();
        self.bytes -= intent.unwrap_or(0);
        self.make_room(bytes);
        if let Err(err) = self.take(bytes) {
            if let Some(intent) = intent {
                self.bytes += intent;
                self.intents.insert(id.to_string(), intent);
            }
            return Err(err);
        }
        self.count += 1;
        let removable = (durability == Durability::Queued).then_some(self.count);
        if let Some(order) = removable {
            self.removable.insert(order, id.clone());
        }
        self.records.insert(id, Kept { text, removable });
        Ok(())
    }

    /// The bound itself is never passed: what it holds is memory of the embedding process.
    fn take(&mut self, bytes: u64) -> Result<(), JournalError> {
        if self.bytes + bytes > self.bytes_max {
            return Err(JournalError::Full);
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Removes the oldest records of calls that only read until so much more fits.
    fn make_room(&mut self, more: u64) {
        let was_full = self.is_full;
        self.is_full = false;
        while self.bytes + more > bound::filled(self.bytes_max) {
            let Some((_, oldest)) = self.removable.pop_first() else {
                self.is_full = true;
                break;
            };
            self.remove(&oldest);
            self.removed += 1;
            if self.removed == 1 {
                log_removal();
            }
        }
        if self.is_full && !was_full {
            log_full();
        }
    }

    fn remove(&mut self, id: &str) {
        if let Some(Kept { text, removable }) = self.records.remove(id) {
            self.bytes -= text.len() as u64 + RECORD_BYTES;
            removable.map(|order| self.removable.remove(&order));
        }
    }
}

impl fmt::Debug for Memory {
    /// Without the records, which hold arguments and results.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("own_bytes_max", &self.own_bytes_max).finish_non_exhaustive()
    }
}
