//! Writing into an open file, within what is left of its folder's bounds.

use std::io;
use std::os::unix::fs::FileExt as _;

use rustix::io::{ReadWriteFlags, pwritev2};
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use super::changes::{Change, Writing};
use super::fault::Fault;
use super::node::Open;

/// Most bytes of one write. A guest writes the rest with its next one. Calls that append to one file at the same time
/// check its size beside each other, and may exceed its bound by one such write each.
pub(super) const WRITE_BYTES_MAX: usize = 64 << 10;

/// Where a write begins.
#[derive(Clone, Copy, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum At {
    Position(u64),
    /// At the end, wherever that is when the bytes arrive.
    End,
}

impl Open {
    /// The right to write into it: the guest opened it for writing, in a folder that is granted for it.
    pub(super) fn writing(&self) -> Result<&Writing, Fault> {
        let writing = self.granted.writing()?;
        if self.writes { Ok(writing) } else { Err(Fault::Invalid(ErrorCode::BadDescriptor)) }
    }

    pub(super) fn check_reads(&self) -> Result<(), Fault> {
        if self.reads { Ok(()) } else { Err(Fault::Invalid(ErrorCode::BadDescriptor)) }
    }

    /// Writes some of the bytes, and returns how many. All of them are taken from the bounds or none.
    pub(super) fn write(&self, bytes: &[u8], at: At, change: &Change) -> Result<usize, Fault> {
        let left = &self.writing()?.left;
        let bytes = &bytes[..bytes.len().min(WRITE_BYTES_MAX)];
        if bytes.is_empty() {
            return Ok(0);
        }
        let _appending = matches!(at, At::End).then(|| left.append());
        let size = self.file.metadata()?.len();
        let start = if let At::Position(start) = at { start } else { size };
        let end = start.checked_add(bytes.len() as u64).ok_or(Fault::beyond("file_bytes_max", None))?;
        if !left.take_bytes(size, start, end) {
            return Err(left.bound(size, end));
        }
        let written = change.made(self.write_once(bytes, at).map_err(Fault::from));
        let count = written.as_ref().map_or(0, |count| *count);
        change.add_bytes(count as u64);
        left.return_bytes((bytes.len() - count) as u64);
        written
    }

    fn write_once(&self, bytes: &[u8], at: At) -> io::Result<usize> {
        loop {
            let written = match at {
                At::Position(start) => self.file.write_at(bytes, start),
                // By the system: a position of our own could be another call's by the time of the write.
                At::End => pwritev2(&self.file, &[io::IoSlice::new(bytes)], 0, ReadWriteFlags::APPEND)
                    .map_err(io::Error::from),
            };
            match written {
                // A signal interrupted it before it wrote anything.
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                written => return written,
            }
        }
    }

    /// Writes all bytes, for a stream.
    pub(super) fn write_all(&self, mut bytes: &[u8], mut at: At, change: &Change) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let count = self.write(bytes, at, change)?;
            bytes = &bytes[count..];
            if let At::Position(start) = &mut at {
                *start = start.saturating_add(count as u64);
            }
        }
        Ok(())
    }

    /// Cuts the file, or lengthens it by zeros, which count as written.
    pub(super) fn set_size(&self, size: u64, change: &Change) -> Result<(), Fault> {
        let left = &self.writing()?.left;
        let was = self.file.metadata()?.len();
        if size > was && !left.take_bytes(was, was, size) {
            return Err(left.bound(was, size));
        }
        change.made(self.file.set_len(size).map_err(Fault::from))?;
        change.add_bytes(size.saturating_sub(was));
        Ok(())
    }

    /// Waits until what was written is on the disk.
    pub(super) fn sync(&self, with_metadata: bool) -> Result<(), Fault> {
        // Without the right to write there is nothing to wait for.
        if self.writing().is_err() {
            return Ok(());
        }
        Ok(if with_metadata { self.file.sync_all() } else { self.file.sync_data() }?)
    }
}
