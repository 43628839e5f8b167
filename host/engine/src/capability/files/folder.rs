//! Granted folders, checked against this machine when a registry is loaded.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use airlock_types::grant::{Access, FilesGrant};
use airlock_types::unexpanded;
use rustix::fs::{Access as Permission, access};

use super::mounts;

/// Why a folder cannot be granted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GrantError {
    /// The folder does not exist, or is not a folder.
    #[error("the granted folder `{}` cannot be used: {source}", .path.display())]
    Unusable { path: PathBuf, source: io::Error },
    /// The folder contains a private folder of the host, or lies in one. A guest could read the records of other
    /// callers. Closing the journal's file for the guest would also drop SQLite's locks on it, because POSIX locks
    /// belong to the process.
    #[error(
        "the granted folder `{}` and the {what} `{}` lie in each other: the tool could read the records of all calls",
        .folder.display(),
        .private.display()
    )]
    Private { folder: PathBuf, private: PathBuf, what: &'static str },
    /// The folder meets a file system that the kernel makes, such as `/proc`, which has the environment and the open files
    /// of this program, and those of others.
    #[error(
        "the granted folder `{}` and `{}`, which the kernel makes, lie in each other: the tool could read what the \
         processes of this machine keep, such as the secrets in the environment of this one",
        .folder.display(),
        .kernel.display()
    )]
    Kernel { folder: PathBuf, kernel: PathBuf },
    /// A folder that the guest may change holds what decides about the guest.
    #[error(
        "the granted folder `{}` is writable and holds the {what} `{}`: the tool could change what this host runs or \
         relies on",
        .folder.display(),
        .own.display()
    )]
    Own { folder: PathBuf, own: PathBuf, what: &'static str },
    /// The folder is another one than when it was granted first: a link came into its path, or leads elsewhere.
    #[error(
        "the granted folder `{}` is `{}` now and was `{}` when this process began to grant it",
        .written.display(),
        .found.display(),
        .first.display()
    )]
    Moved { written: PathBuf, found: PathBuf, first: PathBuf },
    /// A folder that the guest may change, and the host may not.
    #[error("the granted folder `{}` is to be written to, and this user cannot: {source}", .folder.display())]
    NotWritable { folder: PathBuf, source: io::Error },
}

/// What each granted folder was when it was granted first, by its path as the registry has it. Kept for as long as the
/// process runs: a tool that may write beside a folder, or anyone else who replaces it by a link, must not move the grant
/// with the next reload.
#[derive(Debug, Default)]
pub(crate) struct FirstFolders(Mutex<BTreeMap<PathBuf, PathBuf>>);

impl FirstFolders {
    /// Checks that a folder is still the one that it was at first.
    pub(crate) fn check(&self, written: PathBuf, found: &Path) -> Result<(), GrantError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.entry(written) {
            Entry::Vacant(place) => drop(place.insert(found.to_owned())),
            Entry::Occupied(place) if place.get() == found => {}
            Entry::Occupied(place) => {
                let (written, found) = (place.key().clone(), found.to_owned());
                return Err(GrantError::Moved { written, found, first: place.get().clone() });
            }
        }
        Ok(())
    }
}

/// What no tool may be granted, each path with its description.
#[derive(Debug, Default)]
pub(crate) struct Reserved {
    /// Folders of the host that no tool may read: absolute, without links.
    pub(crate) private: Vec<(PathBuf, &'static str)>,
    /// Files that no tool may change: what the host runs, who may call it, and what proves its records.
    pub(crate) own: Vec<(PathBuf, &'static str)>,
}

impl GrantError {
    /// How an operator can fix it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            GrantError::Unusable { path, source } => unexpanded::word(path).or_else(|| {
                (source.kind() == io::ErrorKind::NotFound).then_some(
                    "make the folder, or name another one; paths are relative to the registry's folder",
                )
            }),
            GrantError::Private { .. } => Some("grant a folder beside it, or move it with `host.state`"),
            GrantError::Kernel { .. } => Some(
                "grant a folder of files on a disk; `/proc`, `/sys`, `/dev` and other mounts of them cannot be granted",
            ),
            GrantError::Own { .. } => Some("grant a folder of its own for what the tool writes"),
            GrantError::Moved { .. } => Some(
                "name the folder itself, which is no link, or restart the program if the other one is meant to be granted",
            ),
            GrantError::NotWritable { .. } => {
                Some("change the rights of the folder, or leave `access` out for reading only")
            }
        }
    }
}

/// Makes the host paths absolute, and checks that each folder exists and reaches nothing that is `reserved`. All are looked
/// up before any is compared, so that a missing folder is reported first.
///
/// # Errors
/// When a folder does not exist, cannot be used as granted, or reaches what is reserved.
pub(crate) fn resolve(
    grants: &mut [FilesGrant],
    base: &Path,
    reserved: &Reserved,
) -> Result<(), (usize, GrantError)> {
    for (place, grant) in grants.iter_mut().enumerate() {
        let path = base.join(&grant.host);
        // Resolved once, here: a link that is replaced later does not move the grant.
        let found = path.canonicalize().and_then(|found| {
            if found.is_dir() { Ok(found) } else { Err(io::Error::other("it is not a folder")) }
        });
        grant.host = found.map_err(|source| (place, GrantError::Unusable { path, source }))?;
    }
    let mut resolved = grants.iter().enumerate();
    resolved.try_for_each(|(place, grant)| check(grant, reserved).map_err(|err| (place, err)))
}

/// Checks one resolved folder.
fn check(
    FilesGrant { host: folder, access, .. }: &FilesGrant,
    Reserved { private, own }: &Reserved,
) -> Result<(), GrantError> {
    for (private, what) in private {
        // By whole components of the path, in both directions: neither may lie in the other.
        if folder.starts_with(private) || private.starts_with(folder) {
            return Err(GrantError::Private { folder: folder.clone(), private: private.clone(), what });
        }
    }
    if let Some(kernel) = mounts::of_kernel(folder) {
        return Err(GrantError::Kernel { folder: folder.clone(), kernel });
    }
    match access {
        Access::Read => Ok(()),
        Access::ReadWrite => check_writable(folder, own),
    }
}

fn check_writable(folder: &Path, own: &[(PathBuf, &'static str)]) -> Result<(), GrantError> {
    if let Some((own, what)) = own.iter().find(|(path, _)| leads_into(path, folder)) {
        return Err(GrantError::Own { folder: folder.to_owned(), own: own.clone(), what });
    }
    access(folder, Permission::WRITE_OK | Permission::EXEC_OK)
        .map_err(|errno| GrantError::NotWritable { folder: folder.to_owned(), source: errno.into() })
}

/// Whether a path goes through a folder: by its target, or by any step on the way there, which could be replaced.
pub(crate) fn leads_into(path: &Path, folder: &Path) -> bool {
    let is_within = |step: &Path| {
        let parent = step.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new(".")).canonicalize();
        let place = parent.ok().zip(step.file_name()).map(|(parent, name)| parent.join(name));
        place.is_some_and(|place| place.starts_with(folder))
    };
    path.ancestors().any(is_within) || path.canonicalize().is_ok_and(|target| target.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_this_user_cannot_write_to_is_not_granted_for_it() {
        // Nothing there is writable, for root neither.
        let said = check_writable(Path::new("/proc/self"), &[]).unwrap_err();
        assert!(said.to_string().contains("is to be written to, and this user cannot"), "{said}");
        assert!(said.hint().unwrap().contains("reading only"));
    }
}
