//! Granted folders, checked against this machine when a registry is loaded.

use std::io;
use std::path::{Path, PathBuf};

use airlock_types::grant::FilesGrant;
use airlock_types::unexpanded;

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
}

impl GrantError {
    /// How an operator can fix it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            GrantError::Unusable { path, .. } => unexpanded::word(path),
            GrantError::Private { .. } => Some("grant a folder beside it, or move it with `host.state`"),
        }
    }
}

/// Makes the host paths absolute, and checks that each folder exists and is apart from the `private` ones, given as
/// absolute path and description. All are looked up before any is compared, so that a missing folder is reported first.
///
/// # Errors
/// When a folder does not exist or overlaps a private one.
pub(crate) fn resolve(
    grants: &mut [FilesGrant],
    base: &Path,
    private: &[(PathBuf, &'static str)],
) -> Result<(), GrantError> {
    for grant in grants.iter_mut() {
        let path = base.join(&grant.host);
        // Resolved once, here: a link that is replaced later does not move the grant.
        let found = path.canonicalize().and_then(|found| {
            if found.is_dir() { Ok(found) } else { Err(io::Error::other("it is not a folder")) }
        });
        grant.host = found.map_err(|source| GrantError::Unusable { path, source })?;
    }
    for (folder, (private, what)) in
        grants.iter().flat_map(|grant| private.iter().map(|own| (&grant.host, own)))
    {
        // By whole components of the path, in both directions: neither may lie in the other.
        if folder.starts_with(private) || private.starts_with(folder) {
            return Err(GrantError::Private { folder: folder.clone(), private: private.clone(), what });
        }
    }
    Ok(())
}
