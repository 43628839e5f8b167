//! Unpredictable bytes.
//!
//! Granted, they come from the call's seed, so that a replay draws the same. Not granted, whoever asks for
//! unpredictable bytes is ended. The interfaces that are insecure by name (they seed hash tables) answer
//! from fixed seeds either way: they tell nothing.

use rand::SeedableRng as _;
use rand::rngs::ChaCha12Rng;
use wasmtime::component::Linker;
use wasmtime_wasi::WasiCtxBuilder;

use super::{deny_all, is};
use crate::capability::state::State;
use airlock_contract::surface::Import;

pub(super) fn provide(wasi: &mut WasiCtxBuilder, granted: bool, seed: [u8; 32]) {
    if granted {
        wasi.secure_random(ChaCha12Rng::from_seed(seed));
    }
    wasi.insecure_random(ChaCha12Rng::from_seed([0; 32])).insecure_random_seed(0);
}

pub(super) fn owns(name: &str) -> bool {
    is(name, "wasi:random/random")
}

pub(super) fn deny(linker: &mut Linker<State>, import: &Import) -> wasmtime::Result<bool> {
    Ok(owns(&import.name) && deny_all(linker, import, "random")?)
}
