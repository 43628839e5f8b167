//! Between the interface's types and the system's.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;

use cap_primitives::fs::{DirEntry, Metadata, MetadataExt as _};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, MetadataHashValue,
    NewTimestamp, OpenFlags,
};

use super::node::Node;
use super::opening::Opening;

/// How something is to be opened.
pub(super) fn opening(open: OpenFlags, flags: DescriptorFlags) -> Result<Opening, ErrorCode> {
    let syncs = DescriptorFlags::FILE_INTEGRITY_SYNC
        | DescriptorFlags::DATA_INTEGRITY_SYNC
        | DescriptorFlags::REQUESTED_WRITE_SYNC;
    if flags.intersects(syncs) {
        return Err(ErrorCode::Unsupported);
    }
    let is_folder = open.contains(OpenFlags::DIRECTORY);
    if is_folder && open.intersects(OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::TRUNCATE) {
        return Err(ErrorCode::Invalid);
    }
    let writes = flags.contains(DescriptorFlags::WRITE);
    Ok(Opening {
        // What is opened for nothing is opened for reading, as systems do.
        reads: flags.contains(DescriptorFlags::READ) || !writes,
        writes,
        creates: open.contains(OpenFlags::CREATE),
        is_exclusive: open.contains(OpenFlags::EXCLUSIVE),
        truncates: open.contains(OpenFlags::TRUNCATE),
        is_folder,
    })
}

/// What a descriptor may be used for.
pub(super) fn flags(node: &Node) -> DescriptorFlags {
    let (reads, writes, changes) = match node {
        Node::File(open) => (open.reads, open.writes, false),
        Node::Granted(_) | Node::Folder(_) | Node::Taped(_) => {
            (true, false, node.granted().writing().is_ok())
        }
    };
    let all = [
        (reads, DescriptorFlags::READ),
        (writes, DescriptorFlags::WRITE),
        (changes, DescriptorFlags::MUTATE_DIRECTORY),
    ];
    let set = all.into_iter().filter_map(|(is_set, flag)| is_set.then_some(flag));
    set.fold(DescriptorFlags::empty(), |flags, flag| flags | flag)
}

/// The times of a file as they are to be set.
pub(super) fn times(accessed: NewTimestamp, modified: NewTimestamp) -> Result<Timestamps, ErrorCode> {
    Ok(Timestamps { last_access: time(accessed)?, last_modification: time(modified)? })
}

fn time(new: NewTimestamp) -> Result<Timespec, ErrorCode> {
    let special = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    Ok(match new {
        NewTimestamp::NoChange => special(UTIME_OMIT),
        NewTimestamp::Now => special(UTIME_NOW),
        NewTimestamp::Timestamp(Datetime { seconds, nanoseconds }) => {
            // Larger values of nanoseconds would have a meaning of their own.
            let tv_nsec = Some(nanoseconds).filter(|nanoseconds| *nanoseconds < 1_000_000_000);
            let tv_nsec = tv_nsec.ok_or(ErrorCode::Invalid)?.into();
            Timespec { tv_sec: i64::try_from(seconds).map_err(|_| ErrorCode::Overflow)?, tv_nsec }
        }
    })
}

pub(super) fn entry(entry: io::Result<DirEntry>) -> FsResult<DirectoryEntry> {
    let entry = entry?;
    let type_ = kind(&entry.metadata()?);
    let name = entry.file_name().into_string().map_err(|_| ErrorCode::IllegalByteSequence)?;
    Ok(DirectoryEntry { type_, name })
}

fn kind(metadata: &Metadata) -> DescriptorType {
    if metadata.is_dir() {
        DescriptorType::Directory
    } else if metadata.is_file() {
        DescriptorType::RegularFile
    } else if metadata.is_symlink() {
        DescriptorType::SymbolicLink
    } else {
        DescriptorType::Unknown
    }
}

pub(super) fn stat(metadata: &Metadata) -> DescriptorStat {
    DescriptorStat {
        type_: kind(metadata),
        link_count: metadata.nlink(),
        size: metadata.len(),
        data_access_timestamp: datetime(metadata.atime(), metadata.atime_nsec()),
        data_modification_timestamp: datetime(metadata.mtime(), metadata.mtime_nsec()),
        status_change_timestamp: datetime(metadata.ctime(), metadata.ctime_nsec()),
    }
}

/// `None` before 1970, which the interface cannot express.
fn datetime(seconds: i64, nanoseconds: i64) -> Option<Datetime> {
    let (seconds, nanoseconds) = (u64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?);
    Some(Datetime { seconds, nanoseconds })
}

pub(super) fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Equal for the same file, on this host and in this version.
pub(super) fn hash(metadata: &Metadata) -> MetadataHashValue {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, identity(metadata)).hash(&mut hasher);
        hasher.finish()
    };
    MetadataHashValue { lower: half(0), upper: half(1) }
}
