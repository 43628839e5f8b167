//! Errors of SQLite in words for an operator: what is wrong with the file, and how to mend it.

use rusqlite::{Error, ErrorCode, ffi};

use crate::state::MAKE_ROOM;

/// The error, with what to do about it where that is known.
pub(super) fn explained(err: &Error) -> String {
    // SQLite calls it an error of the disk: the file of the log's index cannot grow, which reading needs as well.
    if err.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_SHMSIZE) {
        return format!("its disk is full, and has no room for the index beside it; {MAKE_ROOM}");
    }
    let mend = match err.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => MAKE_ROOM,
        Some(ErrorCode::ReadOnly) => {
            "make the file, the files beside it and their folder writable for this user"
        }
        Some(ErrorCode::CannotOpen) => {
            "look at the rights of its folder, and whether its disk is there and can be written"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "it is damaged: stop what uses it, move it away with its `-wal` and `-shm`, and put a backup in its place or \
             start anew; `sqlite3 FILE .recover` prints what can still be read"
        }
        Some(ErrorCode::SystemIoFailure) => "its disk does not work: look at the system's log",
        _ => return err.to_string(),
    };
    format!("{err}; {mend}")
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn check(code: i32, expected: &str) {
        let said = explained(&Error::SqliteFailure(ffi::Error::new(code), None));
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn each_trouble_says_how_to_mend_it() {
        check(ffi::SQLITE_FULL, "make room");
        check(ffi::SQLITE_IOERR_SHMSIZE, "its disk is full");
        check(ffi::SQLITE_READONLY_DIRECTORY, "writable for this user");
        check(ffi::SQLITE_CANTOPEN, "the rights of its folder");
        check(ffi::SQLITE_CORRUPT, "`sqlite3 FILE .recover`");
        check(ffi::SQLITE_NOTADB, "put a backup in its place");
        check(ffi::SQLITE_IOERR_FSYNC, "its disk does not work");
        check(ffi::SQLITE_BUSY, "database is locked");
    }
}
