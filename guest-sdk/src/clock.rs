//! The current time, through `wasi:clocks/wall-clock`. `SystemTime::now` does not exist on this target.

mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package airlock:sdk-clock; world clock { import wasi:clocks/wall-clock@0.2.12; }",
        generate_all,
    });
}

use bindings::wasi::clocks::wall_clock;

/// The current time in milliseconds since the Unix epoch.
pub fn now_unix_ms() -> u64 {
    let now = wall_clock::now();
    now.seconds * 1_000 + u64::from(now.nanoseconds) / 1_000_000
}
