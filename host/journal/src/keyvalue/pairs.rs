//! What is done with the pairs of one bucket.

use std::ops::RangeInclusive;

use airlock_types::cassette::blob;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::spaces::{Quota, Space, Stored, count, signed};
use super::{BATCH_KEYS_MAX, KEY_BYTES_MAX, KeyValue, KeyValueError};

/// Most keys of one page of a list: with the longest keys 256 KiB.
const PAGE_KEYS: u64 = 256;

/// Most bytes of the values that are read at once. The host holds them until the guest has them.
const READ_BYTES_MAX: usize = 4 << 20;

/// A bucket of a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Whose.
    pub space: Space,
    /// Its name.
    pub name: String,
}

/// A value, and the number of the change that wrote it.
// Stored in cassettes, as is `Page`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The value.
    #[serde(with = "blob")]
    pub value: Vec<u8>,
    /// No other change of the file has this number.
    pub version: i64,
}

/// Some keys of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The keys, in the order in which they were first set.
    pub keys: Vec<String>,
    /// Where the next page begins, if there is one.
    pub next: Option<u64>,
}

/// A change of one pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets the value of a key.
    Set(String, Vec<u8>),
    /// Removes a key, if it is there.
    Delete(String),
}

impl KeyValue {
    /// The values of some keys, in their order; `None` for a key that is not there.
    ///
    /// # Errors
    /// When they are too large together, or cannot be read.
    pub fn get(&self, bucket: &Bucket, keys: &[String]) -> Result<Vec<Option<Pair>>, KeyValueError> {
        check_batch(keys.len())?;
        self.0.read(|connection| {
            let Some(Stored { id, .. }) = bucket.space.find(connection)? else {
                return Ok(vec![None; keys.len()]);
            };
            let mut left = READ_BYTES_MAX;
            let mut read = |key: &String| {
                let pair = find(connection, id, &bucket.name, key)?;
                let bytes = pair.as_ref().map_or(0, |pair| pair.value.len());
                left = left.checked_sub(bytes).ok_or(KeyValueError::TooMuch(READ_BYTES_MAX))?;
                Ok(pair)
            };
            // A single value is within the bound of values, whatever the bound of several is.
            match keys {
                [key] => Ok(vec![find(connection, id, &bucket.name, key)?]),
                _ => keys.iter().map(&mut read).collect(),
            }
        })
    }

    /// The number of the change that wrote a key; `None` for a key that is not there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn version(&self, bucket: &Bucket, key: &str) -> Result<Option<i64>, KeyValueError> {
        self.0.read(|connection| match bucket.space.find(connection)? {
            Some(Stored { id, .. }) => {
                Ok(known(connection, id, &bucket.name, key)?.map(|known| known.version))
            }
            None => Ok(None),
        })
    }

    /// A page of the keys of a bucket. `after` is the `next` of the page before it, or 0 for the first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn list(&self, bucket: &Bucket, after: u64) -> Result<Page, KeyValueError> {
        self.0.read(|connection| {
            let Some(Stored { id, .. }) = bucket.space.find(connection)? else {
                return Ok(Page { keys: Vec::new(), next: None });
            };
            let page =
                "SELECT id, key FROM pairs WHERE space = ?1 AND bucket = ?2 AND id > ?3 ORDER BY id LIMIT ?4";
            let mut page = connection.prepare_cached(page)?;
            // One more than a page, to know whether another one follows.
            let rows = page
                .query_map(params![id, bucket.name, signed(after), signed(PAGE_KEYS + 1)], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
                })?;
            let mut rows: Vec<(i64, String)> = rows.collect::<Result<_, _>>()?;
            let has_next = rows.len() as u64 > PAGE_KEYS;
            if has_next {
                rows.pop();
            }
            let next = rows.last().filter(|_| has_next).map(|(id, _)| id.unsigned_abs());
            Ok(Page { keys: rows.into_iter().map(|(_, key)| key).collect(), next })
        })
    }

    /// Makes all changes, or none.
    ///
    /// # Errors
    /// When a bound is met, or they cannot be written.
    pub fn apply(
        &self,
        bucket: &Bucket,
        quota: Quota,
        now_ms: u64,
        changes: &[Change],
    ) -> Result<(), KeyValueError> {
        check_batch(changes.len())?;
        self.0.write(|connection| {
            let mut writing = Writing::begin(connection, bucket, quota, now_ms)?;
            changes.iter().try_for_each(|change| writing.change(change))?;
            writing.end()
        })
    }

    /// Sets a key if its last change is still the one with this number, or if it is still missing. Returns whether.
    ///
    /// # Errors
    /// When a bound is met, or it cannot be written.
    pub fn swap(
        &self,
        bucket: &Bucket,
        quota: Quota,
        now_ms: u64,
        (key, value): (&str, Vec<u8>),
        expected: Option<i64>,
    ) -> Result<bool, KeyValueError> {
        self.0.write(|connection| {
            let mut writing = Writing::begin(connection, bucket, quota, now_ms)?;
            let is_same = writing.known(key)?.map(|known| known.version) == expected;
            if is_same {
                writing.change(&Change::Set(key.to_owned(), value))?;
            }
            writing.end()?;
            Ok(is_same)
        })
    }

    /// Adds to a number, which is stored as decimal digits. A missing one counts as zero. Returns the sum.
    ///
    /// # Errors
    /// When the value is no number, the sum is out of range, a bound is met, or it cannot be written.
    pub fn increment(
        &self,
        bucket: &Bucket,
        quota: Quota,
        now_ms: u64,
        (key, delta): (&str, i128),
        range: RangeInclusive<i128>,
    ) -> Result<i128, KeyValueError> {
        self.0.write(|connection| {
            let mut writing = Writing::begin(connection, bucket, quota, now_ms)?;
            let found = find(connection, writing.stored.id, &bucket.name, key)?;
            let number = found.map_or(Ok(0), |pair| number(&pair.value).ok_or(KeyValueError::NotANumber))?;
            let sum = number.checked_add(delta).filter(|sum| range.contains(sum));
            let sum = sum.ok_or(KeyValueError::Overflow)?;
            writing.change(&Change::Set(key.to_owned(), sum.to_string().into_bytes()))?;
            writing.end()?;
            Ok(sum)
        })
    }
}

