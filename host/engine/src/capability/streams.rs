//! Streams, errors and what waits for them: `wasi:io`.
//!
//! Always granted: a stream or pollable comes from another capability, which decides what it reaches.

use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi_io::bindings::wasi::io::{error, poll, streams};

use super::State;

pub(super) const INTERFACES: &[&str] = &["wasi:io/error", "wasi:io/poll", "wasi:io/streams"];

struct Streams;

impl HasData for Streams {
    type Data<'a> = &'a mut ResourceTable;
}

pub(super) fn link(linker: &mut Linker<State>, interface: &str) -> wasmtime::Result<()> {
    match interface {
        "wasi:io/error" => error::add_to_linker::<State, Streams>(linker, State::table),
        "wasi:io/poll" => poll::add_to_linker::<State, Streams>(linker, State::table),
        "wasi:io/streams" => streams::add_to_linker::<State, Streams>(linker, State::table),
        _ => Err(super::unlinked(interface)),
    }
}
