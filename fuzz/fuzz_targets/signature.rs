//! Fuzzes `airlock_fuzz::signature`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| airlock_fuzz::signature(bytes));
