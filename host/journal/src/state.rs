//! The state folder: checks on the folder and its files before they are used.
//!
//! Write access to it allows an attacker to change records and to run code in the host. Owns the rules (owned by this
//! user, not writable by others, no links) and their errors. Existing files are checked by path and never opened here:
//! closing any descriptor of an SQLite file drops the locks that this process holds on it. Must not know what the files
//! contain.

use std::fs::{DirBuilder, Metadata, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use airlock_types::unexpanded;
use rustix::fs::{Mode, OFlags};

/// Write permission for the group and for others.
const OTHERS_WRITE: u32 = 0o022;

/// Any permission for the group and for others.
const OTHERS: u32 = 0o077;

/// Why the state folder or a file in it is refused. The texts are full sentences for an operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The path cannot be created or read.
    #[error(
        "the state folder or a file in it cannot be used: `{}`: {source}; {}", .path.display(), mended(.path, .source)
    )]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The path is a symbolic link.
    #[error(
        "`{}` is a symbolic link, which is not followed in the state folder; put the file or folder itself there, or \
         name its real path as `host.state`", .0.display()
    )]
    Link(PathBuf),
    /// The path has the wrong file type.
    #[error("`{}` is not a {expected}; move it away, or name another folder as `host.state`", .path.display())]
    Kind {
        /// The file or folder.
        path: PathBuf,
        /// `folder` or `regular file`.
        expected: &'static str,
    },
    /// The group or others may write to the path.
    #[error(
        "`{}` has mode {mode:04o} and is open to others; who writes there can change records and run code in the \
         host. Look at what it holds, then `chmod go-rwx` it", .path.display()
    )]
    Writable {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits, with setuid, setgid and sticky.
        mode: u32,
    },
    /// The path belongs to another user.
    #[error(
        "`{}` belongs to user {owner}, and this process runs as user {user}; chown it, or run as its owner",
        .path.display()
    )]
    Owner {
        /// The file or folder.
        path: PathBuf,
        /// User id of the path's owner.
        owner: u32,
        /// Effective user id of this process.
        user: u32,
    },
    /// The file has another hard link, through which it could be changed or opened.
    #[error("`{}` is hard-linked: it has {links} names; remove the others, or put a copy in its place", .path.display())]
    HardLinks {
        /// The file.
        path: PathBuf,
        /// Number of hard links.
        links: u64,
    },
}

/// Whether this process reaches only the state folders that were there when it was confined.
static IS_CONFINED: AtomicBool = AtomicBool::new(false);

/// Notes that this process was confined to its state folder as it is now. An error then says that a folder which took its
/// place needs a restart.
pub fn confined() {
    IS_CONFINED.store(true, Ordering::Relaxed);
}

/// What becomes of a database whose files were moved or removed.
pub(crate) fn opened_again() -> &'static str {
    if IS_CONFINED.load(Ordering::Relaxed) {
        return "it is opened again; if its folder was made anew, restart this process, which was confined to the former one";
    }
    "it is opened again"
}

fn mended(path: &Path, source: &std::io::Error) -> &'static str {
    if IS_CONFINED.load(Ordering::Relaxed) && source.kind() == ErrorKind::PermissionDenied {
        return "this process was confined to the folder that was there when it started: restart it";
    }
    if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        return MAKE_ROOM;
    }
    unexpanded::word(path).unwrap_or("make it usable for this user, or name another folder as `host.state`")
}

/// What to do where nothing more can be written.
pub(crate) const MAKE_ROOM: &str = "make room on its disk, or raise the quota of this user";

/// Most entries of a state folder that are looked at before a process is confined. It has a dozen.
const ENTRIES_MAX: usize = 1_000;

/// Removes the permissions of group and others from the files of a state folder, for a process that is about to be confined:
/// it then changes the mode of no file by its path. What is wrong with a file is found where it is used. `key` stays as it is:
/// whoever uses it must see that others could read it.
pub fn narrow(folder: &Path, key: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(ENTRIES_MAX);
    for path in entries.map(|entry| entry.path()).filter(|path| path != key) {
        let _ = file(&path);
    }
}

/// Checks the state folder or a folder in it. Creates a missing one, and its missing parents, with mode 0700.
///
/// # Errors
/// Fails when the path is a link, not a folder, owned by another user, or writable by others.
pub fn folder(path: &Path) -> Result<(), StateError> {
    let io = |source| StateError::Io { path: path.to_owned(), source };
    // With a trailing slash, `lstat` would follow the link.
    let path = &path.components().collect::<PathBuf>();
    match look(path)? {
        Some(found) => check(path, &found, "folder"),
        // Otherwise a folder named `~` would be made.
        None if unexpanded::word(path).is_some() => Err(io(std::io::Error::other("it does not exist"))),
        None => {
            make_folder(path).map_err(io)?;
            look(path)?.map_or(Ok(()), |made| check(path, &made, "folder"))
        }
    }
}

