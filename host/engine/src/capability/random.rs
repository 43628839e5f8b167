//! Random bytes: `wasi:random/random`.
//!
//! With a grant, they follow from the seed of the attempt: a fresh one, or one that follows from the seed of the call.
//! Without one, a guest that asks for them is ended.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::rngs::ChaCha12Rng;
use rand::{SeedableRng as _, TryRng};
use wasmtime::component::Linker;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p2::bindings::random::random;
use wasmtime_wasi::random::WasiRandom;

use super::State;
use airlock_types::limit::RANDOM_BYTES_MAX;

pub(super) const INTERFACES: &[&str] = &["wasi:random/random"];

/// A generator that notes whether it was asked.
struct Noting {
    bytes: ChaCha12Rng,
    was_drawn: Arc<AtomicBool>,
}

impl Noting {
    fn note(&mut self) -> &mut ChaCha12Rng {
        self.was_drawn.store(true, Ordering::Relaxed);
        &mut self.bytes
    }
}

impl TryRng for Noting {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.note().try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.note().try_next_u64()
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Infallible> {
        self.note().try_fill_bytes(into)
    }
}

/// `was_drawn` is there for a guest with the grant.
pub(super) fn provide(wasi: &mut WasiCtxBuilder, was_drawn: Option<&Arc<AtomicBool>>, seed: [u8; 32]) {
    // The bound also applies to the insecure bytes of `seeds`.
    wasi.max_random_size(RANDOM_BYTES_MAX);
    if let Some(was_drawn) = was_drawn {
        wasi.secure_random(Noting { bytes: ChaCha12Rng::from_seed(seed), was_drawn: was_drawn.clone() });
    }
}

pub(super) fn link(linker: &mut Linker<State>, interface: &str) -> wasmtime::Result<()> {
    match interface {
        "wasi:random/random" => random::add_to_linker::<State, WasiRandom>(linker, State::random),
        _ => Err(super::unlinked(interface)),
    }
}
