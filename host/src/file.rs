//! Files of the operator's, read whole and never waited for.
//!
//! Owns how they are opened: only regular files, without blocking, up to a bound. A FIFO, a socket or a device in
//! the place of a file is an error, whether it stands there from the beginning or comes between a look and the
//! opening. Must not know what is in a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// The bytes of a regular file.
///
/// # Errors
/// When it cannot be read, is no regular file, or is larger than `bytes_max`.
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let too_large = || other(format!("it is larger than {bytes_max} bytes"));
    let file = open(path)?;
    let size = file.metadata()?.len();
    if size > bytes_max {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    // The size was of a moment ago; a file can grow.
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max { Err(too_large()) } else { Ok(bytes) }
}

/// The text of a regular file.
///
/// # Errors
/// When it cannot be read, is no regular file, is larger than `bytes_max`, or is not UTF-8.
pub(crate) fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    String::from_utf8(read(path, bytes_max)?).map_err(|_| other("it is not UTF-8".into()))
}

fn open(path: &Path) -> io::Result<File> {
    // Opening a device can have effects, and the other end of a FIFO would notice: look before.
    regular(&std::fs::metadata(path)?)?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

fn regular(metadata: &std::fs::Metadata) -> io::Result<()> {
    if metadata.is_file() { Ok(()) } else { Err(other("it is not a regular file".into())) }
}

fn other(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses(path: &Path, says: &str) {
        let err = read(path, 3).unwrap_err().to_string();
        assert!(err.contains(says), "{err}");
    }

    #[test]
    fn reads_regular_files_within_the_bound_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("three"), "abc").unwrap();
        std::fs::write(path("four"), "abcd").unwrap();
        assert_eq!(read_text(&path("three"), 3).unwrap(), "abc");
        refuses(&path("four"), "larger than 3 bytes");
        refuses(folder.path(), "not a regular file");
        refuses(Path::new("/dev/zero"), "not a regular file");
        let fifo = std::process::Command::new("mkfifo").arg(path("fifo")).status().unwrap();
        assert!(fifo.success());
        refuses(&path("fifo"), "not a regular file");
        std::os::unix::fs::symlink(path("fifo"), path("link")).unwrap();
        refuses(&path("link"), "not a regular file");
        assert_eq!(read(&path("none"), 3).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_that_has_no_size_is_bounded_as_it_is_read() {
        refuses(Path::new("/proc/self/mountinfo"), "larger than 3 bytes");
    }
}
