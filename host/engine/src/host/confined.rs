//! What a host does beforehand in a process that is confined.
//!
//! Owns what is settled while there is time to say so. Must not know the kernel's means.

use std::path::{Path, PathBuf};

use super::{JOURNAL_FILE, OpenError};
use crate::config::{ConfigFile, Confine, WithoutJournal};
use crate::confinement::Confinement;
use airlock_journal::{JournalError, database, state};

/// Fits what follows to the confinement of this process.
///
/// # Errors
/// When the registry requires more of it than there is, or the databases cannot be used in it.
pub(super) async fn suit_confinement(
    file: &ConfigFile,
    confinement: Option<&Confinement>,
) -> Result<(), OpenError> {
    let Some(confinement) = confinement else { return Ok(()) };
    if file.config.host.confine == Confine::Require && !confinement.is_whole() {
        return Err(OpenError::Unconfined(confinement.clone()));
    }
    if confinement.landlock.is_in_force() {
        let (folder, unavailable) = (file.state(), file.config.journal.unavailable);
        state::confined();
        let set = tokio::task::spawn_blocking(move || {
            state::folder(&folder)?;
            keep_temporary_files(&folder, unavailable)
        });
        return set.await.map_err(|err| JournalError::Read(err.to_string()))?;
    }
    Ok(())
}

/// Has the databases keep their temporary files in the state folder. Without it a large change of one fails, and small ones
/// do not.
fn keep_temporary_files(folder: &Path, unavailable: WithoutJournal) -> Result<(), OpenError> {
    let failed = |reason: String| {
        let path: PathBuf = folder.join(JOURNAL_FILE);
        Err(JournalError::Open { path, reason }.into())
    };
    // SQLite takes this path as a text alone, and would keep them elsewhere without a word.
    if folder.to_str().is_none() {
        return failed(
            "the path of its folder is not UTF-8, and a confined process needs it to be; name another one as `host.state`, \
             from the root if the registry's own folder has such a path, or set `host.confine = \"off\"`"
                .to_owned(),
        );
    }
    match (database::temporary_files_in(folder), unavailable) {
        (Ok(()), _) => Ok(()),
        (Err(reason), WithoutJournal::Reads) => {
            tracing::warn!(
                "`{}` cannot be written to ({reason}): restart this process once it can be",
                folder.display()
            );
            Ok(())
        }
        (Err(reason), WithoutJournal::Stop) => failed(format!(
            "its folder cannot be written to ({reason}); make it writable for this user, or set `journal.unavailable = \
             \"reads\"` to have calls answered that only read"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn a_folder_that_cannot_have_temporary_files_is_named_with_its_mend() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let said = keep_temporary_files(&missing, WithoutJournal::Stop).unwrap_err().to_string();
        assert!(said.contains("missing/journal.db") && said.contains("`journal.unavailable"), "{said}");
        keep_temporary_files(&missing, WithoutJournal::Reads).unwrap();
        let bytes = folder.path().join(OsStr::from_bytes(b"b\xff"));
        for unavailable in [WithoutJournal::Stop, WithoutJournal::Reads] {
            let said = keep_temporary_files(&bytes, unavailable).unwrap_err().to_string();
            assert!(said.contains("not UTF-8") && said.contains("`host.state`"), "{said}");
        }
    }
}
