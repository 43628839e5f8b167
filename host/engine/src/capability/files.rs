//! Folders of the host, read-only.
//!
//! Granted, a folder appears under the guest's name for it. Not granted, the list of folders is empty, and
//! that the guest asked for it is noted: language runtimes ask at their start, so asking alone ends nobody.
//! The host functions are Airlock's own, since those of the engine's library wait for FIFOs and start as many
//! threads as a guest asks for: `folder` checks a grant, `node` opens, `view` is what a guest calls, `stream` reads.

mod folder;
mod node;
mod stream;
mod view;

use std::sync::Arc;

use wasmtime::component::{HasData, Linker, Resource};
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

const PREOPENS: &str = "wasi:filesystem/preopens";

pub(super) const INTERFACES: &[&str] = &[PREOPENS, "wasi:filesystem/types"];

struct Files;

impl HasData for Files {
    type Data<'a> = View<'a>;
}

pub(super) fn link(linker: &mut Linker<State>, interface: &str) -> wasmtime::Result<()> {
    match interface {
        PREOPENS => filesystem::preopens::add_to_linker::<State, Files>(linker, State::files),
        "wasi:filesystem/types" => filesystem::types::add_to_linker::<State, Files>(linker, State::files),
        _ => Err(super::unlinked(interface)),
    }
}

/// A guest without a grant finds an empty list of folders.
pub(super) fn deny(linker: &mut Linker<State>, import: &Import) -> wasmtime::Result<bool> {
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
