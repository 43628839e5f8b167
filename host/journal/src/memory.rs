//! Records in memory: for tests, and for programs that keep records elsewhere or not at all.
//!
//! Owns the same rules as the database, without a thread: a record is stored at once, and lost with the process. Must
//! not know what a record says.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::listing::{Filter, Listed};
use crate::retention::{By, Keep, Pruned, Rules};
use crate::standing::{Losses, Standing, log_full, log_removal};
use crate::{Durability, JournalError, JournalView, bound};
use airlock_types::json::Json;
use airlock_types::record::Record;

/// Overhead of a record beyond its JSON, in bytes: its id, and one entry in each of two maps.
const RECORD_BYTES: u64 = 256;

/// Records of one page.
const PAGE_RECORDS: usize = 16;

/// A journal in memory.
pub(super) struct Memory {
    /// The bound given at creation. Settings can only lower it.
    own_bytes_max: u64,
    lost: Losses,
    held: Mutex<Records>,
}

struct Records {
    bytes_max: u64,
    /// Bytes of all records, and of the reservations for open intents.
    bytes: u64,
    records: BTreeMap<Arc<str>, StoredRecord>,
    /// Records of calls that only read, oldest first: the key is their number in the order of recording.
    removable: BTreeMap<u64, Arc<str>>,
    /// Started calls that have not ended, with the bytes reserved for their records.
    intents: BTreeMap<String, u64>,
    /// Number of the latest record.
    count: u64,
    removed: u64,
    /// Intents until now.
    intended: u64,
    is_full: bool,
    is_closed: bool,
}

struct StoredRecord {
    /// JSON text: its size is exact, and it shares no memory with the call.
    text: Box<str>,
    /// The key in `removable`; `None` for a call with effects, which is never removed.
    removable: Option<u64>,
}

impl Memory {
    pub(super) fn new(bytes_max: u64) -> Memory {
        let held = Records {
            bytes_max,
            bytes: 0,
            records: BTreeMap::new(),
            removable: BTreeMap::new(),
            intents: BTreeMap::new(),
            count: 0,
            removed: 0,
            intended: 0,
            is_full: false,
            is_closed: false,
        };
        Memory { own_bytes_max: bytes_max, lost: Losses::default(), held: Mutex::new(held) }
    }

    fn held(&self) -> MutexGuard<'_, Records> {
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

    /// Accepts a record above the size limit too: its call was dropped, so no caller can be told.
    pub(super) fn seal_now(&self, record: &Record<Json>, durability: Durability) {
        if let Err(err) = self.put(record, durability) {
            self.lose(&err.to_string());
        }
    }

