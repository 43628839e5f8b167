//! `wasi:filesystem` as a guest sees it: reading beneath the granted folders.
//!
//! Owns each function of the interface. A request that would change something is refused without disk access. Work that
//! may block runs on a thread of the tool's lane.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::PathBuf;

use cap_primitives::fs::{FollowSymlinks, Metadata, MetadataExt as _, ReadDir, read_base_dir, read_link};
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::{preopens, types};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult, ReaddirIterator};

use super::Folders;
use super::node::Node;
use super::stream::{FileStream, READ_BYTES_MAX, read_at};
use types::{
    DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, MetadataHashValue, OpenFlags,
    PathFlags,
};

/// Entries of a folder read at a time. A folder may have millions.
const ENTRIES: usize = 128;

/// What a host function borrows during one call.
pub(crate) struct View<'a> {
    pub(crate) table: &'a mut ResourceTable,
    pub(crate) folders: &'a Folders,
}

/// The position in a folder that is being listed.
struct Listing {
    read: VecDeque<FsResult<DirectoryEntry>>,
    /// `None` at the end of the folder.
    rest: Option<ReadDir>,
}

/// The library's bindings use its own type for descriptors. The table holds a `Node` under the same number.
fn as_node(fd: &Resource<Descriptor>) -> Resource<Node> {
    Resource::new_borrow(fd.rep())
}

impl View<'_> {
    fn node(&self, fd: &Resource<Descriptor>) -> Result<Node, ResourceTableError> {
        self.table.get(&as_node(fd)).cloned()
    }

    fn push(&mut self, node: Node) -> Result<Resource<Descriptor>, ResourceTableError> {
        Ok(Resource::new_own(self.table.push(node)?.rep()))
    }

    /// Runs blocking work on a thread of the lane. The table is not borrowed meanwhile, since threads cannot share it.
    fn run<T, W>(&self, work: W) -> impl Future<Output = FsResult<T>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce() -> io::Result<T> + Send + 'static,
    {
        let lane = self.folders.lane.clone();
        async move { Ok(lane.run(work).await.map_err(FsError::trap)??) }
    }

    /// Refuses a request that would change something.
    fn read_only<T>(&self, fd: &Resource<Descriptor>) -> FsResult<T> {
        self.node(fd)?;
        Err(ErrorCode::NotPermitted.into())
    }

    /// Succeeds for a valid descriptor: without writes there is nothing to sync.
    fn nothing_to_do(&self, fd: &Resource<Descriptor>) -> FsResult<()> {
        self.node(fd)?;
        Ok(())
    }
}

impl preopens::Host for View<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let folders = self.folders;
        let mut directories = Vec::with_capacity(folders.granted.len());
        for (granted, guest) in &folders.granted {
            directories.push((self.push(Node::Granted(granted.clone()))?, guest.clone()));
        }
        Ok(directories)
    }
}

impl types::Host for View<'_> {
    fn convert_error_code(&mut self, err: FsError) -> wasmtime::Result<ErrorCode> {
        err.downcast()
    }

    fn filesystem_error_code(
        &mut self,
        err: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(self.table.get(&err)?.downcast_ref::<io::Error>().map(ErrorCode::from))
    }
}

