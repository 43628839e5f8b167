//! Logging from guests: `wasi:logging/logging`, into the attempt's bounded buffer.
//!
//! Always granted: log lines reach only the record of the call.

use wasmtime::component::{ComponentType, Lift, Linker};

use super::{Import, State};

/// `level` of `wasi:logging/logging`.
#[derive(Clone, Copy, Debug, ComponentType, Lift)]
#[expect(dead_code, reason = "the engine makes the values, out of what a guest passes")]
#[component(enum)]
#[repr(u8)]
enum Level {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
    #[component(name = "critical")]
    Critical,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Critical => "critical",
        }
    }
}

pub(super) const INTERFACES: &[&str] = &["wasi:logging/logging"];

pub(super) fn link(linker: &mut Linker<State>, import: &Import) -> wasmtime::Result<()> {
    linker.instance(&import.name)?.func_wrap(
        "log",
        |store, (level, context, message): (Level, String, String)| {
            // One line of text in the same buffer as printed output, so that both stay in order.
            let (level, separator) = (level.as_str(), if context.is_empty() { "" } else { ": " });
            store.data().log(&format!("[{level}] {context}{separator}{message}\n"));
            Ok(())
        },
    )
}
