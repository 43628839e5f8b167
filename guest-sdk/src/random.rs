//! Random values, through `wasi:random/random`.

mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package airlock:sdk-random; world random { import wasi:random/random@0.2.12; }",
        generate_all,
    });
}

use bindings::wasi::random::random;

/// So many random bytes.
pub fn bytes(count: u64) -> Vec<u8> {
    random::get_random_bytes(count)
}

/// One random number.
pub fn u64() -> u64 {
    random::get_random_u64()
}
