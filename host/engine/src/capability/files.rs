//! Folders of the host.
//!
//! With a grant, a folder appears under the guest's name for it. Without one, the list of folders is empty, and the
//! request is noted as a denial. It does not end the guest, because language runtimes list folders when they start. The
//! host functions are Airlock's own: those of the engine's library wait for FIFOs, start any number of threads for a
//! guest, and know no bounds.
//!
//! `folder` checks a grant when a registry is loaded, with `mounts`, which knows the file systems of the kernel. `view` holds the functions that a guest calls. Rights rest on two
//! walls: `place` finds the canonical place of a path, `node`, `names` and `write` check rights, kinds and bounds there,
//! and only then cap-primitives acts, which keeps the place beneath the folder by its own means. `allotment` holds what a
//! call has left of the bounds, `changes` counts and says whether something may have changed, `stream` reads and `sink`
//! writes beside the guest. `taped` is what of it is recorded and replayed.

mod allotment;
mod changes;
mod convert;
mod fault;
mod folder;
mod mounts;
mod names;
mod node;
mod opening;
mod place;
mod sink;
mod stream;
mod taped;
mod view;
mod write;

use std::sync::Arc;

use wasmtime::component::{HasData, Linker, Resource, ResourceType};
use wasmtime_wasi::p2::bindings::filesystem;
use wasmtime_wasi::p2::bindings::filesystem::types::Descriptor;

use super::facts::interface;
use super::{Import, State};
use crate::blocking::Lane;
use airlock_types::grant::{Access, Asked, FilesGrant, Why};
pub(crate) use allotment::Allotment;
pub(crate) use changes::Changes;
use changes::{Running, Writing};
pub(crate) use folder::{FirstFolders, GrantError, Reserved, leads_into, resolve};
use node::Granted;
pub(crate) use view::View;

/// Most threads for file accesses of one tool. Equal to the default number of concurrent calls, since a call mostly uses
/// one file at a time.
pub(crate) const THREADS_PER_TOOL: usize = 8;

/// Most threads for file accesses of all tools: half of the runtime's blocking threads, so that the host keeps the rest
/// even when every granted folder is stuck.
pub(crate) const THREADS_ALL_TOOLS: usize = crate::blocking::THREADS_MAX / 2;

/// What a guest can reach of files during one attempt.
pub(crate) struct Folders {
    granted: Vec<(Arc<Granted>, String)>,
    lane: Lane,
}

impl Folders {
    /// Opens nothing yet: opening may block, and that time belongs to the guest. Without what the call has left, nothing
    /// can be written.
    pub(crate) fn new(granted: &[FilesGrant], lane: Lane, allotment: Option<&Allotment>) -> Folders {
        if granted.is_empty() {
            return Folders { granted: Vec::new(), lane };
        }
        let running = Arc::new(Running::default());
        let folder = |(place, grant): (usize, &FilesGrant)| {
            let left = allotment.and_then(|allotment| allotment.of(place));
            let writing = left.map(|left| Writing::new(left, running.clone()));
            let granted = Granted::new((grant.host.clone(), grant.guest.clone()), writing, running.clone());
            (Arc::new(granted), grant.guest.clone())
        };
        Folders { granted: granted.iter().enumerate().map(folder).collect(), lane }
    }

    /// What the attempt changed until now.
    pub(super) fn changes(&self) -> Changes {
        // All folders of an attempt count together.
        self.granted.first().map(|(granted, _)| granted.running.changes()).unwrap_or_default()
    }
}

const PREOPENS: &str = "wasi:filesystem/preopens";

pub(super) const INTERFACES: &[&str] = &[PREOPENS, "wasi:filesystem/types"];

struct Files;

impl HasData for Files {
    type Data<'a> = View<'a>;
}

pub(super) fn resource(name: &str) -> Option<ResourceType> {
    match name {
        "descriptor" => Some(ResourceType::host::<Descriptor>()),
        "directory-entry-stream" => Some(ResourceType::host::<filesystem::types::DirectoryEntryStream>()),
        _ => None,
    }
}

pub(super) fn link(linker: &mut Linker<State>, interface: &str) -> wasmtime::Result<()> {
    match interface {
        PREOPENS => filesystem::preopens::add_to_linker::<State, Files>(linker, State::files),
        "wasi:filesystem/types" => filesystem::types::add_to_linker::<State, Files>(linker, State::files),
        _ => Err(super::unlinked(interface)),
    }
}

/// Without a grant, the guest finds an empty list of folders.
pub(super) fn deny(linker: &mut Linker<State>, import: &Import) -> wasmtime::Result<bool> {
    // Only the list is replaced: every other function of the interface needs a descriptor, and the list is the only
    // source of them.
    const LIST: &str = "get-directories";
    if interface(&import.name) != PREOPENS || !import.functions.contains_key(LIST) {
        return Ok(false);
    }
    linker.instance(&import.name)?.func_wrap(LIST, |mut store, (): ()| {
        store.data_mut().refuse(Asked::Files(Access::Read, "/".to_owned()), Why::NotGranted);
        Ok((Vec::<(Resource<Descriptor>, String)>::new(),))
    })?;
    Ok(true)
}
