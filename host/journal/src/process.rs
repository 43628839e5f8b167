//! This process among those that share a file beside the records.
//!
//! Owns its name, under which a call in the file is known to run for as long as the process does. Must not know what the file
//! is for.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::owner::{self, Dead, Owner};

/// This process, for one file.
#[derive(Debug)]
pub(crate) struct Process {
    path: PathBuf,
    owner: Mutex<Owner>,
}

impl Process {
    /// For the file at `path`. Names of processes that were killed are those of nobody from now on.
    pub(crate) fn at(path: &Path) -> Process {
        owner::dead(path).into_iter().for_each(Dead::remove);
        Process { path: path.to_owned(), owner: Mutex::new(Owner::new(path, Default::default())) }
    }

    /// Its name in the file. It is there for as long as the process runs.
    pub(crate) fn id(&self) -> Result<String, String> {
        let mut owner = self.owner.lock().unwrap_or_else(PoisonError::into_inner);
        owner.id(0).map(str::to_owned).map_err(|err| err.to_string())
    }

    /// Whether the process with this name runs. Asks the file system.
    pub(crate) fn lives(&self, id: &str) -> bool {
        self.id().is_ok_and(|own| own == id) || owner::is_alive(&self.path, id)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner).release(true);
    }
}