    fn put(&self, record: &Record<Json>, durability: Durability) -> Result<(), JournalError> {
        // Serialized outside of the lock, since that takes longer than everything done under it.
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
            intents: held.intended,
            commits: held.intended + held.count,
        }
    }

    pub(super) fn bound(&self, bytes_max: u64) {
        let mut held = self.held();
        // A registry must not raise the memory that the embedding program has granted.
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

    pub(super) fn each(&self, visit: &mut dyn FnMut(&Record)) -> Result<(), JournalError> {
        let held = self.held();
        held.records.values().try_for_each(|kept| {
            let record = serde_json::from_str(&kept.text);
            visit(&record.map_err(|err| JournalError::Read(err.to_string()))?);
            Ok(())
        })
    }

    pub(super) fn page(&self, after: &str, since_unix_ms: u64) -> Result<Vec<Record>, JournalError> {
        let held = self.held();
        let after = held.records.range::<str, _>((Excluded(after), Unbounded)).map(|(_, kept)| &kept.text);
        let records = after.map(|text| serde_json::from_str::<Record>(text));
        let is_since = |record: &Result<Record, _>| {
            record.as_ref().map_or(true, |record| record.started_unix_ms >= since_unix_ms)
        };
        let page = records.filter(is_since).take(PAGE_RECORDS).collect::<Result<_, _>>();
        page.map_err(|err| JournalError::Read(err.to_string()))
    }

    pub(super) fn list(
        &self,
        filter: &Filter,
        before: Option<&str>,
        count: u32,
    ) -> Result<Vec<Listed>, JournalError> {
        let held = self.held();
        let end = before.map_or(Unbounded, Excluded);
        let newest = held.records.range::<str, _>((Unbounded, end)).rev();
        let calls =
            newest.map(|(_, kept)| serde_json::from_str(&kept.text).map(|record| Listed::from(&record)));
        let admitted = calls.filter(|call| call.as_ref().map_or(true, |call| filter.admits(call)));
        admitted
            .take(count as usize)
            .collect::<Result<_, _>>()
            .map_err(|err| JournalError::Read(err.to_string()))
    }

    /// Applies the rules of retention. Nothing is told of it later: a journal in memory ends with its process.
    pub(super) fn prune(&self, rules: &Rules<'_>, by: By, now_unix_ms: u64) -> Result<Pruned, JournalError> {
        let mut held = self.held();
        held.check_open()?;
        let mut pruned = Pruned::none(by);
        // The newest first, so that the oldest of a tool are those above its bound. Ids begin with their time.
        let ids: Vec<Arc<str>> = held.records.keys().rev().cloned().collect();
        let mut bytes_of = BTreeMap::new();
        for id in ids {
            held.keep(&id, rules, now_unix_ms, &mut bytes_of, &mut pruned)?;
        }
        Ok(pruned)
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

impl Records {
    fn check_open(&self) -> Result<(), JournalError> {
        if self.is_closed { Err(JournalError::Write("it is closed".into())) } else { Ok(()) }
    }

    /// Reserves bytes for the record of a call that is about to start.
    fn reserve(&mut self, id: String, bytes: u64) -> Result<(), JournalError> {
        self.make_room(bytes);
        self.take(bytes)?;
        self.intents.insert(id, bytes);
        self.intended += 1;
        Ok(())
    }

    fn put(&mut self, id: Arc<str>, text: Box<str>, durability: Durability) -> Result<(), JournalError> {
        self.check_open()?;
        let bytes = text.len() as u64 + RECORD_BYTES;
        // A record with the same id is replaced, as in the database.
        self.remove(&id);
        // The record uses the reservation of its intent. An intent whose record does not fit stays open.
        let intent = (durability == Durability::Committed).then(|| self.intents.remove(&*id)).flatten();
        self.bytes -= intent.unwrap_or(0);
        self.make_room(bytes);
        // The reservation is put back, so that the call still shows as interrupted.
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
        self.records.insert(id, StoredRecord { text, removable });
        Ok(())
    }

    /// Adds to the bytes held. Never exceeds the bound itself: the bytes are memory of the embedding process.
    fn take(&mut self, bytes: u64) -> Result<(), JournalError> {
        if self.bytes + bytes > self.bytes_max {
            return Err(JournalError::Full);
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Removes the oldest records of calls that only read until `more` bytes fit.
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

    /// Applies the rules to one record. `bytes_of` has what newer records of each tool take.
    fn keep(
        &mut self,
        id: &Arc<str>,
        rules: &Rules<'_>,
        now_unix_ms: u64,
        bytes_of: &mut BTreeMap<String, u64>,
        pruned: &mut Pruned,
    ) -> Result<(), JournalError> {
        let Some(StoredRecord { text, removable }) = self.records.get(id) else { return Ok(()) };
        let (removable, bytes) = (*removable, text.len() as u64);
        let mut record: Record =
            serde_json::from_str(text).map_err(|err| JournalError::Read(err.to_string()))?;
        let Keep { record_ms, payload_ms, bytes_max } = rules(&record.tool);
        let age_ms = now_unix_ms.saturating_sub(record.started_unix_ms);
        let is_older = |than_ms: Option<u64>| than_ms.is_some_and(|than_ms| age_ms > than_ms);
        let taken = bytes_of.entry(record.tool.clone()).or_default();
        *taken += bytes;
        if is_older(record_ms) || bytes_max.is_some_and(|bytes_max| *taken > bytes_max) {
            self.remove(id);
            pruned.remove(id);
        } else if is_older(payload_ms) && record.erased_unix_ms.is_none() {
            record.erase();
            record.erased_unix_ms = Some(now_unix_ms);
            let text = serde_json::to_string(&record).map_err(|err| JournalError::Write(err.to_string()))?;
            self.bytes = self.bytes - bytes + text.len() as u64;
            self.records.insert(id.clone(), StoredRecord { text: text.into(), removable });
            pruned.erase(id);
        }
        Ok(())
    }

    fn remove(&mut self, id: &str) {
        if let Some(StoredRecord { text, removable }) = self.records.remove(id) {
            self.bytes -= text.len() as u64 + RECORD_BYTES;
            removable.map(|order| self.removable.remove(&order));
        }
    }
}

impl fmt::Debug for Memory {
    /// Omits the records, which hold arguments and results.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("own_bytes_max", &self.own_bytes_max).finish_non_exhaustive()
    }
}
