//! Insecure random bytes, which seed hash tables: `wasi:random/insecure` and `wasi:random/insecure-seed`.
//!
//! Always granted: they are the same in every call and tell a guest nothing.

use rand::SeedableRng as _;
use rand::rngs::ChaCha12Rng;
use wasmtime::component::Linker;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed};
use wasmtime_wasi::random::WasiRandom;

use super::State;

pub(super) const INTERFACES: &[&str] = &["wasi:random/insecure", "wasi:random/insecure-seed"];

pub(super) fn provide(wasi: &mut WasiCtxBuilder) {
    // Constant, so that a replay orders its hash tables like the call did.
    wasi.insecure_random(ChaCha12Rng::from_seed([0; 32])).insecure_random_seed(0);
}

pub(super) fn link(linker: &mut Linker<State>, interface: &str) -> wasmtime::Result<()> {
    match interface {
        "wasi:random/insecure" => insecure::add_to_linker::<State, WasiRandom>(linker, State::random),
        "wasi:random/insecure-seed" => {
            insecure_seed::add_to_linker::<State, WasiRandom>(linker, State::random)
        }
        _ => Err(super::unlinked(interface)),
    }
}
