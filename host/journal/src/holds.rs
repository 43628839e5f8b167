//! Calls that wait for a person: an SQLite database of its own, beside that of records.
//!
//! Owns the file, and that one change of a hold is made at a time, whichever process makes it. What happened stands in the
//! records; here stands what may still happen. Must not know what a decision means, nor how a call is run.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::database::{self, Database, Form};
use crate::process::Process;
use crate::store::StoreError;
use airlock_types::hold::{Hold, Standing};

/// The name of the file, in the folder of the journal.
pub const FILE: &str = "holds.db";

/// Most open holds of one caller. Each waits for a person, who would never reach the last one.
pub const CALLER_HOLDS_MAX: u32 = 64;

/// Most open holds of a host.
pub const HOLDS_MAX: u32 = 10_000;

/// For how long a hold that ended is kept, in milliseconds: 30 days. Its records have their own retention.
const KEPT_MS_MAX: u64 = 30 * 86_400_000;

/// For how long a hold is kept after its time when nobody asks for it, in milliseconds: a day.
const UNASKED_MS_MAX: u64 = 86_400_000;

/// Most holds that are kept. Beyond them the oldest that ended go.
const KEPT_MAX: u32 = 50_000;

/// Most components that are known to have run. Beyond them the oldest goes, and is held again.
const COMPONENTS_MAX: u32 = 10_000;

/// Version of the tables, stored in `user_version`.
const VERSION: u32 = 1;

const TABLES: &str = "
CREATE TABLE holds (
    id TEXT PRIMARY KEY,
    call TEXT NOT NULL,
    caller TEXT NOT NULL,
    standing TEXT NOT NULL,
    created_unix_ms INTEGER NOT NULL,
    expires_unix_ms INTEGER NOT NULL,
    kept TEXT NOT NULL
) STRICT;
CREATE INDEX holds_of_call ON holds (call, created_unix_ms);
CREATE INDEX holds_by_time ON holds (created_unix_ms);
CREATE INDEX open_holds ON holds (caller, expires_unix_ms) WHERE standing = 'open';
CREATE TABLE components (digest TEXT PRIMARY KEY, known_unix_ms INTEGER NOT NULL) STRICT;
PRAGMA user_version = 1;
";

/// A decision that a power failure undid would be asked for again, after its call ran.
const FORM: Form = Form { prepare, is_durable: true, busy: database::BUSY };

/// A hold, and what its host needs to end it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The hold.
    pub hold: Hold,
    /// The digest of the arguments with which the call was made: an edit changes those of the hold.
    #[serde(default)]
    pub asked_digest: String,
    /// The reply that waits, for a held result that may be stored.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reply: Option<Value>,
    /// Whether arguments or reply are in the memory of the process that held the call, since they are confidential.
    #[serde(default)]
    pub is_confidential: bool,
    /// The process that has the call run, or that holds what is confidential.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub owner: String,
    /// Whether whoever made the call got its end.
    #[serde(default)]
    pub is_fetched: bool,
}

impl Kept {
    /// Ends the hold. What the call said is on its records from now on, for as long as the operator keeps these.
    pub fn close(&mut self, standing: Standing) {
        self.hold.standing = standing;
        (self.hold.arguments, self.reply) = (None, None);
        self.hold.rules.iter_mut().for_each(|rule| rule.values.clear());
    }
}

/// What became of a call that is to be held.
#[derive(Clone, Debug, PartialEq)]
pub enum Opened {
    /// It waits now.
    New,
    /// The same call waits already, or ended and its reply was not fetched.
    Known(Box<Kept>),
    /// Too many calls wait.
    Full,
}

/// What an id, or the beginning of one, leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// One hold.
    One(Box<Kept>),
    /// None.
    Nothing,
    /// Several begin so.
    Several,
}

/// What became of a change: none without such a hold, and the refusal of one that was not made.
pub type Changed<T, E> = Option<Result<(T, Kept), E>>;

/// The holds of a host.
#[derive(Debug)]
pub struct Holds {
    database: Database,
    place: String,
    /// None for holds in memory.
    path: Option<PathBuf>,
    /// This process, beside the others that share the file. None for holds in memory.
    process: Option<Process>,
}

/// Why holds cannot be kept or read, for the operator.
#[derive(Debug, thiserror::Error)]
#[error("the holds in {place} cannot be used, and calls that need a person's yes are refused: {reason}")]
pub struct HoldsError {
    place: String,
    reason: String,
}

impl Holds {
    /// The holds in a file, which is opened when it is needed first.
    pub fn at(path: &Path) -> Holds {
        let (place, process) = (format!("`{}`", path.display()), Some(Process::at(path)));
        Holds { database: Database::at(path, FORM), place, path: Some(path.to_owned()), process }
    }

