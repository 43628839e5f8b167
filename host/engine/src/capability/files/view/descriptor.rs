//! The functions of a descriptor: which right each needs. One that would change something without the right is refused
//! without disk access.

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult, ReaddirIterator};

use super::View;
use crate::capability::files::changes::Change;
use crate::capability::files::convert::{flags, hash, identity, opening, stat, times};
use crate::capability::files::fault::Fault;
use crate::capability::files::node::Node;
use crate::capability::files::opening::Opening;
use crate::capability::files::place::Last;
use crate::capability::files::stream::{FileStream, READ_BYTES_MAX, Source, read_at};
use crate::capability::files::taped::Answered;
use crate::capability::files::write::At;
use crate::tape::{Kind, brief};
use airlock_types::grant::Access;
use types::{
    DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, MetadataHashValue, NewTimestamp, OpenFlags,
    PathFlags,
};

/// The place on the tape for what a function answers. In a replay the function ends here, with what it answered.
macro_rules! ask {
    ($view:ident.$ask:ident($kind:ident, $name:literal, $($args:expr),*)) => {
        match $view.$ask(concat!("wasi:filesystem/types#", $name), Kind::$kind, $($args),*)? {
            Answered::Live(note) => note,
            Answered::Taped(answer, _) => return answer,
        }
    };
}

