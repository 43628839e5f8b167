//! Listing a folder.

use std::collections::VecDeque;

use cap_primitives::fs::{ReadDir, read_base_dir};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::filesystem::types;
use wasmtime_wasi::p2::bindings::filesystem::types::DirectoryEntry;
use wasmtime_wasi::p2::{FsResult, ReaddirIterator};

use super::View;
use crate::capability::files::convert::entry;
use crate::capability::files::node::Node;
use crate::capability::files::taped::Answered;
use crate::tape::Kind;

/// Entries of a folder read at a time. A folder may have millions.
const ENTRIES: usize = 128;

/// The position in a folder that is being listed.
struct Listing {
    folder: Node,
    /// Entries that the guest was given, by which a cassette tells them apart.
    given: u32,
    read: VecDeque<FsResult<DirectoryEntry>>,
    /// `None` at the end of the folder.
    rest: Option<ReadDir>,
}

impl View<'_> {
    pub(super) async fn list(&mut self, node: Node) -> FsResult<Resource<ReaddirIterator>> {
        let folder = node.clone();
        let rest = match self.ask::<()>("wasi:filesystem/types#read-directory", Kind::Read, &node, ())? {
            Answered::Taped(answer, _) => answer.map(|()| None)?,
            Answered::Live(note) => {
                let rest = self.run(node, |node| Ok(read_base_dir(&*node.folder()?)?)).await;
                let (kept, rest) = match rest {
                    Ok(rest) => (Ok(()), Some(rest)),
                    Err(err) => (Err(err), None),
                };
                note.keep(kept)?;
                rest
            }
        };
        let listing = Listing { folder, given: 0, read: VecDeque::new(), rest };
        Ok(Resource::new_own(self.table.push(listing)?.rep()))
    }
}

impl types::HostDirectoryEntryStream for View<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<ReaddirIterator>,
    ) -> FsResult<Option<DirectoryEntry>> {
        let listing = Resource::<Listing>::new_borrow(stream.rep());
        let Listing { folder, given, .. } = self.table.get_mut(&listing)?;
        *given += 1;
        let (folder, at) = (folder.clone(), *given);
        match self.ask("wasi:filesystem/types#read-directory-entry", Kind::Read, &folder, at)? {
            Answered::Taped(entry, _) => entry,
            Answered::Live(note) => note.keep(self.next_entry(&listing).await),
        }
    }

    fn drop(&mut self, stream: Resource<ReaddirIterator>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Listing>::new_own(stream.rep()))?;
        Ok(())
    }
}

impl View<'_> {
    async fn next_entry(&mut self, listing: &Resource<Listing>) -> FsResult<Option<DirectoryEntry>> {
        let Listing { folder, given, read, rest } = self.table.get_mut(listing)?;
        let given = *given;
        if read.is_empty()
            && let Some(mut left) = rest.take()
        {
            let folder = folder.clone();
            let (more, left) = self
                .run(folder.clone(), move |_| {
                    let more: VecDeque<_> = left.by_ref().take(ENTRIES).map(entry).collect();
                    Ok((more, left))
                })
                .await?;
            // Fewer entries than asked for: the folder is at its end.
            let full = more.len() == ENTRIES;
            *self.table.get_mut(listing)? = Listing { folder, given, read: more, rest: full.then_some(left) };
        }
        self.table.get_mut(listing)?.read.pop_front().transpose()
    }
}
