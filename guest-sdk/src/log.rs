//! Log messages for the operator of the tool, through `wasi:logging/logging`. They are in the call's record and never
//! reach the caller.

mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package airlock:sdk-log; world log { import wasi:logging/logging@0.1.0-draft; }",
        generate_all,
    });
}

use bindings::wasi::logging::logging::{Level, log};

/// Logs a detail that helps to find a fault.
pub fn debug(message: &str) {
    log(Level::Debug, "", message);
}

/// Logs something worth knowing.
pub fn info(message: &str) {
    log(Level::Info, "", message);
}

/// Logs something unusual that the tool handled.
pub fn warn(message: &str) {
    log(Level::Warn, "", message);
}

/// Logs an error.
pub fn error(message: &str) {
    log(Level::Error, "", message);
}

/// Installs a hook that logs the message and place of a panic, which the trap alone would lose. `tool!` calls it.
pub fn panics() {
    // A hook, because with `panic = "abort"` nothing runs after it.
    std::panic::set_hook(Box::new(|info| log(Level::Critical, "panic", &info.to_string())));
}