impl types::HostDescriptor for View<'_> {
    fn read_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: u64,
    ) -> FsResult<Resource<DynInputStream>> {
        let node = self.node(&fd)?;
        let source =
            match self.ask::<()>("wasi:filesystem/types#read-via-stream", Kind::Read, &node, offset)? {
                Answered::Taped(answer, played) => {
                    answer?;
                    Source::Taped(played.feed)
                }
                Answered::Live(note) => {
                    let readable =
                        node.file().and_then(|file| file.check_reads().map(|()| file.file.clone()));
                    note.keep(readable.as_ref().map(|_| ()).map_err(Fault::code).map_err(FsError::from))?;
                    Source::File(readable?, self.folders.lane.clone(), note.note().clone())
                }
            };
        let stream: DynInputStream = Box::new(FileStream::new(source, offset));
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
        if self.node(&fd)?.is_folder() { Err(ErrorCode::BadDescriptor.into()) } else { Ok(()) }
    }

    async fn sync_data(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        let node = self.node(&fd)?;
        let note = ask!(self.ask(Read, "sync-data", &node, ()));
        note.keep(self.run(node, |node| sync(node, false)).await)
    }

    async fn get_flags(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        let node = self.node(&fd)?;
        let note = ask!(self.ask(Read, "get-flags", &node, ()));
        note.keep(Ok(flags(&node)))
    }

    async fn get_type(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorType> {
        let is_folder = self.node(&fd)?.is_folder();
        Ok(if is_folder { DescriptorType::Directory } else { DescriptorType::RegularFile })
    }

    async fn set_size(&mut self, fd: Resource<Descriptor>, size: u64) -> FsResult<()> {
        let node = self.node(&fd)?;
        let note = ask!(self.ask(Effect, "set-size", &node, size));
        note.keep(self.change(node, move |node, change| node.file()?.set_size(size, change)).await)
    }

    async fn set_times(
        &mut self,
        fd: Resource<Descriptor>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let node = self.node(&fd)?;
        let note = ask!(self.ask(Effect, "set-times", &node, told((accessed, modified))));
        let times = match times(accessed, modified) {
            Ok(times) => times,
            Err(code) => return note.keep(Err(code.into())),
        };
        note.keep(self.alter(node, move |node| node.set_times(&times)).await)
    }

    async fn read(&mut self, fd: Resource<Descriptor>, len: u64, offset: u64) -> FsResult<(Vec<u8>, bool)> {
        let node = self.node(&fd)?;
        let note =
            match self.ask::<Vec<u8>>("wasi:filesystem/types#read", Kind::Read, &node, (len, offset))? {
                Answered::Live(note) => note,
                Answered::Taped(bytes, _) => return bytes.map(with_end),
            };
        let size = usize::try_from(len).unwrap_or(READ_BYTES_MAX);
        let read = move |node: &Node| {
            let file = node.file()?;
            file.check_reads()?;
            Ok(read_at(&file.file, offset, size)?)
        };
        note.keep(self.run(node, read).await).map(with_end)
    }

    async fn write(&mut self, fd: Resource<Descriptor>, bytes: Vec<u8>, offset: u64) -> FsResult<u64> {
        let node = self.node(&fd)?;
        let note = ask!(self.ask(Effect, "write", &node, (offset, brief(&bytes))));
        let write =
            move |node: &Node, change: &Change| node.file()?.write(&bytes, At::Position(offset), change);
        note.keep(self.change(node, write).await.map(|count| count as u64))
    }

    async fn read_directory(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<ReaddirIterator>> {
        let node = self.node(&fd)?;
        self.list(node).await
    }

    async fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        let node = self.node(&fd)?;
        let note = ask!(self.ask(Read, "sync", &node, ()));
        note.keep(self.run(node, |node| sync(node, true)).await)
    }

    async fn create_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let node = self.node(&fd)?;
        let note = ask!(self.ask(Effect, "create-directory-at", &node, &path));
        note.keep(self.alter(node, move |node| node.create_folder(&path)).await)
    }

    async fn stat(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        let node = self.node(&fd)?;
        let note = ask!(self.ask(Read, "stat", &node, ()));
        note.keep(self.run(node, Node::metadata).await.map(|metadata| stat(&metadata)))
    }

    async fn stat_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        let node = self.node(&fd)?;
        let note = ask!(self.ask(Read, "stat-at", &node, (flags.as_array(), &path)));
        let metadata = self.run(node, move |node| node.metadata_at(&path, Last::of(flags, &path))).await;
        note.keep(metadata.map(|metadata| stat(&metadata)))
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
        let args = (flags.as_array(), &path, told((accessed, modified)));
        let note = ask!(self.ask(Effect, "set-times-at", &node, args));
        let times = match times(accessed, modified) {
            Ok(times) => times,
            Err(code) => return note.keep(Err(code.into())),
        };
        note.keep(
            self.alter(node, move |node| node.set_times_at(&path, Last::of(flags, &path), &times)).await,
        )
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
        let note = ask!(self.ask(Effect, "link-at", &node, (flags.as_array(), &old, to.label(), &new)));
        if let Err(err) = self.permit(&to) {
            return note.keep(Err(err));
        }
        let follows = flags.contains(PathFlags::SYMLINK_FOLLOW);
        let last = if follows { Last::Follow } else { Last::Keep };
        note.keep(self.alter(node, move |node| node.link(&old, last, &to, &new)).await)
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
        let kind = if how.writes || how.changes() { Kind::Effect } else { Kind::Read };
        let (label, args) =
            (node.label_of(&path), (path_flags.as_array(), open.as_array(), flags.as_array()));
        let opened = match self.ask_as("wasi:filesystem/types#open-at", kind, &node, label, args)? {
            Answered::Live(note) => note.keep(self.open((node, path), path_flags, how).await)?,
            Answered::Taped(opened, _) => opened?,
        };
        Ok(self.push(opened)?)
    }

    async fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        let node = self.node(&fd)?;
        let note = ask!(self.ask(Read, "readlink-at", &node, &path));
        let link = self.run(node, move |node| node.target_of(&path)).await;
        note.keep(link.and_then(|link| {
            link.into_os_string().into_string().map_err(|_| ErrorCode::IllegalByteSequence.into())
        }))
    }

    async fn remove_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let node = self.node(&fd)?;
        let note = ask!(self.ask(Effect, "remove-directory-at", &node, &path));
        note.keep(self.alter(node, move |node| node.remove_folder(&path)).await)
    }

    async fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        old: String,
        to: Resource<Descriptor>,
        new: String,
    ) -> FsResult<()> {
        let (node, to) = (self.node(&fd)?, self.node(&to)?);
        let note = ask!(self.ask(Effect, "rename-at", &node, (&old, to.label(), &new)));
        if let Err(err) = self.permit(&to) {
            return note.keep(Err(err));
        }
        note.keep(self.alter(node, move |node| node.rename(&old, &to, &new)).await)
    }

    async fn symlink_at(&mut self, fd: Resource<Descriptor>, target: String, path: String) -> FsResult<()> {
        let node = self.node(&fd)?;
        let note = ask!(self.ask(Effect, "symlink-at", &node, (&target, &path)));
        note.keep(self.alter(node, move |node| node.create_link(&target, &path)).await)
    }

    async fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let node = self.node(&fd)?;
        let note = ask!(self.ask(Effect, "unlink-file-at", &node, &path));
        note.keep(self.alter(node, move |node| node.remove_file(&path)).await)
    }

    async fn is_same_object(
        &mut self,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        let (one, other) = (self.node(&one)?, self.node(&other)?);
        let asked = self.ask("wasi:filesystem/types#is-same-object", Kind::Read, &one, other.label());
        let same = match asked.map_err(wasmtime::Error::from)? {
            Answered::Taped(same, _) => same,
            Answered::Live(note) => {
                let identity = |node: &Node| node.metadata().map(|metadata| identity(&metadata));
                note.keep(self.run(one, move |one| Ok(identity(one)? == identity(&other)?)).await)
            }
        };
        Ok(same?)
    }

    async fn metadata_hash(&mut self, fd: Resource<Descriptor>) -> FsResult<MetadataHashValue> {
        let node = self.node(&fd)?;
        let note = ask!(self.ask(Read, "metadata-hash", &node, ()));
        note.keep(self.run(node, Node::metadata).await.map(|metadata| hash(&metadata)))
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        let node = self.node(&fd)?;
        let note = ask!(self.ask(Read, "metadata-hash-at", &node, (flags.as_array(), &path)));
        let metadata = self.run(node, move |node| node.metadata_at(&path, Last::of(flags, &path))).await;
        note.keep(metadata.map(|metadata| hash(&metadata)))
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Node>::new_own(fd.rep()))?;
        Ok(())
    }
}

