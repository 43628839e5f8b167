//! The state folder: what it and the files in it must be before they are used.
//!
//! Write access to it means rewriting records or running code in the host. Owns the rules (own user, not
//! writable by others, no links) and the errors for them. Existing files are checked by path and never opened here:
//! closing a descriptor of SQLite's files drops the locks that this process holds on them. Must
//! not know what the files contain.

use std::fs::{DirBuilder, Metadata, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Write permission for the group and for everybody.
const OTHERS_WRITE: u32 = 0o022;

/// Any permission for the group and for everybody.
const OTHERS: u32 = 0o077;

/// Why the state folder or a file in it is not used. The texts are whole sentences for an operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It cannot be made or read.
    #[error("`{}` cannot be used: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is a symbolic link.
    #[error(
        "`{}` is a symbolic link, which is not followed in the state folder; put the file or folder itself there, or \
         name its real path as `host.state`", .0.display()
    )]
    Link(PathBuf),
    /// It is something else than it must be.
    #[error("`{}` is not a {expected}; move it away", .path.display())]
    Kind {
        /// The file or folder.
        path: PathBuf,
        /// `folder` or `regular file`.
        expected: &'static str,
    },
    /// Others may write to it.
    #[error(
        "`{}` has mode {mode:04o} and is open to others; whoever writes there can change records and run code in the \
         host. Look at what it holds, then `chmod go-rwx` it", .path.display()
    )]
    Writable {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to another user.
    #[error(
        "`{}` belongs to user {owner}, and this process runs as user {user}; chown it, or run as its owner",
        .path.display()
    )]
    Owner {
        /// The file or folder.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Who this process is.
        user: u32,
    },
    /// It has another name, under which it could be changed or opened.
    #[error("`{}` is hard-linked: it has {links} names; remove the others, or put a copy in its place", .path.display())]
    HardLinks {
        /// The file.
        path: PathBuf,
        /// How many names it has.
        links: u64,
    },
}

/// Checks the state folder or one in it, which is made where it is missing, mode 0700.
///
/// # Errors
/// When it is a link, no folder, another user's, or writable by others.
pub fn folder(path: &Path) -> Result<(), StateError> {
    let io = |source| StateError::Io { path: path.to_owned(), source };
    // A trailing slash would have the link itself followed.
    let path = &path.components().collect::<PathBuf>();
    match look(path)? {
        Some(found) => check(path, &found, "folder"),
        None => {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
            look(path)?.map_or(Ok(()), |made| check(path, &made, "folder"))
        }
    }
}

/// As [`folder`], of a folder that must be there.
pub(crate) fn existing_folder(path: &Path) -> Result<(), StateError> {
    let path = &path.components().collect::<PathBuf>();
    let missing = || StateError::Io { path: path.clone(), source: ErrorKind::NotFound.into() };
    check(path, &look(path)?.ok_or_else(missing)?, "folder")
}

/// Checks a file in the state folder without opening it, and takes read permission from others. Says whether there
/// is one.
///
/// # Errors
/// When it is a link, no regular file, another user's, hard-linked, or writable by others.
pub(crate) fn file(path: &Path) -> Result<bool, StateError> {
    let Some(found) = look(path)? else { return Ok(false) };
    check(path, &found, "regular file")?;
    if found.mode() & OTHERS != 0 {
        let narrowed = Permissions::from_mode(found.mode() & 0o700);
        // By path: it is no link, and only this user can write to the folder. SQLite of another process may
        // remove its files meanwhile.
        match std::fs::set_permissions(path, narrowed) {
            Err(err) if err.kind() == ErrorKind::NotFound => return Ok(false),
            narrowed => narrowed.map_err(|source| StateError::Io { path: path.to_owned(), source })?,
        }
    }
    Ok(true)
}

/// Makes an empty file of this user alone; leaves one that is there.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn create(path: &Path) -> Result<(), StateError> {
    // `create_new` neither opens what exists nor follows a link.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(err) if err.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(StateError::Io { path: path.to_owned(), source }),
    }
}

fn look(path: &Path) -> Result<Option<Metadata>, StateError> {
    match path.symlink_metadata() {
        Ok(found) => Ok(Some(found)),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StateError::Io { path: path.to_owned(), source }),
    }
}

fn check(path: &Path, found: &Metadata, expected: &'static str) -> Result<(), StateError> {
    let path = || path.to_owned();
    let (owner, user) = (found.uid(), rustix::process::geteuid().as_raw());
    let is_expected = if expected == "folder" { found.is_dir() } else { found.is_file() };
    if found.is_symlink() {
        Err(StateError::Link(path()))
    } else if !is_expected {
        Err(StateError::Kind { path: path(), expected })
    } else if owner != user {
        Err(StateError::Owner { path: path(), owner, user })
    } else if found.mode() & OTHERS_WRITE != 0 {
        Err(StateError::Writable { path: path(), mode: found.mode() & 0o7777 })
    } else if found.is_file() && found.nlink() > 1 {
        Err(StateError::HardLinks { path: path(), links: found.nlink() })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(result: Result<impl std::fmt::Debug, StateError>, piece: &str) {
        let said = result.unwrap_err().to_string();
        assert!(said.contains(piece), "{said}");
    }

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_is_made_for_this_user_alone_and_refused_where_others_can_write() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/state");
        folder(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
        for open in [0o777, 0o770, 0o702, 0o1777] {
            mode(&path, open);
            says(folder(&path), "open to others");
        }
        mode(&path, 0o755);
        folder(&path).unwrap();
        let link = place.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        says(folder(&link), "symbolic link");
        says(folder(&link.join("")), "symbolic link");
        std::fs::write(path.join("file"), "").unwrap();
        says(folder(&path.join("file")), "not a folder");
    }

    #[test]
    fn a_file_is_regular_unlinked_and_of_this_user() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("f");
        assert!(!file(&path).unwrap());
        create(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        mode(&path, 0o644);
        assert!(file(&path).unwrap());
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600, "nobody else reads it from now on");
        mode(&path, 0o666);
        says(file(&path), "0666");
        mode(&path, 0o600);
        let other = place.path().join("other");
        std::fs::hard_link(&path, &other).unwrap();
        says(file(&path), "hard-linked");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        says(file(&path), "symbolic link");
        create(&path).unwrap();
        assert!(path.is_symlink(), "a link is not written through");
        says(file(place.path()), "not a regular file");
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("f");
        create(&path).unwrap();
        // Only root can give files away; for others the rule is the same line of code.
        if std::os::unix::fs::chown(&path, Some(65_534), None).is_ok() {
            says(file(&path), "belongs to user 65534");
        }
    }
}