impl types::HostDescriptor for View<'_> {
    fn read_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: u64,
    ) -> FsResult<Resource<DynInputStream>> {
        let file = match self.node(&fd)? {
            Node::File(file) => file,
            Node::Folder(_) | Node::Granted(_) => return Err(ErrorCode::IsDirectory.into()),
        };
        let stream: DynInputStream = Box::new(FileStream::new(file, self.folders.lane.clone(), offset));
        Ok(self.table.push(stream)?)
    }

    fn write_via_stream(&mut self, fd: Resource<Descriptor>, _: u64) -> FsResult<Resource<DynOutputStream>> {
        self.read_only(&fd)
    }

    fn append_via_stream(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<DynOutputStream>> {
        self.read_only(&fd)
    }

    async fn advise(&mut self, fd: Resource<Descriptor>, _: u64, _: u64, _: types::Advice) -> FsResult<()> {
        match self.node(&fd)? {
            Node::File(_) => Ok(()),
            Node::Folder(_) | Node::Granted(_) => Err(ErrorCode::BadDescriptor.into()),
        }
    }

    async fn sync_data(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.nothing_to_do(&fd)
    }

    async fn get_flags(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        self.node(&fd)?;
        Ok(DescriptorFlags::READ)
    }

    async fn get_type(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorType> {
        let is_folder = self.node(&fd)?.is_folder();
        Ok(if is_folder { DescriptorType::Directory } else { DescriptorType::RegularFile })
    }

    async fn set_size(&mut self, fd: Resource<Descriptor>, _: u64) -> FsResult<()> {
        self.read_only(&fd)
    }

    async fn set_times(
        &mut self,
        fd: Resource<Descriptor>,
        _: types::NewTimestamp,
        _: types::NewTimestamp,
    ) -> FsResult<()> {
        self.read_only(&fd)
    }

    async fn read(&mut self, fd: Resource<Descriptor>, len: u64, offset: u64) -> FsResult<(Vec<u8>, bool)> {
        let node = self.node(&fd)?;
        let size = usize::try_from(len).unwrap_or(READ_BYTES_MAX);
        let bytes = self.run(move || read_at(&*node.file()?, offset, size)).await?;
        let ended = bytes.is_empty();
        Ok((bytes, ended))
    }

    async fn write(&mut self, fd: Resource<Descriptor>, _: Vec<u8>, _: u64) -> FsResult<u64> {
        self.read_only(&fd)
    }

    async fn read_directory(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<ReaddirIterator>> {
        let node = self.node(&fd)?;
        let rest = self.run(move || read_base_dir(&*node.folder()?)).await?;
        let listing = Listing { read: VecDeque::new(), rest: Some(rest) };
        Ok(Resource::new_own(self.table.push(listing)?.rep()))
    }

    async fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.nothing_to_do(&fd)
    }

    async fn create_directory_at(&mut self, fd: Resource<Descriptor>, _: String) -> FsResult<()> {
        self.read_only(&fd)
    }

    async fn stat(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        let node = self.node(&fd)?;
        Ok(stat(&self.run(move || node.metadata()).await?))
    }

    async fn stat_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        let node = self.node(&fd)?;
        let metadata = self.run(move || node.metadata_at(path.as_ref(), follow(flags))).await?;
        Ok(stat(&metadata))
    }

    async fn set_times_at(
        &mut self,
        fd: Resource<Descriptor>,
        _: PathFlags,
        _: String,
        _: types::NewTimestamp,
        _: types::NewTimestamp,
    ) -> FsResult<()> {
        self.read_only(&fd)
    }

    async fn link_at(
        &mut self,
        fd: Resource<Descriptor>,
        _: PathFlags,
        _: String,
        _: Resource<Descriptor>,
        _: String,
    ) -> FsResult<()> {
        self.read_only(&fd)
    }

    async fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let node = self.node(&fd)?;
        let changes = OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::TRUNCATE;
        let syncs = DescriptorFlags::FILE_INTEGRITY_SYNC
            | DescriptorFlags::DATA_INTEGRITY_SYNC
            | DescriptorFlags::REQUESTED_WRITE_SYNC;
        let folder = open.contains(OpenFlags::DIRECTORY);
        if flags.intersects(syncs) {
            return Err(ErrorCode::Unsupported.into());
        }
        if folder && open.intersects(changes) {
            return Err(ErrorCode::Invalid.into());
        }
        if open.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE) || flags.contains(DescriptorFlags::WRITE)
        {
            return Err(ErrorCode::NotPermitted.into());
        }
        let opened = self.run(move || node.open_at(path.as_ref(), follow(path_flags))).await?;
        if folder && !opened.is_folder() {
            return Err(ErrorCode::NotDirectory.into());
        }
        Ok(self.push(opened)?)
    }

    async fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        let node = self.node(&fd)?;
        let link: PathBuf = self.run(move || read_link(&*node.folder()?, path.as_ref())).await?;
        link.into_os_string().into_string().map_err(|_| ErrorCode::IllegalByteSequence.into())
    }

    async fn remove_directory_at(&mut self, fd: Resource<Descriptor>, _: String) -> FsResult<()> {
        self.read_only(&fd)
    }

    async fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        _: String,
        _: Resource<Descriptor>,
        _: String,
    ) -> FsResult<()> {
        self.read_only(&fd)
    }

    async fn symlink_at(&mut self, fd: Resource<Descriptor>, _: String, _: String) -> FsResult<()> {
        self.read_only(&fd)
    }

    async fn unlink_file_at(&mut self, fd: Resource<Descriptor>, _: String) -> FsResult<()> {
        self.read_only(&fd)
    }

    async fn is_same_object(
        &mut self,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        let (one, other) = (self.node(&one)?, self.node(&other)?);
        let same = self.folders.lane.run(move || {
            let identity = |node: Node| node.metadata().map(|metadata| identity(&metadata));
            io::Result::Ok(identity(one)? == identity(other)?)
        });
        Ok(same.await??)
    }

    async fn metadata_hash(&mut self, fd: Resource<Descriptor>) -> FsResult<MetadataHashValue> {
        let node = self.node(&fd)?;
        Ok(hash(&self.run(move || node.metadata()).await?))
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        let node = self.node(&fd)?;
        Ok(hash(&self.run(move || node.metadata_at(path.as_ref(), follow(flags))).await?))
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Node>::new_own(fd.rep()))?;
        Ok(())
    }
}

impl types::HostDirectoryEntryStream for View<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<ReaddirIterator>,
    ) -> FsResult<Option<DirectoryEntry>> {
        let listing = Resource::<Listing>::new_borrow(stream.rep());
        let Listing { read, rest } = self.table.get_mut(&listing)?;
        if read.is_empty()
            && let Some(mut left) = rest.take()
        {
            let (more, left) = self
                .run(move || {
                    let more: VecDeque<_> = left.by_ref().take(ENTRIES).map(entry).collect();
                    Ok((more, left))
                })
                .await?;
            // Fewer entries than asked for: the folder is at its end.
            let full = more.len() == ENTRIES;
            *self.table.get_mut(&listing)? = Listing { read: more, rest: full.then_some(left) };
        }
        self.table.get_mut(&listing)?.read.pop_front().transpose()
    }

    fn drop(&mut self, stream: Resource<ReaddirIterator>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Listing>::new_own(stream.rep()))?;
        Ok(())
    }
}

fn follow(flags: PathFlags) -> FollowSymlinks {
    if flags.contains(PathFlags::SYMLINK_FOLLOW) { FollowSymlinks::Yes } else { FollowSymlinks::No }
}

fn entry(entry: io::Result<cap_primitives::fs::DirEntry>) -> FsResult<DirectoryEntry> {
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

fn stat(metadata: &Metadata) -> DescriptorStat {
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

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Equal for the same file, on this host and in this version.
fn hash(metadata: &Metadata) -> MetadataHashValue {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, identity(metadata)).hash(&mut hasher);
        hasher.finish()
    };
    MetadataHashValue { lower: half(0), upper: half(1) }
}
