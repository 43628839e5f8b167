//! Folders of the host, read-only.
//!
//! Granted, a folder appears under the guest's name for it. Not granted, the list of folders is empty, and
//! that the guest asked for it is noted: language runtimes ask at their start, so asking alone ends nobody.
//! The host functions are Airlock's own, since those of the engine's library wait for FIFOs and start as many
//! threads as a guest asks for: `node` opens, `view` is what a guest calls, `stream` reads.

mod node;
mod stream;
mod view;

use std::sync::Arc;

use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::p2::bindings::filesystem;
use wasmtime_wasi::p2::bindings::filesystem::types::Descriptor;

use super::is;
use crate::blocking::Lane;
use crate::capability::state::State;
use airlock_contract::surface::Import;
use airlock_types::grant::{Access, FilesGrant};
use node::Granted;
pub(crate) use view::View;

/// Threads that file accesses of one tool may hold. As many as calls of it run unless the operator says otherwise:
/// a call reads one file at a time.
pub(crate) const THREADS_PER_TOOL: usize = 8;

/// Threads that file accesses of all tools may hold: half of those that the runtime has for blocking work, so that
/// the host has its own even when every granted folder is stuck.
pub(crate) const THREADS_ALL_TOOLS: usize = crate::blocking::THREADS_MAX / 2;

/// What a guest can reach of files during one attempt.
pub(crate) struct Folders {
    granted: Vec<(Arc<Granted>, String)>,
    lane: Lane,
}

impl Folders {
    /// Nothing is opened yet: that may take time, which is the guest's.
    pub(crate) fn new(granted: &[FilesGrant], lane: Lane) -> Folders {
        let folder = |FilesGrant { host, guest, access }: &FilesGrant| {
            let Access::Read = access;
            (Arc::new(Granted::new(host.clone())), guest.clone())
        };
        Folders { granted: granted.iter().map(folder).collect(), lane }
    }
}

struct Files;

impl HasData for Files {
    type Data<'a> = View<'a>;
}

/// Links what reads the granted folders, over what the engine's library has for it.
pub(super) fn provide(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    filesystem::preopens::add_to_linker::<State, Files>(linker, State::files)?;
    filesystem::types::add_to_linker::<State, Files>(linker, State::files)
}

pub(super) fn owns(name: &str) -> bool {
    is(name, "wasi:filesystem/preopens") || is(name, "wasi:filesystem/types")
}

pub(super) fn deny(linker: &mut Linker<State>, import: &Import) -> wasmtime::Result<bool> {
    const LIST: &str = "get-directories";
    if !is(&import.name, "wasi:filesystem/preopens") || !import.functions.contains_key(LIST) {
        return Ok(false);
    }
    linker.instance(&import.name)?.func_wrap(LIST, |mut store, (): ()| {
        // A guest may ask again and again, and all of it would go on record.
        let denials = &mut store.data_mut().denials;
        if !denials.iter().any(|denied| denied == "files") {
            denials.push("files".to_owned());
        }
        Ok((Vec::<(Resource<Descriptor>, String)>::new(),))
    })?;
    Ok(true)
}