    /// Holds in memory, which end with the process.
    ///
    /// # Errors
    /// When SQLite has no memory.
    pub fn memory() -> Result<Holds, HoldsError> {
        let place = "memory".to_owned();
        match Database::memory(FORM) {
            Ok(database) => Ok(Holds { database, place, path: None, process: None }),
            Err(reason) => Err(HoldsError { place, reason }),
        }
    }

    /// Whether there is anything to read: the file is made with the first hold.
    pub fn is_there(&self) -> bool {
        self.path.as_ref().is_none_or(|path| path.exists())
    }

    /// The name of this process in the file.
    ///
    /// # Errors
    /// When the file that says that it lives cannot be made.
    pub fn own(&self) -> Result<String, HoldsError> {
        let own = self.process.as_ref().map_or_else(|| Ok(String::new()), Process::id);
        own.map_err(|reason| HoldsError { place: self.place.clone(), reason })
    }

    /// Whether the process with this name runs.
    pub fn lives(&self, owner: &str) -> bool {
        self.process.as_ref().is_none_or(|process| process.lives(owner))
    }

    /// Holds a call, or finds that the same call is held. `call` is the digest of what makes two calls the same.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn open(&self, call: &str, kept: &Kept) -> Result<Opened, HoldsError> {
        let Hold { id, caller, created_unix_ms: now_unix_ms, expires_unix_ms, .. } = &kept.hold;
        let opened = self.database.write(|connection| -> Result<_, StoreError> {
            forget(connection, *now_unix_ms)?;
            // A result waits beside the hold in which its call waited before.
            if let Some(known) = of_call(connection, call)?.filter(|_| !kept.hold.is_result) {
                return Ok(Opened::Known(known));
            }
            let open = "SELECT count(*), coalesce(sum(caller = ?1), 0) FROM holds WHERE standing = 'open' \
                        AND expires_unix_ms > ?2";
            let count = |row: &Row<'_>| Ok((row.get::<_, u32>(0)?, row.get::<_, u32>(1)?));
            let now = now_unix_ms.cast_signed();
            let (all, own) = connection.prepare_cached(open)?.query_row(params![caller, now], count)?;
            if all >= HOLDS_MAX || own >= CALLER_HOLDS_MAX {
                return Ok(Opened::Full);
            }
            let row = params![
                id,
                call,
                caller,
                kept.hold.standing.as_str(),
                now,
                expires_unix_ms.cast_signed(),
                text(kept)
            ];
            connection
                .prepare_cached("INSERT INTO holds VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
                .execute(row)?;
            Ok(Opened::New)
        });
        opened.map_err(|err| self.error(&err))
    }

