//! Logging from guests: `wasi:logging/logging`, into the attempt's bounded buffer.
//!
//! Always granted: it reaches nobody but the record.

use wasmtime::component::{Linker, Val};

use super::is;
use crate::contract::surface::Import;
use crate::sandbox::store::State;

pub(super) fn owns(name: &str) -> bool {
    is(name, "wasi:logging/logging")
}

pub(super) fn link(linker: &mut Linker<State>, import: &Import) -> wasmtime::Result<()> {
    if !owns(&import.name) {
        return Ok(());
    }
    linker.instance(&import.name)?.func_new("log", |store, _, args, _| {
        if let [Val::Enum(level), Val::String(context), Val::String(message)] = args {
            let separator = if context.is_empty() { "" } else { ": " };
            store.data().log.put(format!("[{level}] {context}{separator}{message}\n").as_bytes());
        }
        Ok(())
    })
}
