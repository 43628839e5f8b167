//! Messages for whoever operates the tool, through `wasi:logging/logging`. They reach the call's record, never the
//! caller.

mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package airlock:sdk-log; world log { import wasi:logging/logging@0.1.0-draft; }",
        generate_all,
    });
}

use bindings::wasi::logging::logging::{Level, log};

/// A detail for who looks for a fault.
pub fn debug(message: &str) {
    log(Level::Debug, "", message);
}

/// Something worth knowing.
pub fn info(message: &str) {
    log(Level::Info, "", message);
}

/// Something odd that the tool coped with.
pub fn warn(message: &str) {
    log(Level::Warn, "", message);
}

/// Something that went wrong.
pub fn error(message: &str) {
    log(Level::Error, "", message);
}

/// From now on logs a panic's message and place, which the trap would drop. `tool!` calls it.
pub fn panics() {
    std::panic::set_hook(Box::new(|info| log(Level::Critical, "panic", &info.to_string())));
}