fn check_batch(keys: usize) -> Result<(), KeyValueError> {
    if keys > BATCH_KEYS_MAX { Err(KeyValueError::TooMany(keys)) } else { Ok(()) }
}

fn number(value: &[u8]) -> Option<i128> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The size of a value and the change that wrote it.
#[derive(Clone, Copy)]
struct Known {
    bytes: u64,
    version: i64,
}

fn known(
    connection: &Connection,
    space: i64,
    bucket: &str,
    key: &str,
) -> Result<Option<Known>, KeyValueError> {
    // The length of a blob is read without the blob.
    let find = "SELECT length(value), version FROM pairs WHERE space = ?1 AND bucket = ?2 AND key = ?3";
    let known = connection.prepare_cached(find)?.query_row(params![space, bucket, key], |row| {
        Ok(Known { bytes: count(row, 0)?, version: row.get(1)? })
    });
    Ok(known.optional()?)
}

fn find(connection: &Connection, space: i64, bucket: &str, key: &str) -> Result<Option<Pair>, KeyValueError> {
    let find = "SELECT value, version FROM pairs WHERE space = ?1 AND bucket = ?2 AND key = ?3";
    let pair = connection
        .prepare_cached(find)?
        .query_row(params![space, bucket, key], |row| Ok(Pair { value: row.get(0)?, version: row.get(1)? }));
    Ok(pair.optional()?)
}

/// A transaction that changes pairs of one bucket.
struct Writing<'w> {
    connection: &'w Connection,
    bucket: &'w Bucket,
    quota: Quota,
    now_ms: u64,
    stored: Stored,
    version: i64,
}

impl<'w> Writing<'w> {
    fn begin(
        connection: &'w Connection,
        bucket: &'w Bucket,
        quota: Quota,
        now_ms: u64,
    ) -> Result<Writing<'w>, KeyValueError> {
        let stored = bucket.space.make(connection, quota, now_ms)?;
        let next = "UPDATE changes SET last = last + 1 RETURNING last";
        let version = connection.prepare_cached(next)?.query_row([], |row| row.get(0))?;
        Ok(Writing { connection, bucket, quota, now_ms, stored, version })
    }

    fn known(&self, key: &str) -> Result<Option<Known>, KeyValueError> {
        known(self.connection, self.stored.id, &self.bucket.name, key)
    }

    fn change(&mut self, change: &Change) -> Result<(), KeyValueError> {
        match change {
            Change::Set(key, value) => self.set(key, value),
            Change::Delete(key) => self.delete(key),
        }
    }

    fn set(&mut self, key: &str, value: &[u8]) -> Result<(), KeyValueError> {
        let Quota { keys_max, bytes_max, value_bytes_max, spaces_max: _ } = self.quota;
        if key.len() > KEY_BYTES_MAX {
            return Err(KeyValueError::Key(key.len()));
        }
        if value.len() as u64 > value_bytes_max {
            return Err(KeyValueError::Value { bytes: value.len(), most: value_bytes_max });
        }
        let known = self.known(key)?;
        if known.is_none() && self.stored.keys >= keys_max {
            return Err(KeyValueError::Keys(keys_max));
        }
        let more = value.len() as u64 + if known.is_none() { key.len() as u64 } else { 0 };
        let bytes = self.stored.bytes.saturating_sub(known.map_or(0, |known| known.bytes)) + more;
        // What makes the space smaller is possible in any case, also above a bound that was lowered.
        if bytes > bytes_max && bytes > self.stored.bytes {
            return Err(KeyValueError::Bytes(bytes_max));
        }
        self.stored.keys += u64::from(known.is_none());
        self.stored.bytes = bytes;
        let set = "INSERT INTO pairs (space, bucket, key, value, version) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (space, bucket, key) DO UPDATE SET value = excluded.value, version = excluded.version";
        let pair = params![self.stored.id, self.bucket.name, key, value, self.version];
        self.connection.prepare_cached(set)?.execute(pair)?;
        Ok(())
    }

    fn delete(&mut self, key: &str) -> Result<(), KeyValueError> {
        let Some(known) = self.known(key)? else { return Ok(()) };
        let delete = "DELETE FROM pairs WHERE space = ?1 AND bucket = ?2 AND key = ?3";
        let key_of = params![self.stored.id, self.bucket.name, key];
        self.connection.prepare_cached(delete)?.execute(key_of)?;
        self.stored.keys = self.stored.keys.saturating_sub(1);
        self.stored.bytes = self.stored.bytes.saturating_sub(known.bytes + key.len() as u64);
        Ok(())
    }

    /// Must be the last step: counts the changes.
    fn end(self) -> Result<(), KeyValueError> {
        self.stored.update(self.connection, self.now_ms)
    }
}
