//! Random values, through `wasi:random/random`.

mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package airlock:sdk-random; world random { import wasi:random/random@0.2.12; }",
        generate_all,
    });
}

use bindings::wasi::random::random;

/// Returns `count` random bytes.
pub fn bytes(count: u64) -> Vec<u8> {
    random::get_random_bytes(count)
}

/// Returns a random number over the full range.
pub fn u64() -> u64 {
    random::get_random_u64()
}
