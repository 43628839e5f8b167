//! Files of the operator, read whole and within a bound.
//!
//! Owns how a file is opened and read when its content or kind may not be what the host expects: a component, a
//! registry, a lock, a key set; and how one is replaced. Must not know what a file means.

mod replaced;

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use airlock_types::unexpanded;
pub use replaced::replace;
use rustix::fs::OFlags;
use rustix::io::Errno;

/// Why a file was not read. The texts are fragments that follow the file's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system refused to open or read it.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It does not exist, and its path is spelled as for a shell or a browser.
    #[error("{0}")]
    NotExpanded(&'static str),
    /// A folder, a pipe, a socket or a device.
    #[error("it is not a regular file")]
    NotRegular,
    /// A link, where the file itself has to be named.
    #[error("it is a link, by which another user could choose the file")]
    Link,
    /// Another user could have written it.
    #[error(
        "it is not this user's alone: it must belong to this user, with no rights for others (chmod 600)"
    )]
    NotPrivate,
    /// Larger than the bound for its kind of file.
    #[error("it has {bytes} bytes; at most {max} are allowed")]
    TooLarge {
        /// Its size in bytes. One more than the limit when the file grew during the read.
        bytes: u64,
        /// The bound in bytes.
        max: u64,
    },
    /// The content is not UTF-8.
    #[error("it is not UTF-8: {0}")]
    NotText(std::str::Utf8Error),
}

impl FileError {
    /// Whether the file does not exist.
    pub fn is_not_found(&self) -> bool {
        match self {
            FileError::Io(err) => err.kind() == std::io::ErrorKind::NotFound,
            FileError::NotExpanded(_) => true,
            _ => false,
        }
    }

    /// The error of the system for this path.
    fn of(path: &Path, err: std::io::Error) -> FileError {
        let word = unexpanded::word(path).filter(|_| err.kind() == std::io::ErrorKind::NotFound);
        word.map_or(FileError::Io(err), FileError::NotExpanded)
    }
}

/// Opens a regular file of at most `bytes_max` bytes and returns it with its size.
///
/// Opening does not block, since the writer of a FIFO may never come. Kind and size are taken from the open descriptor,
/// since the name may lead to another file a moment later.
///
/// # Errors
/// When the file cannot be opened, is not a regular file or is too large.
pub(crate) fn open(path: &Path, bytes_max: u64) -> Result<(File, u64), FileError> {
    open_with(path, OFlags::empty(), bytes_max)
}

/// Like [`open`], for a file that the host itself wrote: not a link, owned by this user, without rights for others.
///
/// # Errors
/// Like [`open`]; also when another user could have put it there or can change it.
pub(crate) fn open_private(path: &Path, bytes_max: u64) -> Result<(File, u64), FileError> {
    // A link would let another user choose the file.
    let (file, bytes) = open_with(path, OFlags::NOFOLLOW, bytes_max)?;
    let metadata = file.metadata()?;
    // Of the open descriptor, so that the checks are about the file that is read.
    let own = metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o077 == 0;
    if own { Ok((file, bytes)) } else { Err(FileError::NotPrivate) }
}

fn open_with(path: &Path, flags: OFlags, bytes_max: u64) -> Result<(File, u64), FileError> {
    // Checked before and after opening: opening a device can have effects, and the other end of a FIFO would notice it.
    if !std::fs::metadata(path).map_err(|err| FileError::of(path, err))?.is_file() {
        return Err(FileError::NotRegular);
    }
    // A FIFO that takes the file's place after the check must not block, and a terminal must not become the controlling
    // one.
    let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file = opened.map_err(|err| match err.raw_os_error().map(Errno::from_raw_os_error) {
        // It was followed above, so it has an end.
        Some(Errno::LOOP) => FileError::Link,
        Some(_) | None => FileError::Io(err),
    })?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(FileError::NotRegular);
    }
    match metadata.len() {
        bytes if bytes > bytes_max => Err(FileError::TooLarge { bytes, max: bytes_max }),
        bytes => Ok((file, bytes)),
    }
}

/// Reads a regular file of at most `bytes_max` bytes.
///
/// # Errors
/// When opening fails; also when the file grew beyond the bound during the read.
pub fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, FileError> {
    read_whole(open(path, bytes_max)?, bytes_max)
}

/// Reads a file that [`open`] or [`open_private`] opened.
///
/// # Errors
/// When the file grew beyond the bound during the read, or cannot be read.
pub(crate) fn read_whole((file, bytes): (File, u64), bytes_max: u64) -> Result<Vec<u8>, FileError> {
    let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
    // One byte more than allowed: reading it proves that the file is too large, whatever its size said.
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut content)?;
    match content.len() as u64 {
        bytes if bytes > bytes_max => Err(FileError::TooLarge { bytes, max: bytes_max }),
        _ => Ok(content),
    }
}

/// Reads a text file of at most `bytes_max` bytes.
///
/// # Errors
/// Like [`read`]; also when the content is not UTF-8.
pub fn read_text(path: &Path, bytes_max: u64) -> Result<String, FileError> {
    String::from_utf8(read(path, bytes_max)?).map_err(|err| FileError::NotText(err.utf8_error()))
}

/// Whether nothing has this name. A link that leads nowhere is there, and so may be what is in a
/// folder that cannot be searched: their error shows when they are read.
pub fn is_absent(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|err| err.kind() == std::io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_sparse_file_by_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        File::create(&path).unwrap().set_len(3 << 30).unwrap();
        let refused = read(&path, 1 << 20);
        assert!(matches!(refused, Err(FileError::TooLarge { bytes, .. }) if bytes == 3 << 30), "{refused:?}");
    }

    #[test]
    fn refuses_other_kinds_of_files_without_blocking() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        for path in [fifo.as_path(), folder.path(), Path::new("/dev/zero")] {
            assert!(matches!(read(path, 1 << 20), Err(FileError::NotRegular)), "{}", path.display());
        }
    }

    #[test]
    fn reads_up_to_the_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        std::fs::write(&path, "four").unwrap();
        assert_eq!(read_text(&path, 4).unwrap(), "four");
        assert!(matches!(read_text(&path, 3), Err(FileError::TooLarge { bytes: 4, max: 3 })));
        std::fs::write(&path, [0xff]).unwrap();
        assert!(matches!(read_text(&path, 4), Err(FileError::NotText(_))));
    }

    #[test]
    fn a_file_with_a_wrong_size_is_read_up_to_the_bound() {
        // The kernel reports a size of 0 for files under /proc.
        let read = read(Path::new("/proc/self/maps"), 10);
        assert!(matches!(read, Err(FileError::TooLarge { bytes: 11, .. })), "{read:?}");
    }
}
