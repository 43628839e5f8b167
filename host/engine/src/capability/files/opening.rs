//! How a file or a folder is to be opened, and the system call that does it.
//!
//! Owns the flags. Must not know what may be opened: `node` checks that before and after.

use std::fs::File;
use std::io;

use cap_primitives::fs::{OpenOptions, OpenOptionsExt as _, open};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::fault::Fault;
use super::place::Place;

/// How something is to be opened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Opening {
    pub(super) reads: bool,
    pub(super) writes: bool,
    /// Whether a file that is missing is created.
    pub(super) creates: bool,
    /// Whether it must be missing.
    pub(super) is_exclusive: bool,
    /// Whether what is in the file is dropped.
    pub(super) truncates: bool,
    /// Whether it must be a folder.
    pub(super) is_folder: bool,
}

impl Opening {
    /// Whether it may change something by itself.
    pub(super) fn changes(self) -> bool {
        self.creates || self.truncates
    }

    /// Whether a file that is created where it is missing was there, or not, for a moment only.
    pub(super) fn is_settled_by_another_try(self, err: &io::Error) -> bool {
        self.creates && (is(err, Errno::NOENT) || (is(err, Errno::EXIST) && !self.is_exclusive))
    }
}

/// Opens what is at a place, if that is beneath the folder.
pub(super) fn open_there(folder: &File, place: &Place, how: Opening) -> Result<File, Fault> {
    let options = options(how)?.write(how.writes || how.truncates).clone();
    // cap-primitives keeps the path beneath the folder, links included.
    Ok(open(folder, place.path(), &options)?)
}

/// How it is opened, but for writing.
pub(super) fn options(how: Opening) -> Result<OpenOptions, Fault> {
    // A FIFO that takes the file's place after the check must not block, a terminal must not become the controlling
    // one, and the place has no link at its end.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    Ok(OpenOptions::new().read(how.reads).custom_flags(flags).clone())
}

/// Whether it is this error of the system.
pub(super) fn is(err: &io::Error, errno: Errno) -> bool {
    Errno::from_io_error(err) == Some(errno)
}
