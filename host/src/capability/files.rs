//! Folders of the host, read-only.
//!
//! Granted, a folder appears under the guest's name for it. Not granted, the list of folders is empty, and
//! that the guest asked for it is noted: language runtimes ask at their start, so asking alone ends nobody.

use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::bindings::filesystem::types::Descriptor;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use super::is;
use crate::contract::surface::Import;
use crate::policy::grant::{Access, FilesGrant};
use crate::sandbox::store::State;

pub(super) fn provide(wasi: &mut WasiCtxBuilder, granted: &[FilesGrant]) -> wasmtime::Result<()> {
    for FilesGrant { host, guest, access } in granted {
        let perms = match access {
            Access::Read => FsPerms::ReadOnly,
        };
        wasi.preopened_dir(host, guest, perms)?;
    }
    Ok(())
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
        store.data_mut().denials.push("files".to_owned());
        Ok((Vec::<(Resource<Descriptor>, String)>::new(),))
    })?;
    Ok(true)
}
