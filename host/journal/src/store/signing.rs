//! The entries that are signed with the key of the log: what retention took, which checkpoints were exported, and what the log
//! was when its key began to sign.
//!
//! Owns how a key begins. A key that has begun says so in its file, where a program that can only write
//! the database cannot take it back: with a database that looks as if nothing had ever been signed it would have the key sign
//! what it forged.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde::Serialize;

use super::log::{self, New};
use super::{Store, StoreError};
use crate::log::{Edge, Hash, KeyError, Kind, SigningKey, Tiles, key_path, sign};
use crate::store::verify::base64;

/// Leaves that are read at once.
const BATCH: usize = 4_096;

/// What a log was when its key began to sign. Its fields are in the order of their names: the text is canonical JSON.
#[derive(Serialize)]
struct Told {
    /// The root of the entries before it; none if one of them is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    size: u64,
}

/// Appends an entry that says everything itself, signed by a key. Returns its number.
pub(crate) fn append(
    connection: &Connection,
    kind: Kind,
    text: &str,
    key: &SigningKey,
) -> Result<u64, StoreError> {
    let text = sign(key, kind, log::size(connection)?, text).map_err(|_| StoreError::Json)?;
    log::append(connection, New::told(kind, &text))
}

/// The key beside the database of a connection.
pub(super) fn key_of(connection: &Connection) -> Result<SigningKey, KeyError> {
    let path = key_path(connection.path().unwrap_or_default().as_ref());
    SigningKey::existing(&path)?.ok_or(KeyError::Missing(path))
}

impl Store {
    fn key_path(&self) -> PathBuf {
        key_path(&self.path)
    }

    /// The key of the log, which has begun to sign. Makes a missing one of a log without entries: any other had one.
    pub(crate) fn key(&mut self, tiles: &Tiles) -> Result<SigningKey, StoreError> {
        let path = self.key_path();
        if let Some(key) = SigningKey::existing(&path)?.filter(SigningKey::has_begun) {
            return Ok(key);
        }
        // The lock of the database: one process at a time makes a key.
        let key = self.write(|connection| {
            let is_used = is_any(connection, SIGNED)?;
            let key = match SigningKey::existing(&path)? {
                Some(key) => key,
                None if log::size(connection)? == 0 => new_key(&path, tiles)?,
                None => {
                    signed_nothing(&path, tiles)?;
                    return Err(KeyError::Used(path).into());
                }
            };
            // A key that has not begun, beside entries that are signed: the process ended here, or it is another log's.
            if !key.has_begun() && !is_used && is_any(connection, TOLD)? {
                begin(connection, &key)?;
            }
            Ok::<_, StoreError>(key)
        })?;
        self.begun(key)
    }

    /// Makes a key in the place of one that was lost. It signs what the log is now.
    pub(crate) fn new_key(&mut self, tiles: &Tiles) -> Result<SigningKey, StoreError> {
        let path = self.key_path();
        let key = self.write(|connection| {
            if SigningKey::existing(&path)?.is_some() {
                return Err(KeyError::There(path.clone()).into());
            }
            let key = new_key(&path, tiles)?;
            begin(connection, &key)?;
            Ok::<_, StoreError>(key)
        })?;
        self.begun(key)
    }

    /// Notes in the file of a key that it has begun, once the entry about it is durable. Before that a crash would leave a log whose
    /// older entries nothing signs.
    fn begun(&mut self, key: SigningKey) -> Result<SigningKey, StoreError> {
        let path = self.key_path();
        self.write(|_| Ok::<_, StoreError>(key.begin(&path)?))
    }
}

/// Entries whose text has a signature. The text of an entry is canonical JSON.
const SIGNED: &str =
    "SELECT 1 FROM log WHERE kind IN ('prune', 'checkpoint', 'key') AND text LIKE '%\"signature\":\"%'";

/// Entries that would have one.
const TOLD: &str = "SELECT 1 FROM log WHERE kind IN ('prune', 'checkpoint') AND text IS NOT NULL";

fn is_any(connection: &Connection, query: &str) -> Result<bool, StoreError> {
    Ok(connection.prepare(query)?.exists([])?)
}

/// Makes the missing key of a log whose tables were just made, or migrated from a version that made it later: until it has begun, an
/// entry that a forger wrote is taken for one of such a version. Whatever prevents it is told where the key is needed.
pub(super) fn make_missing(connection: &Connection) {
    // A database in memory has no path, and no key.
    let Some(journal) = connection.path().filter(|path| !path.is_empty()).map(Path::new) else { return };
    let path = key_path(journal);
    let is_missing = SigningKey::existing(&path).is_ok_and(|key| key.is_none());
    if is_missing && is_any(connection, SIGNED).is_ok_and(|is_used| !is_used) {
        let _ = new_key(&path, &Tiles::beside(journal));
    }
}

fn new_key(path: &Path, tiles: &Tiles) -> Result<SigningKey, KeyError> {
    signed_nothing(path, tiles)?;
    SigningKey::open(path)
}

/// Fails where a missing key has signed the checkpoint of the tiles, or where that cannot be told.
fn signed_nothing(path: &Path, tiles: &Tiles) -> Result<(), KeyError> {
    let path = path.to_owned();
    match tiles.checkpoint() {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(KeyError::Lost { path, tiles: tiles.folder().to_owned() }),
        Err(err) => {
            let reason = format!("it is missing, and whether it signed a checkpoint cannot be told: {err}");
            Err(KeyError::File { path, reason })
        }
    }
}

/// Appends the entry by which a key begins.
fn begin(connection: &Connection, key: &SigningKey) -> Result<(), StoreError> {
    let size = log::size(connection)?;
    let told = Told { root: root(connection, size)?.map(|root| base64(&root)), size };
    let text = serde_json::to_string(&told).map_err(|_| StoreError::Json)?;
    append(connection, Kind::Key, &text, key).map(drop)
}

/// The root of the first entries; none if one of them is missing.
fn root(connection: &Connection, size: u64) -> Result<Option<Hash>, StoreError> {
    let mut edge = Edge::default();
    while edge.size() < size {
        let count = usize::try_from(size - edge.size()).unwrap_or(BATCH).min(BATCH);
        let leaves = log::leaves(connection, edge.size(), count)?;
        if leaves.len() != count {
            return Ok(None);
        }
        for leaf in leaves {
            let pushed = edge.push(leaf, |_, _, _| Ok::<_, std::convert::Infallible>(()));
            pushed.unwrap_or_else(|never| match never {});
        }
    }
    Ok(Some(edge.root()))
}
