//! A database beside that of records: a file, or the memory of this process.
//!
//! Owns when it is opened: a file at its first use, and again after its connection proved useless or its files were
//! replaced. Must not know what is in it. To add one: its `Form`, and a module that calls `Database::read`
//! and `Database::write`.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use crate::store::{Fault, Store, StoreError, log_ahead};

/// How long a change that a call waits for waits for one of another process.
pub(crate) const BUSY: Duration = Duration::from_secs(5);

/// What a database is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// Makes or migrates its tables. The error says what is wrong with them.
    pub(crate) prepare: fn(&mut Connection) -> Result<(), String>,
    /// Whether a change is on disk when it returns. Otherwise a power failure may undo the last ones.
    pub(crate) is_durable: bool,
    /// How long a change waits for one of another process.
    pub(crate) busy: Duration,
}

/// An error of something that is kept in a database.
pub(crate) trait DatabaseError: From<StoreError> {
    /// Whether a new connection may help.
    fn is_broken(&self) -> bool;
}

impl DatabaseError for StoreError {
    fn is_broken(&self) -> bool {
        self.fault() == Fault::Broken
    }
}

/// Has SQLite keep its temporary files in this folder, for all databases of this process. Otherwise it takes a folder of
/// the system, which a confined process does not reach. They have no names once they are open.
///
/// # Errors
/// When the folder cannot be written to.
pub fn temporary_files_in(folder: &Path) -> Result<(), String> {
    let set = || Connection::open_in_memory()?.pragma_update(None, "temp_store_directory", folder.to_str());
    set().map_err(|err| err.to_string())
}

/// Creates the tables of a version in a new database, for a [`Form`]. Refuses a newer version.
pub(crate) fn create(connection: &mut Connection, version: u32, tables: &str) -> Result<(), String> {
    let text = |err: rusqlite::Error| err.to_string();
    log_ahead(connection).map_err(text)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(text)?;
    // Read inside the transaction, since two processes may open the database at the same time.
    let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(text)?;
    if found > version {
        return Err(format!(
            "it is of version {found}, written by a newer Airlock; this one knows up to {version}"
        ));
    }
    if found < version {
        transaction.execute_batch(tables).map_err(text)?;
    }
    transaction.commit().map_err(text)
}

/// A database that one thread at a time uses.
#[derive(Debug)]
pub(crate) struct Database {
    base: Mutex<Base>,
    form: Form,
}

/// Where it is.
#[derive(Debug)]
enum Base {
    /// A file. `None` before its first use, and after its connection proved useless.
    File(PathBuf, Option<Store>),
    /// The memory of this process.
    Memory(Connection),
}

impl Database {
    /// The database in a file, which is opened at its first use. A missing file is created then, readable by this user
    /// alone.
    pub(crate) fn at(path: &Path, form: Form) -> Database {
        Database { base: Mutex::new(Base::File(path.to_owned(), None)), form }
    }

    /// The database in a file, opened now.
    ///
    /// # Errors
    /// Says what is wrong with the file: nothing is overwritten.
    pub(crate) fn open(path: &Path, form: Form) -> Result<Database, String> {
        let store = opened(path, form)?;
        Ok(Database { base: Mutex::new(Base::File(path.to_owned(), Some(store))), form })
    }

    /// A database that ends with the process.
    ///
    /// # Errors
    /// When SQLite has no memory.
    pub(crate) fn memory(form: Form) -> Result<Database, String> {
        let mut connection = Connection::open_in_memory().map_err(|err| err.to_string())?;
        (form.prepare)(&mut connection)?;
        Ok(Database { base: Mutex::new(Base::Memory(connection)), form })
    }

    /// Reads in one transaction, so that several statements see the same state.
    pub(crate) fn read<T, E: DatabaseError>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.with(|base| match base {
            Base::Memory(connection) => work(connection),
            Base::File(path, store) => {
                let store = kept(path, store, self.form)?;
                let transaction = store.connection().unchecked_transaction().map_err(StoreError::from)?;
                work(&transaction)
            }
        })
    }

    /// Writes in one transaction, which is undone if `work` fails.
    pub(crate) fn write<T, E: DatabaseError>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.with(|base| match base {
            Base::Memory(connection) => {
                let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
                let transaction = begun.map_err(StoreError::from)?;
                let done = work(&transaction)?;
                transaction.commit().map_err(StoreError::from)?;
                Ok(done)
            }
            Base::File(path, store) => kept(path, store, self.form)?.write(work),
        })
    }

    fn with<T, E: DatabaseError>(&self, work: impl FnOnce(&mut Base) -> Result<T, E>) -> Result<T, E> {
        let mut base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        let done = work(&mut base);
        // A new connection may help, and the next use makes one.
        if let (Err(err), Base::File(_, store)) = (&done, &mut *base)
            && err.is_broken()
        {
            *store = None;
        }
        done
    }
}

fn opened(path: &Path, form: Form) -> Result<Store, String> {
    let text = |err: rusqlite::Error| err.to_string();
    let store = Store::open_with(path, form.prepare)?;
    store.connection().busy_timeout(form.busy).map_err(text)?;
    if !form.is_durable {
        store.connection().pragma_update(None, "synchronous", "NORMAL").map_err(text)?;
    }
    Ok(store)
}

/// The open store of a file. The files may have been replaced since it was opened; it would then read removed ones.
fn kept<'s>(path: &Path, store: &'s mut Option<Store>, form: Form) -> Result<&'s mut Store, StoreError> {
    if store.as_mut().is_some_and(|store| !store.is_in_place()) {
        *store = None;
        return Err(StoreError::Displaced);
    }
    match store {
        Some(store) => Ok(store),
        none => Ok(none.insert(opened(path, form).map_err(StoreError::Open)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_opened_by_many_at_the_same_moment() {
        const FORM: Form = Form {
            prepare: |connection| {
                create(connection, 1, "CREATE TABLE t (n INTEGER) STRICT; PRAGMA user_version = 1;")
            },
            is_durable: true,
            busy: BUSY,
        };
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("new.db");
            let barrier = std::sync::Arc::new(std::sync::Barrier::new(8));
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    let (path, barrier) = (path.clone(), barrier.clone());
                    std::thread::spawn(move || {
                        barrier.wait();
                        Database::open(&path, FORM).map(drop)
                    })
                })
                .collect();
            for thread in threads {
                thread.join().unwrap().unwrap();
            }
        }
    }

    #[test]
    fn temporary_files_go_where_they_are_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(temporary_files_in(&folder.path().join("missing")).is_err());
        temporary_files_in(folder.path()).unwrap();
        let connection = Connection::open_in_memory().unwrap();
        let said: String =
            connection.pragma_query_value(None, "temp_store_directory", |row| row.get(0)).unwrap();
        assert_eq!(Path::new(&said), folder.path());
        temporary_files_in(Path::new("")).unwrap();
    }
}
