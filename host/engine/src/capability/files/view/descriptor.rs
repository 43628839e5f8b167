//! The functions of a descriptor: which right each needs. One that would change something without the right is refused
//! without disk access.

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsResult, ReaddirIterator};

use super::View;
use crate::capability::files::changes::Change;
use crate::capability::files::convert::{flags, hash, identity, opening, stat, times};
use crate::capability::files::fault::Fault;
use crate::capability::files::node::Node;
use crate::capability::files::place::Last;
use crate::capability::files::stream::{FileStream, READ_BYTES_MAX, read_at};
use crate::capability::files::write::At;
use airlock_types::grant::Access;
use types::{
    DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, MetadataHashValue, NewTimestamp, OpenFlags,
    PathFlags,
};

impl types::HostDescriptor for View<'_> {
    fn read_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: u64,
    ) -> FsResult<Resource<DynInputStream>> {
        let node = self.node(&fd)?;
        let file = node.file()?;
        file.check_reads()?;
        let stream: DynInputStream =
            Box::new(FileStream::new(file.file.clone(), self.folders.lane.clone(), offset));
        Ok(self.table.push(stream)?)
    }

    fn write_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: u64,
    ) -> FsResult<Resource<DynOutputStream>> {
        self.sink(&fd, At::Position(offset))
    }

    fn append_via_stream(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<DynOutputStream>> {
        self.sink(&fd, At::End)
    }

    async fn advise(&mut self, fd: Resource<Descriptor>, _: u64, _: u64, _: types::Advice) -> FsResult<()> {
        match self.node(&fd)? {
            Node::File(_) => Ok(()),
            Node::Folder(_) | Node::Granted(_) => Err(ErrorCode::BadDescriptor.into()),
        }
    }

    async fn sync_data(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        let node = self.node(&fd)?;
        self.run(node, |node| sync(node, false)).await
    }

    async fn get_flags(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        Ok(flags(&self.node(&fd)?))
    }

    async fn get_type(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorType> {
        let is_folder = self.node(&fd)?.is_folder();
        Ok(if is_folder { DescriptorType::Directory } else { DescriptorType::RegularFile })
    }

    async fn set_size(&mut self, fd: Resource<Descriptor>, size: u64) -> FsResult<()> {
        let node = self.node(&fd)?;
        self.change(node, move |node, change| node.file()?.set_size(size, change)).await
    }

    async fn set_times(
        &mut self,
        fd: Resource<Descriptor>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let node = self.node(&fd)?;
        let times = times(accessed, modified)?;
        self.alter(node, move |node| node.set_times(&times)).await
    }

    async fn read(&mut self, fd: Resource<Descriptor>, len: u64, offset: u64) -> FsResult<(Vec<u8>, bool)> {
        let node = self.node(&fd)?;
        let size = usize::try_from(len).unwrap_or(READ_BYTES_MAX);
        let read = move |node: &Node| {
            let file = node.file()?;
            file.check_reads()?;
            Ok(read_at(&file.file, offset, size)?)
        };
        let bytes = self.run(node, read).await?;
        let ended = bytes.is_empty();
        Ok((bytes, ended))
    }

    async fn write(&mut self, fd: Resource<Descriptor>, bytes: Vec<u8>, offset: u64) -> FsResult<u64> {
        let node = self.node(&fd)?;
        let write =
            move |node: &Node, change: &Change| node.file()?.write(&bytes, At::Position(offset), change);
        Ok(self.change(node, write).await? as u64)
    }

    async fn read_directory(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<ReaddirIterator>> {
        let node = self.node(&fd)?;
        self.list(node).await
    }

    async fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        let node = self.node(&fd)?;
        self.run(node, |node| sync(node, true)).await
    }

    async fn create_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let node = self.node(&fd)?;
        self.alter(node, move |node| node.create_folder(&path)).await
    }

    async fn stat(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        let node = self.node(&fd)?;
        Ok(stat(&self.run(node, Node::metadata).await?))
    }

    async fn stat_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        let node = self.node(&fd)?;
        let metadata = self.run(node, move |node| node.metadata_at(&path, Last::of(flags, &path))).await?;
        Ok(stat(&metadata))
    }

    async fn set_times_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let node = self.node(&fd)?;
        let times = times(accessed, modified)?;
        self.alter(node, move |node| node.set_times_at(&path, Last::of(flags, &path), &times)).await
    }

    async fn link_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        old: String,
        to: Resource<Descriptor>,
        new: String,
    ) -> FsResult<()> {
        let (node, to) = (self.node(&fd)?, self.node(&to)?);
        self.permit(&to)?;
        let follows = flags.contains(PathFlags::SYMLINK_FOLLOW);
        let last = if follows { Last::Follow } else { Last::Keep };
        self.alter(node, move |node| node.link(&old, last, &to, &new)).await
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
        let how = opening(open, flags)?;
        // A tool that cannot write is told so when it opens, where programs expect it.
        if how.writes || how.changes() {
            self.permit(&node)?;
        }
        let change = how.changes().then(|| self.begin(&node)).transpose()?;
        let last = Last::of(path_flags, &path);
        let access = if how.writes || how.changes() { Access::ReadWrite } else { Access::Read };
        let opened =
            self.run_as(access, node, move |node| node.open_at(&path, last, how, change.as_ref())).await?;
        Ok(self.push(opened)?)
    }

    async fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        let node = self.node(&fd)?;
        let link = self.run(node, move |node| node.target_of(&path)).await?;
        link.into_os_string().into_string().map_err(|_| ErrorCode::IllegalByteSequence.into())
    }

    async fn remove_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let node = self.node(&fd)?;
        self.alter(node, move |node| node.remove_folder(&path)).await
    }

    async fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        old: String,
        to: Resource<Descriptor>,
        new: String,
    ) -> FsResult<()> {
        let (node, to) = (self.node(&fd)?, self.node(&to)?);
        self.permit(&to)?;
        self.alter(node, move |node| node.rename(&old, &to, &new)).await
    }

    async fn symlink_at(&mut self, fd: Resource<Descriptor>, target: String, path: String) -> FsResult<()> {
        let node = self.node(&fd)?;
        self.alter(node, move |node| node.create_link(&target, &path)).await
    }

    async fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let node = self.node(&fd)?;
        self.alter(node, move |node| node.remove_file(&path)).await
    }

    async fn is_same_object(
        &mut self,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        let (one, other) = (self.node(&one)?, self.node(&other)?);
        let same = self.folders.lane.run(move || {
            let identity = |node: Node| node.metadata().map(|metadata| identity(&metadata));
            Ok::<_, Fault>(identity(one)? == identity(other)?)
        });
        Ok(same.await??)
    }

    async fn metadata_hash(&mut self, fd: Resource<Descriptor>) -> FsResult<MetadataHashValue> {
        let node = self.node(&fd)?;
        Ok(hash(&self.run(node, Node::metadata).await?))
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        let node = self.node(&fd)?;
        let metadata = self.run(node, move |node| node.metadata_at(&path, Last::of(flags, &path))).await?;
        Ok(hash(&metadata))
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Node>::new_own(fd.rep()))?;
        Ok(())
    }
}

/// Waits until what was changed is on the disk.
fn sync(node: &Node, with_metadata: bool) -> Result<(), Fault> {
    match node {
        Node::File(open) => open.sync(with_metadata),
        Node::Granted(_) | Node::Folder(_) => node.sync_folder(),
    }
}
