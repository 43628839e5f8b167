//! Streams, errors and what waits for them: `wasi:io`.
//!
//! Always granted: a stream or pollable comes from another capability, which decides what it reaches.

use wasmtime::component::{HasData, Linker, ResourceTable, ResourceType};
use wasmtime_wasi_io::bindings::wasi::io::{error, poll, streams};

use super::State;

pub(super) const INTERFACES: &[&str] = &["wasi:io/error", "wasi:io/poll", "wasi:io/streams"];

struct Streams;

impl HasData for Streams {
    type Data<'a> = &'a mut ResourceTable;
}

pub(super) fn resource(name: &str) -> Option<ResourceType> {
    match name {
        "error" => Some(ResourceType::host::<error::Error>()),
        "pollable" => Some(ResourceType::host::<poll::Pollable>()),
        "input-stream" => Some(ResourceType::host::<streams::InputStream>()),
        "output-stream" => Some(ResourceType::host::<streams::OutputStream>()),
        _ => None,
    }
}

pub(super) fn link(linker: &mut Linker<State>, interface: &str) -> wasmtime::Result<()> {
    match interface {
        "wasi:io/error" => error::add_to_linker::<State, Streams>(linker, State::table),
        "wasi:io/poll" => poll::add_to_linker::<State, Streams>(linker, State::table),
        "wasi:io/streams" => streams::add_to_linker::<State, Streams>(linker, State::table),
        _ => Err(super::unlinked(interface)),
    }
}
