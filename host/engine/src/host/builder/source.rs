//! Where a host reads its registry and keeps its records.
//!
//! Owns the forms in which a program says so. Must not know what a host does with them.

use std::path::{Path, PathBuf};

use super::super::OpenError;
use super::super::load::host_journal;
use crate::config::ConfigFile;
use airlock_journal::{Journal, JournalError};

/// The source of a registry: the path of its file, or a file that was read already.
#[derive(Debug)]
pub struct RegistrySource(Registry);

#[derive(Debug)]
enum Registry {
    Path(PathBuf),
    File(Box<ConfigFile>),
}

/// The destination of records: an open journal, or the path of a file.
#[derive(Debug)]
pub struct JournalSource(pub(super) Records);

#[derive(Debug)]
pub(super) enum Records {
    StateFolder,
    File(PathBuf),
    Open(Box<Journal>),
}

impl RegistrySource {
    pub(super) fn read(self) -> Result<ConfigFile, OpenError> {
        match self.0 {
            Registry::Path(path) => Ok(ConfigFile::read(&path)?),
            Registry::File(file) => Ok(*file),
        }
    }
}

impl JournalSource {
    /// The folder of the journal's file. `None` in the state folder and in memory.
    ///
    /// # Errors
    /// When the folder does not exist.
    pub(super) fn folder(&self) -> Result<Option<PathBuf>, JournalError> {
        let path = match &self.0 {
            Records::StateFolder => None,
            Records::File(path) => Some(path.as_path()),
            Records::Open(journal) => journal.path(),
        };
        path.map(|path| {
            // A bare file name has an empty parent, which is not a path that can be resolved.
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            folder.unwrap_or(Path::new(".")).canonicalize().map_err(|err| JournalError::Open {
                path: path.to_owned(),
                reason: format!("its folder cannot be used: {err}"),
            })
        })
        .transpose()
    }

    /// A file beside that of the journal, whose folder this is. `None` for a journal in memory.
    pub(super) fn beside(&self, file: &ConfigFile, folder: Option<&Path>, name: &str) -> Option<PathBuf> {
        let folder = match (&self.0, folder) {
            (Records::StateFolder, _) => file.state(),
            (Records::File(_) | Records::Open(_), folder) => folder?.to_owned(),
        };
        Some(folder.join(name))
    }

    pub(super) fn open(self, file: &ConfigFile) -> Result<Journal, JournalError> {
        match self.0 {
            Records::StateFolder => host_journal(file),
            Records::File(path) => file.config.journal.open(&path),
            Records::Open(journal) => {
                journal.bound(file.config.journal.bytes_max);
                Ok(*journal)
            }
        }
    }
}

impl From<ConfigFile> for RegistrySource {
    fn from(file: ConfigFile) -> RegistrySource {
        RegistrySource(Registry::File(Box::new(file)))
    }
}

impl From<&ConfigFile> for RegistrySource {
    fn from(file: &ConfigFile) -> RegistrySource {
        file.clone().into()
    }
}

impl From<PathBuf> for RegistrySource {
    fn from(path: PathBuf) -> RegistrySource {
        RegistrySource(Registry::Path(path))
    }
}

impl From<&Path> for RegistrySource {
    fn from(path: &Path) -> RegistrySource {
        path.to_owned().into()
    }
}

impl From<&str> for RegistrySource {
    fn from(path: &str) -> RegistrySource {
        Path::new(path).into()
    }
}

impl From<Journal> for JournalSource {
    fn from(journal: Journal) -> JournalSource {
        JournalSource(Records::Open(Box::new(journal)))
    }
}

impl From<PathBuf> for JournalSource {
    fn from(path: PathBuf) -> JournalSource {
        JournalSource(Records::File(path))
    }
}

impl From<&Path> for JournalSource {
    fn from(path: &Path) -> JournalSource {
        path.to_owned().into()
    }
}

impl From<&str> for JournalSource {
    fn from(path: &str) -> JournalSource {
        Path::new(path).into()
    }
}