    /// The hold of the same call that waits, or ended and was not fetched.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of_call(&self, call: &str) -> Result<Option<Box<Kept>>, HoldsError> {
        self.database.read(|connection| of_call(connection, call)).map_err(|err| self.error(&err))
    }

    /// The hold with this id, or the only one whose id begins so.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn find(&self, id: &str) -> Result<Found, HoldsError> {
        let found = self.database.read(|connection| -> Result<_, StoreError> {
            // A range of the primary key, since `LIKE` would read a `_` of an id as any letter.
            let query =
                "SELECT kept FROM holds WHERE id >= ?1 AND id < ?1 || '\u{10FFFF}' ORDER BY id LIMIT 2";
            let mut statement = connection.prepare_cached(query)?;
            let found = statement.query_map([id], read)?.collect::<Result<Vec<_>, _>>()?;
            Ok(found.into_iter().flatten().collect::<Vec<Kept>>())
        });
        let mut found = found.map_err(|err| self.error(&err))?;
        Ok(match (found.pop(), found.pop()) {
            (Some(kept), None) => Found::One(Box::new(kept)),
            (Some(_), Some(first)) if first.hold.id == id => Found::One(Box::new(first)),
            (Some(_), Some(_)) => Found::Several,
            (None, _) => Found::Nothing,
        })
    }

    /// The newest holds first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn list(&self, open_only: bool, limit: usize) -> Result<Vec<Hold>, HoldsError> {
        let listed = self.database.read(|connection| -> Result<_, StoreError> {
            let query = "SELECT kept FROM holds WHERE standing IN ('open', 'running') OR NOT ?1 \
                         ORDER BY created_unix_ms DESC, id LIMIT ?2";
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut statement = connection.prepare_cached(query)?;
            let listed =
                statement.query_map(params![open_only, limit], read)?.collect::<Result<Vec<_>, _>>()?;
            Ok(listed.into_iter().flatten().map(|kept| kept.hold).collect())
        });
        listed.map_err(|err| self.error(&err))
    }

    /// Changes the hold with this whole id. `change` sees it as it is, and no other process changes it meanwhile; what it
    /// refuses stays as it was. None without such a hold.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn change<T, E>(
        &self,
        id: &str,
        change: impl FnOnce(&mut Kept) -> Result<T, E>,
    ) -> Result<Changed<T, E>, HoldsError> {
        let changed = self.database.write(|connection| -> Result<_, StoreError> {
            let query = "SELECT kept FROM holds WHERE id = ?1";
            let found = connection.prepare_cached(query)?.query_row([id], read).optional()?;
            let Some(mut kept) = found.flatten() else { return Ok(None) };
            match change(&mut kept) {
                Ok(done) => {
                    let set = "UPDATE holds SET standing = ?2, kept = ?3 WHERE id = ?1";
                    let row = params![id, kept.hold.standing.as_str(), text(&kept)];
                    connection.prepare_cached(set)?.execute(row)?;
                    Ok(Some(Ok((done, kept))))
                }
                Err(refused) => Ok(Some(Err(refused))),
            }
        });
        changed.map_err(|err| self.error(&err))
    }

    /// Whether a component ran before with a person's yes.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_known(&self, component: &str) -> Result<bool, HoldsError> {
        let known = self.database.read(|connection| -> Result<_, StoreError> {
            let query = "SELECT 1 FROM components WHERE digest = ?1";
            Ok(connection.prepare_cached(query)?.exists([component])?)
        });
        known.map_err(|err| self.error(&err))
    }

    /// The components that ran with a person's yes.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn known(&self) -> Result<Vec<String>, HoldsError> {
        let known = self.database.read(|connection| -> Result<_, StoreError> {
            let mut statement = connection.prepare_cached("SELECT digest FROM components")?;
            Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        });
        known.map_err(|err| self.error(&err))
    }

    /// Remembers that a component ran with a person's yes.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn know(&self, component: &str, now_unix_ms: u64) -> Result<(), HoldsError> {
        let known = self.database.write(|connection| -> Result<(), StoreError> {
            let add = "INSERT OR IGNORE INTO components VALUES (?1, ?2)";
            connection.prepare_cached(add)?.execute(params![component, now_unix_ms.cast_signed()])?;
            let beyond = "DELETE FROM components WHERE digest IN \
                          (SELECT digest FROM components ORDER BY known_unix_ms DESC LIMIT -1 OFFSET ?1)";
            connection.prepare_cached(beyond)?.execute([COMPONENTS_MAX])?;
            Ok(())
        });
        known.map_err(|err| self.error(&err))
    }

    fn error(&self, err: &StoreError) -> HoldsError {
        HoldsError { place: self.place.clone(), reason: err.to_string() }
    }
}

/// The newest hold of a call. One that ended and was fetched is over: the same call is a new one.
fn of_call(connection: &Connection, call: &str) -> Result<Option<Box<Kept>>, StoreError> {
    let query = "SELECT kept FROM holds WHERE call = ?1 ORDER BY created_unix_ms DESC, rowid DESC LIMIT 1";
    let known = connection.prepare_cached(query)?.query_row([call], read).optional()?;
    Ok(known.flatten().filter(|known| !known.is_fetched).map(Box::new))
}

/// Forgets holds that ended long ago, and the oldest of too many.
fn forget(connection: &Connection, now_unix_ms: u64) -> Result<(), StoreError> {
    let oldest = now_unix_ms.saturating_sub(KEPT_MS_MAX).cast_signed();
    connection.prepare_cached("DELETE FROM holds WHERE created_unix_ms < ?1")?.execute([oldest])?;
    // Nobody asked what became of these, which have arguments still.
    let unasked = "DELETE FROM holds WHERE standing = 'open' AND expires_unix_ms < ?1";
    let day_ago = now_unix_ms.saturating_sub(UNASKED_MS_MAX).cast_signed();
    connection.prepare_cached(unasked)?.execute([day_ago])?;
    let beyond = "DELETE FROM holds WHERE standing NOT IN ('open', 'running') AND id IN \
                  (SELECT id FROM holds ORDER BY created_unix_ms DESC LIMIT -1 OFFSET ?1)";
    connection.prepare_cached(beyond)?.execute([KEPT_MAX])?;
    Ok(())
}

/// Of a form that this version cannot read: as if there were none.
fn read(row: &Row<'_>) -> rusqlite::Result<Option<Kept>> {
    Ok(serde_json::from_str(&row.get::<_, String>(0)?).ok())
}

fn text(kept: &Kept) -> String {
    // Its maps have strings as keys, so that this cannot fail.
    serde_json::to_string(kept).unwrap_or_default()
}

fn prepare(connection: &mut Connection) -> Result<(), String> {
    database::create(connection, VERSION, TABLES)
}

#[cfg(test)]
mod tests;
