//! Values that are stored apart from their records: each once, by its digest, compressed.
//!
//! Apart are arguments, parts of a reply, logs, cassettes and what is sealed, each of more than 4 KiB: what tools return again and again is stored
//! once, and queries read rows that are small. A record names them in `parts`, with their digests, so that its text says
//! everything that belongs to it. Must not know when a record is removed: triggers count the uses of a body.

use std::borrow::Cow;
use std::fmt;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{JournalError, StoreError, explained};
use airlock_types::digest::sha256;
use airlock_types::json::Json;
use airlock_types::record::Record;
use airlock_types::record::v3::{Attempt, Part};

/// Longest value that stays in its record, in bytes of JSON. A page of the database holds three such records.
const INLINE_BYTES_MAX: usize = 4 << 10;

/// The fastest level: the writer shares its processor with calls, and text shrinks to a fifth at any level.
const ZSTD_LEVEL: i32 = 1;

/// A value, its place in the record, and its JSON text.
pub(super) struct Apart<'r> {
    pub(super) part: Part,
    json: Cow<'r, str>,
}

impl<'r> Apart<'r> {
    fn new(at: String, json: Cow<'r, str>) -> Apart<'r> {
        let part = Part { at, sha256: sha256(json.as_bytes()), bytes: json.len() as u64 };
        Apart { part, json }
    }
}

/// Whether a record can have a value that is stored apart.
pub(super) fn may_be_apart(record: &Record<Json>) -> bool {
    // One comparison: no value is larger than all of them together.
    crate::bound::size(record) > INLINE_BYTES_MAX
}

/// The record without its large values, and these. `None` for a record without any, as most are.
pub(super) fn split(record: &Record<Json>) -> Option<(Record<Json>, Vec<Apart<'_>>)> {
    if !may_be_apart(record) {
        return None;
    }
    let mut apart = Vec::new();
    let mut thin = record.with_json(|at, json| thinned(json, at, &mut apart));
    for (i, attempt) in thin.attempts.iter_mut().enumerate() {
        for (place, text) in texts(attempt) {
            if text.len() > INLINE_BYTES_MAX {
                let json = Value::from(std::mem::take(text)).to_string();
                apart.push(Apart::new(format!("/attempts/{i}/{place}"), json.into()));
            }
        }
    }
    if let Some(sealed) = thin.confidential.as_mut().map(|confidential| &mut confidential.sealed)
        && sealed.len() > INLINE_BYTES_MAX
    {
        let json = Value::from(std::mem::take(sealed)).to_string();
        apart.push(Apart::new("/confidential/sealed".to_owned(), json.into()));
    }
    thin.parts = apart.iter().map(|apart| apart.part.clone()).collect();
    (!apart.is_empty()).then_some((thin, apart))
}

/// The texts of an attempt that can be large, with their places in it.
fn texts(attempt: &mut Attempt) -> impl Iterator<Item = (&'static str, &mut String)> {
    let cassette =
        attempt.recording.as_mut().map(|recording| ("recording/cassette", &mut recording.cassette));
    [("log", &mut attempt.log)].into_iter().chain(cassette)
}

/// An object with `null` for each large member; `null` for another large value.
fn thinned<'r>(json: &'r Json, at: &str, apart: &mut Vec<Apart<'r>>) -> Json {
    let text = json.as_str();
    if text.len() <= INLINE_BYTES_MAX {
        return json.clone();
    }
    let Ok(Members(mut members)) = serde_json::from_str::<Members<'r>>(text) else {
        apart.push(Apart::new(at.to_owned(), text.into()));
        return Json::default();
    };
    for (key, value) in &mut members {
        if let Some(large) = value.take_if(|value| value.get().len() > INLINE_BYTES_MAX) {
            apart.push(Apart::new(format!("{at}/{}", escaped(key)), large.get().into()));
        }
    }
    Json::of(&Members(members)).unwrap_or_default()
}

/// The members of an object in their order, each as text. `None` is `null`.
struct Members<'r>(Vec<(String, Option<&'r RawValue>)>);

