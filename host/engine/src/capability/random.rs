//! Random bytes: `wasi:random/random`.
//!
//! With a grant, they follow from the seed of the attempt: a fresh one, or one that follows from the seed of the call.
//! Without one, a guest that asks for them is ended.

use rand::SeedableRng as _;
use rand::rngs::ChaCha12Rng;
use wasmtime::component::Linker;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p2::bindings::random::random;
use wasmtime_wasi::random::WasiRandom;

use super::State;
use airlock_types::grant::random::RandomMode;

/// Most random bytes of one request. wasmtime's default is 64 MiB, which a guest could have the host allocate at once.
const BYTES_MAX: u64 = 64 << 10;

pub(super) const INTERFACES: &[&str] = &["wasi:random/random"];

pub(super) fn provide(wasi: &mut WasiCtxBuilder, mode: Option<RandomMode>, seed: [u8; 32]) {
    // The bound also applies to the insecure bytes of `seeds`.
    wasi.max_random_size(BYTES_MAX);
    // Without a grant the functions are denied, so the library's own generator is never used.
    if mode.is_some() {
        wasi.secure_random(ChaCha12Rng::from_seed(seed));
    }
}

pub(super) fn link(linker: &mut Linker<State>, interface: &str) -> wasmtime::Result<()> {
    match interface {
        "wasi:random/random" => random::add_to_linker::<State, WasiRandom>(linker, State::random),
        _ => Err(super::unlinked(interface)),
    }
}