impl View<'_> {
    /// Opens a file or a folder.
    async fn open(
        &mut self,
        (node, path): (Node, String),
        path_flags: PathFlags,
        how: Opening,
    ) -> FsResult<Node> {
        // A tool that cannot write is told so when it opens, where programs expect it.
        if how.writes || how.changes() {
            self.permit(&node)?;
        }
        let change = how.changes().then(|| self.begin(&node)).transpose()?;
        let last = Last::of(path_flags, &path);
        let access = if how.writes || how.changes() { Access::ReadWrite } else { Access::Read };
        self.run_as(access, node, move |node| node.open_at(&path, last, how, change.as_ref())).await
    }
}

/// Bytes, and whether they are the end of the file.
fn with_end(bytes: Vec<u8>) -> (Vec<u8>, bool) {
    let is_end = bytes.is_empty();
    (bytes, is_end)
}

/// Times as they were asked for.
fn told((accessed, modified): (NewTimestamp, NewTimestamp)) -> [String; 2] {
    [accessed, modified].map(|time| match time {
        NewTimestamp::NoChange => "no-change".to_owned(),
        NewTimestamp::Now => "now".to_owned(),
        NewTimestamp::Timestamp(time) => format!("{}.{:09}", time.seconds, time.nanoseconds),
    })
}

/// Waits until what was changed is on the disk.
fn sync(node: &Node, with_metadata: bool) -> Result<(), Fault> {
    match node {
        Node::File(open) => open.sync(with_metadata),
        Node::Granted(_) | Node::Folder(_) | Node::Taped(_) => node.sync_folder(),
    }
}
