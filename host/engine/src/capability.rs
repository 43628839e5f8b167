//! What a guest can reach, one file for each unit.
//!
//! WASI is linked as a whole with nothing in it: no files, no network, no environment, no arguments. A
//! capability that is granted puts something there; one that is not is replaced by functions that deny. Owns
//! the list of units. Must not know who calls. To add one: a field in the structs of `policy::grant`, a file
//! here with `provide` and `deny`, and its line in both functions below.

pub(crate) mod capture;
mod clock;
mod files;
mod imports;
pub(crate) mod limiter;
mod log;
mod progress;
mod random;
pub(crate) mod report;
pub(crate) mod state;

use wasmtime::component::Linker;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};

use capture::Capture;
pub(crate) use files::{Folders, THREADS_ALL_TOOLS, THREADS_PER_TOOL};
pub use imports::unknown;
pub(crate) use imports::{Binding, declare, is_provided};

use crate::capability::state::State;
use airlock_contract::surface::Import;
use airlock_types::environment::SharedEnvironment;
use airlock_types::grant::Effective;

/// Random bytes in one request.
const RANDOM_BYTES_MAX: u64 = 64 << 10;

/// Ends a guest that reached for what it was not granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tool reached for `{capability}` ({function}), which it was not granted")]
pub(crate) struct Denied {
    pub(crate) capability: &'static str,
    pub(crate) function: String,
}

/// The WASI context of one attempt, with what was granted in it.
pub(crate) fn context(
    log: &Capture,
    effective: &Effective,
    environment: &SharedEnvironment,
    seed: [u8; 32],
) -> WasiCtx {
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(log.clone()).stderr(log.clone()).max_random_size(RANDOM_BYTES_MAX);
    // Folders are no part of it: the guest sees them through `Folders`.
    let Effective { files: _, clock, random } = effective;
    clock::provide(&mut wasi, *clock, environment);
    random::provide(&mut wasi, *random, seed);
    wasi.build()
}

/// Links everything that a component may import: WASI, logging and progress. All of these have types, so that the
/// engine compares the signatures that a component wants with those that are there.
pub(crate) fn link(linker: &mut Linker<State>, imports: &[Import]) -> wasmtime::Result<()> {
    // Linking all of WASI is the dearest part of loading a tool, and many tools want none of it.
    if wants_wasi(imports) {
        wasmtime_wasi::p2::add_to_linker_async(linker)?;
        // Its own files take the place of the library's.
        linker.allow_shadowing(true);
        files::provide(linker)?;
        linker.allow_shadowing(false);
    }
    for import in imports {
        log::link(linker, import)?;
        progress::link(linker, import)?;
    }
    Ok(())
}

/// Replaces what was not granted by functions that deny; whether there was any. These take whatever signature a component
/// wants: the signatures must have been compared before, with what [`link`] linked.
pub(crate) fn deny(
    linker: &mut Linker<State>,
    imports: &[Import],
    effective: &Effective,
) -> wasmtime::Result<bool> {
    let Effective { files, clock, random } = effective;
    linker.allow_shadowing(true);
    let mut denied = false;
    for import in imports.iter().filter(|import| is_provided(&import.name)) {
        denied |= files.is_empty() && files::deny(linker, import)?;
        denied |= !clock && clock::deny(linker, import)?;
        denied |= !random && random::deny(linker, import)?;
    }
    Ok(denied)
}

/// Whether a component imports anything of WASI.
pub(crate) fn wants_wasi(imports: &[Import]) -> bool {
    imports.iter().any(|import| import.name.starts_with("wasi:"))
}

/// The capability that an import belongs to, for reviewers: `files`, `clock`, `random`.
pub fn of_import(name: &str) -> Option<&'static str> {
    [("files", files::owns(name)), ("clock", clock::owns(name)), ("random", random::owns(name))]
        .into_iter()
        .find_map(|(capability, owns)| owns.then_some(capability))
}

/// Replaces every function of an imported interface by one that denies; whether there was any.
fn deny_all(linker: &mut Linker<State>, import: &Import, capability: &'static str) -> wasmtime::Result<bool> {
    let mut instance = linker.instance(&import.name)?;
    for function in import.functions.keys() {
        let denied = Denied { capability, function: format!("{}#{function}", import.name) };
        instance.func_new(function, move |mut store, _, _, _| {
            store.data_mut().denials.push(denied.capability.to_owned());
            Err(denied.clone().into())
        })?;
    }
    Ok(!import.functions.is_empty())
}

/// Whether an import is this interface in any version.
fn is(name: &str, interface: &str) -> bool {
    name.split_once('@').map_or(name, |(name, _)| name) == interface
}
