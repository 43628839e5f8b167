//! The rows of the log: appends an entry for everything that is written, and notes in them what retention took.
//!
//! An entry is a row of `log`, whose `leaf` commits to the others of its columns. Of an entry whose record was removed, number and
//! leaf stay, as a row of `leaves`. Nothing here deletes a leaf.

use rusqlite::{Connection, Row, params};

use super::{StoreError, signed};
use crate::log::{Entry, Kind, Ranges};
use airlock_types::digest::{Hasher, hex, sha256_of};

/// Leaves that are in memory at once.
const LEAVES_AT_ONCE: usize = 1 << 10;

/// Bytes of a salt.
const SALT_BYTES: usize = 16;

/// What is appended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct New<'n> {
    pub(crate) kind: Kind,
    /// What it is about.
    pub(crate) id: Option<&'n str>,
    /// What stays when retention erases.
    pub(crate) head: Option<&'n str>,
    /// All that was written.
    pub(crate) payload: Option<&'n str>,
    /// Numbers of the entries whose rows it replaced or ended.
    pub(crate) ends: &'n [u64],
    /// Whether the head is in no other table, and is kept in the log itself.
    pub(crate) is_told: bool,
}

impl<'n> New<'n> {
    /// An entry about a row of another table.
    pub(crate) fn of(kind: Kind, id: &'n str) -> New<'n> {
        New { kind, id: Some(id), head: None, payload: None, ends: &[], is_told: false }
    }

    /// An entry that says everything itself.
    pub(crate) fn told(kind: Kind, text: &'n str) -> New<'n> {
        New { kind, id: None, head: Some(text), payload: None, ends: &[], is_told: true }
    }
}

/// Number of entries.
pub(crate) fn size(connection: &Connection) -> rusqlite::Result<u64> {
    // Leaves are never deleted, so the last one has the greatest number.
    let last = "SELECT max(number) FROM (SELECT max(number) AS number FROM log UNION ALL SELECT max(number) FROM leaves)";
    let last: Option<i64> = connection.prepare_cached(last)?.query_row([], |row| row.get(0))?;
    // Not by SQL: behind the greatest integer, which a forged entry may have, its sum is no integer.
    Ok(last.map_or(0, |last| last.unsigned_abs() + 1))
}

/// The number of the next entry, in a transaction that appends many: asked for once, and counted from there.
#[derive(Debug, Default)]
pub(crate) struct Next(Option<u64>);

impl Next {
    /// Asks again the next time: others may have appended in this transaction, or what was counted was not.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }

    fn take(&mut self, connection: &Connection) -> rusqlite::Result<u64> {
        let number = self.0.map_or_else(|| size(connection), Ok)?;
        self.0 = Some(number + 1);
        Ok(number)
    }
}

/// Appends an entry, inside the transaction that writes what it is about. Returns its number.
pub(crate) fn append(connection: &Connection, new: New<'_>) -> Result<u64, StoreError> {
    append_next(connection, new, &mut Next::default())
}

/// Appends one of many entries, as [`append`] does.
pub(super) fn append_next(connection: &Connection, new: New<'_>, next: &mut Next) -> Result<u64, StoreError> {
    let New { kind, id, head, payload, ends, is_told } = new;
    let number = next.take(connection)?;
    let place = i64::try_from(number).map_err(|_| StoreError::Numbers)?;
    let salt = payload.map(|_| salt());
    let entry = Entry {
        ends,
        head: head.map(|head| sha256_of(&[head.as_bytes()])),
        id,
        kind,
        number,
        payload: payload.zip(salt).map(|(payload, salt)| sha256_of(&[&salt, payload.as_bytes()])),
    };
    let ended = (!ends.is_empty()).then(|| serde_json::to_string(ends)).transpose();
    let insert = "INSERT INTO log (number, leaf, kind, id, head, payload, salt, ends, text)
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    connection.prepare_cached(insert)?.execute(params![
        place,
        entry.leaf(),
        kind.as_str(),
        id,
        entry.head,
        entry.payload,
        salt,
        ended.map_err(|_| StoreError::Json)?,
        head.filter(|_| is_told),
    ])?;
    for ended in ends {
        // What it salted is not there any more.
        connection
            .prepare_cached("UPDATE log SET salt = NULL WHERE number = ?1 AND salt IS NOT NULL")?
            .execute([signed(*ended)])?;
    }
    Ok(number)
}

/// Random, and never drawn by the environment of calls: who can guess it can guess what was erased.
fn salt() -> [u8; SALT_BYTES] {
    // The process's own generator, which the kernel seeds. That of the library of the signatures collects entropy of its own
    // at its first use: 0.4 billion instructions in each `airlock call`.
    rand::random()
}

/// The entries of these kinds about this id that no later one ended, oldest first.
pub(super) fn standing(connection: &Connection, id: &str, kinds: &[Kind]) -> Result<Vec<u64>, StoreError> {
    let of_id = "SELECT number, kind, ends FROM log WHERE id = ?1 ORDER BY number";
    let mut query = connection.prepare_cached(of_id)?;
    let mut rows = query.query([id])?;
    let mut standing: Vec<(u64, Kind)> = Vec::new();
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        // What is no list ends nothing, and what is no kind is no entry: a verification tells of both.
        let kind = row.get_ref(1)?.as_str().unwrap_or_default();
        let Some(kind) = Kind::named(kind) else { continue };
        let ends = row.get_ref(2)?.as_str().unwrap_or_default();
        let ends: Vec<u64> = serde_json::from_str(ends).unwrap_or_default();
        standing.retain(|(number, ended)| !(kind.may_end(*ended) && ends.contains(number)));
        if kinds.contains(&kind) {
            standing.push((number.unsigned_abs(), kind));
        }
    }
    Ok(standing.into_iter().map(|(number, _)| number).collect())
}

/// Whether an entry commits to this head and this payload.
pub(super) fn commits(
    connection: &Connection,
    number: u64,
    head: &str,
    payload: &str,
) -> Result<bool, StoreError> {
    type Digests = (Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>);
    let digests = "SELECT head, payload, salt FROM log WHERE number = ?1";
    let digests: Digests = connection
        .prepare_cached(digests)?
        .query_row([signed(number)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let (Some(of_head), Some(of_payload), Some(salt)) = digests else { return Ok(false) };
    let is_payload = of_payload == sha256_of(&[&salt, payload.as_bytes()]);
    Ok(is_payload && of_head == sha256_of(&[head.as_bytes()]))
}

/// Notes that a record and everything about it was removed. Adds the numbers of its entries.
pub(super) fn removed(connection: &Connection, id: &str, gone: &mut Ranges) -> Result<(), StoreError> {
    let delete =
        "DELETE FROM log WHERE id = ?1 OR (id > ?1 || '/' AND id < ?1 || '0') RETURNING number, leaf";
    let mut delete = connection.prepare_cached(delete)?;
    let rows = delete.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut keep = connection.prepare_cached("INSERT INTO leaves VALUES (?1, ?2)")?;
    for (number, leaf) in rows.collect::<Result<Vec<(i64, Vec<u8>)>, _>>()? {
        keep.execute(params![number, leaf])?;
        gone.insert(number.unsigned_abs());
    }
    Ok(())
}

/// Notes that a record and everything about it was erased. Adds the numbers of its entries.
pub(super) fn erased(connection: &Connection, id: &str, gone: &mut Ranges) -> Result<(), StoreError> {
    let update = "UPDATE log SET salt = NULL
                  WHERE (id = ?1 OR (id > ?1 || '/' AND id < ?1 || '0')) AND salt IS NOT NULL RETURNING number";
    let mut update = connection.prepare_cached(update)?;
    let mut rows = update.query([id])?;
    while let Some(row) = rows.next()? {
        gone.insert(row.get::<_, i64>(0)?.unsigned_abs());
    }
    Ok(())
}

/// The digest of the head of the record that stands under this id.
pub(super) fn head(connection: &Connection, number: u64) -> Result<Option<[u8; 32]>, StoreError> {
    let head = "SELECT head FROM log WHERE number = ?1";
    Ok(connection.prepare_cached(head)?.query_row([signed(number)], |row| row.get(0))?)
}

/// The leaves from a number on, at most this many.
pub(crate) fn leaves(connection: &Connection, first: u64, count: usize) -> rusqlite::Result<Vec<[u8; 32]>> {
    let leaves = "SELECT number, leaf FROM log WHERE number >= ?1 AND number < ?2
                  UNION ALL SELECT number, leaf FROM leaves WHERE number >= ?1 AND number < ?2 ORDER BY number";
    let mut query = connection.prepare_cached(leaves)?;
    query.query_map(params![signed(first), signed(first + count as u64)], |row| row.get(1))?.collect()
}

/// SHA-256 of the leaves of the entries in these ranges, in hex.
pub(super) fn digest_of(connection: &Connection, of: &[&Ranges]) -> rusqlite::Result<String> {
    let mut hasher = Hasher::new();
    for (first, last) in of.iter().flat_map(|ranges| ranges.iter()) {
        for first in (first..=last).step_by(LEAVES_AT_ONCE) {
            let count = usize::try_from(last - first + 1).unwrap_or(LEAVES_AT_ONCE).min(LEAVES_AT_ONCE);
            leaves(connection, first, count)?.iter().for_each(|leaf| hasher.update(leaf));
        }
    }
    Ok(hex(&hasher.finish()))
}

/// The latest text of an entry of this kind.
pub(crate) fn latest(connection: &Connection, kind: Kind) -> rusqlite::Result<Option<(u64, String)>> {
    use rusqlite::OptionalExtension as _;
    let latest =
        "SELECT number, text FROM log WHERE kind = ?1 AND text IS NOT NULL ORDER BY number DESC LIMIT 1";
    let found = connection
        .prepare_cached(latest)?
        .query_row([kind.as_str()], |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), text(row, 1)?)));
    Ok(found.optional()?.map(|(number, text)| (number, text.unwrap_or_default())))
}

/// A text column, which may have been made one that is not UTF-8: such a text is not what anything here wrote, and must be told
/// all the same.
pub(super) fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    let bytes = row.get_ref(column)?.as_bytes_or_null();
    Ok(bytes.unwrap_or_default().map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
}

/// The entry with this number, as text, and which number it has; none for one whose record was removed.
pub(crate) fn of_call(connection: &Connection, id: &str) -> Result<Option<(u64, String)>, StoreError> {
    let kinds = [Kind::Call, Kind::Effect];
    let Some(number) = standing(connection, id, &kinds)?.last().copied() else { return Ok(None) };
    let columns = "SELECT kind, head, payload, ends FROM log WHERE number = ?1";
    let found = connection.prepare_cached(columns)?.query_row([signed(number)], |row| {
        Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get::<_, Option<String>>(3)?))
    })?;
    let (kind, head, payload, ends) = found;
    let ends: Vec<u64> =
        ends.map_or(Ok(Vec::new()), |ends| serde_json::from_str(&ends)).map_err(|_| StoreError::Json)?;
    let kind = Kind::named(&kind).ok_or(StoreError::Json)?;
    let entry = Entry { ends: &ends, head, id: Some(id), kind, number, payload };
    Ok(Some((number, entry.text())))
}