/// Makes a folder and its missing parents, each with mode 0700 whatever the `umask` of this process is. One that is there
/// stays as it is.
///
/// # Errors
/// When one cannot be made.
pub fn make_folder(path: &Path) -> std::io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    path.parent().map_or(Ok(()), make_folder)?;
    match DirBuilder::new().mode(0o700).create(path) {
        // Of another process, at the same moment.
        Err(err) if err.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(err) => Err(err),
        Ok(()) => usable(path).inspect_err(|_| {
            // Otherwise it would be in the way under a better `umask`, too.
            let _ = std::fs::remove_dir(path);
        }),
    }
}

/// Gives a folder that was just made the rights that a `umask` took from its own user.
fn usable(path: &Path) -> std::io::Result<()> {
    if path.symlink_metadata()?.mode() & 0o700 == 0o700 {
        return Ok(());
    }
    // By a descriptor of the folder: its name may lead elsewhere by now.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty());
    let set = opened.and_then(|folder| rustix::fs::fchmod(folder, Mode::RWXU));
    set.map_err(|errno| {
        let why = "the `umask` takes the rights of this user away; set it to 077";
        std::io::Error::other(format!("{why} ({errno})"))
    })
}

/// Like [`folder`], but the folder must exist.
pub(crate) fn existing_folder(path: &Path) -> Result<(), StateError> {
    let missing = || StateError::Io { path: path.to_owned(), source: ErrorKind::NotFound.into() };
    if has_folder(path)? { Ok(()) } else { Err(missing()) }
}

/// Like [`folder`], but a missing folder is not made. Returns whether it exists.
pub(crate) fn has_folder(path: &Path) -> Result<bool, StateError> {
    // With a trailing slash, `lstat` would follow the link.
    let path = &path.components().collect::<PathBuf>();
    let Some(found) = look(path)? else { return Ok(false) };
    check(path, &found, "folder").map(|()| true)
}

/// Checks a file in the state folder without opening it, and removes the permissions of group and others. Returns
/// whether the file exists.
///
/// # Errors
/// Fails when the path is a link, not a regular file, owned by another user, hard-linked, or writable by others.
pub(crate) fn file(path: &Path) -> Result<bool, StateError> {
    // A missing file is not an error: SQLite creates and removes its side files at any time.
    let Some(found) = look(path)? else { return Ok(false) };
    check(path, &found, "regular file")?;
    if found.mode() & OTHERS != 0 {
        let narrowed = Permissions::from_mode(found.mode() & 0o700);
        // Changing the mode by path is safe: the path is not a link, and only this user can write to the folder. SQLite
        // in another process may remove its files in the meantime.
        match std::fs::set_permissions(path, narrowed) {
            Err(err) if err.kind() == ErrorKind::NotFound => return Ok(false),
            // A confined process changes no mode by its path.
            Err(err) if err.kind() == ErrorKind::PermissionDenied => {
                return Err(StateError::Writable { path: path.to_owned(), mode: found.mode() & 0o7777 });
            }
            narrowed => narrowed.map_err(|source| StateError::Io { path: path.to_owned(), source })?,
        }
    }
    Ok(true)
}

/// Creates an empty file with mode 0600. Leaves an existing file unchanged.
///
/// # Errors
/// Fails when the file cannot be created.
pub(crate) fn create(path: &Path) -> Result<(), StateError> {
    // `create_new` does not open an existing file and does not follow a link.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(err) if err.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(StateError::Io { path: path.to_owned(), source }),
    }
}

/// Replaces a file, or makes a missing one, with mode 0600: its new content is in a file beside it until it is on disk. One
/// process at a time may do so.
///
/// # Errors
/// Fails when the file cannot be written.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), StateError> {
    let io = |source| StateError::Io { path: path.to_owned(), source };
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let aside = PathBuf::from(aside);
    // One that a crash left behind is in the way of `create_new`.
    match std::fs::remove_file(&aside) {
        Err(err) if err.kind() != ErrorKind::NotFound => return Err(io(err)),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside).map_err(io)?;
    file.write_all(content).and_then(|()| file.sync_data()).map_err(io)?;
    std::fs::rename(&aside, path).map_err(io)
}

/// Metadata of the path itself, without following a link. `None` when nothing is there.
fn look(path: &Path) -> Result<Option<Metadata>, StateError> {
    match path.symlink_metadata() {
        Ok(found) => Ok(Some(found)),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StateError::Io { path: path.to_owned(), source }),
    }
}

/// Applies the rules. The link comes first, since the metadata of a link says nothing about its target.
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
    fn a_folder_gets_back_what_the_umask_took_from_its_user() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("state");
        std::fs::create_dir(&path).unwrap();
        // As it is after `mkdir` with a `umask` of 0177, which is that of all threads and not set in a test.
        mode(&path, 0o600);
        usable(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
        let link = place.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        mode(&path, 0o600);
        usable(&link).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600, "a link is not followed");
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
        // Only root can change the owner of a file. As another user the test checks nothing.
        if std::os::unix::fs::chown(&path, Some(65_534), None).is_ok() {
            says(file(&path), "belongs to user 65534");
        }
    }
}
