//! Fuzzes `airlock_fuzz::component`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| airlock_fuzz::component(bytes));