impl<'r> Deserialize<'r> for Members<'r> {
    fn deserialize<D: Deserializer<'r>>(deserializer: D) -> Result<Members<'r>, D::Error> {
        struct Reader;
        impl<'r> Visitor<'r> for Reader {
            type Value = Members<'r>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'r>>(self, mut map: A) -> Result<Members<'r>, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((key, Some(value)));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// A key as a step of a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// Stores the values of a record, each of which may be there already. Returns the bytes that they take.
pub(super) fn put(connection: &Connection, id: &str, apart: &[Apart<'_>]) -> Result<u64, StoreError> {
    let mut bytes = 0;
    for Apart { part, json } in apart {
        let (number, stored) = body(connection, part, json)?;
        bytes += stored;
        let insert = "INSERT OR IGNORE INTO body_uses (record, body) VALUES (?1, ?2)";
        connection.prepare_cached(insert)?.execute(params![id, number])?;
    }
    Ok(bytes)
}

/// The number of a body, and the bytes that it takes.
fn body(connection: &Connection, part: &Part, json: &str) -> Result<(i64, u64), StoreError> {
    let known = "SELECT number, length(zstd) FROM bodies WHERE sha256 = ?1";
    let known = connection
        .prepare_cached(known)?
        .query_row([&part.sha256], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    if let Some((number, bytes)) = known {
        return Ok((number, bytes.cast_unsigned()));
    }
    let zstd = zstd::bulk::compress(json.as_bytes(), ZSTD_LEVEL).map_err(StoreError::Compress)?;
    let insert = "INSERT INTO bodies (sha256, bytes, zstd) VALUES (?1, ?2, ?3)";
    connection.prepare_cached(insert)?.execute(params![part.sha256, part.bytes.cast_signed(), zstd])?;
    Ok((connection.last_insert_rowid(), zstd.len() as u64))
}

/// Puts the values that are stored apart back into a record.
pub(super) fn fill(connection: &Connection, record: &mut Record) -> Result<(), JournalError> {
    for part in std::mem::take(&mut record.parts) {
        let value = value(connection, &part).map_err(|why| {
            JournalError::Read(format!("the value at `{}` of record `{}` {why}", part.at, record.id))
        })?;
        place(record, &part.at, value).ok_or_else(|| {
            JournalError::Read(format!("record `{}` has no place `{}` for a value", record.id, part.at))
        })?;
    }
    Ok(())
}

fn value(connection: &Connection, part: &Part) -> Result<Value, String> {
    let look = "SELECT zstd FROM bodies WHERE sha256 = ?1";
    let zstd: Option<Vec<u8>> = connection
        .query_row(look, [&part.sha256], |row| row.get(0))
        .optional()
        .map_err(|err| format!("cannot be read: {}", explained(&err)))?;
    let zstd = zstd.ok_or("is missing")?;
    // Bounded by what the record says: a body that was exchanged must not fill memory.
    let bytes = usize::try_from(part.bytes).map_err(|_| "is too large")?;
    let json =
        zstd::bulk::decompress(&zstd, bytes).map_err(|err| format!("cannot be decompressed: {err}"))?;
    if sha256(&json) != part.sha256 {
        return Err("is not the one that was recorded".to_owned());
    }
    serde_json::from_slice(&json).map_err(|err| format!("is no JSON: {err}"))
}

/// Puts a value into its place. `None` if the record has no such place.
fn place(record: &mut Record, at: &str, value: Value) -> Option<()> {
    let mut steps = at.strip_prefix('/')?.splitn(3, '/');
    let (first, second, third) = (steps.next()?, steps.next(), steps.next());
    let whole = match first {
        "args" => &mut record.args,
        "reply" => &mut record.reply,
        "attempts" => {
            let attempt = record.attempts.get_mut(second?.parse::<usize>().ok()?)?;
            let (_, text) = texts(attempt).find(|(place, _)| Some(*place) == third)?;
            value.as_str()?.clone_into(text);
            return Some(());
        }
        "confidential" => {
            value.as_str()?.clone_into(&mut record.confidential.as_mut()?.sealed);
            return Some(());
        }
        _ => return None,
    };
    match (second, third) {
        (None, _) => *whole = Some(value),
        (Some(key), None) => {
            whole.as_mut()?.as_object_mut()?.insert(unescaped(key), value);
        }
        (Some(_), Some(_)) => return None,
    }
    Some(())
}
