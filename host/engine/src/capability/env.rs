//! The environment of a program: `wasi:cli/environment`.
//!
//! A guest finds the variables of its grant, whose values are written in the registry, and no other. There are no
//! arguments and no working folder. The interface is always linked: without a grant the environment is empty, which
//! language runtimes rely on when they start.

use wasmtime::component::Linker;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::p2::bindings::cli::environment;

use super::State;
use airlock_types::grant::Values;

pub(super) const INTERFACES: &[&str] = &["wasi:cli/environment"];

pub(super) fn provide(wasi: &mut WasiCtxBuilder, values: &Values) {
    // Nothing of the host is inherited: the builder's own environment and arguments are empty.
    for (key, value) in values {
        wasi.env(key, value);
    }
}

pub(super) fn link(linker: &mut Linker<State>, interface: &str) -> wasmtime::Result<()> {
    match interface {
        "wasi:cli/environment" => environment::add_to_linker::<State, WasiCli>(linker, State::cli),
        _ => Err(super::unlinked(interface)),
    }
}
