//! Folders of the host, read-only.
//!
//! With a grant, a folder appears under the guest's name for it. Without one, the list of folders is empty, and the
//! request is noted as a denial. It does not end the guest, because language runtimes list folders when they start. The
//! host functions are Airlock's own: those of the engine's library wait for FIFOs and start any number of threads for a
//! guest. `folder` checks a grant, `node` opens, `view` holds the functions that a guest calls, `stream` reads.

mod folder;
mod node;
mod stream;
mod view;

use std::sync::Arc;

use wasmtime::component::{HasData, Linker, Resource, ResourceType};
use wasmtime_wasi::p2::bindings::filesystem;
use wasmtime_wasi::p2::bindings::filesystem::types::Descriptor;

use super::facts::interface;
use super::{Import, State};
use crate::blocking::Lane;
use airlock_types::grant::files::NAME;
use airlock_types::grant::{Access, FilesGrant};
pub(crate) use folder::{GrantError, resolve};
use node::Granted;
pub(crate) use view::View;

/// Most threads for file accesses of one tool. Equal to the default number of concurrent calls, since a call reads one
/// file at a time.
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
    /// Opens nothing yet: opening may block, and that time belongs to the guest.
    pub(crate) fn new(granted: &[FilesGrant], lane: Lane) -> Folders {
        let folder = |FilesGrant { host, guest, access }: &FilesGrant| {
            // Another kind of access would not compile here before something enforces it.
            let Access::Read = access;
            (Arc::new(Granted::new(host.clone())), guest.clone())
        };
        Folders { granted: granted.iter().map(folder).collect(), lane }
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
        store.data_mut().deny_once(NAME);
        Ok((Vec::<(Resource<Descriptor>, String)>::new(),))
    })?;
    Ok(true)
}
