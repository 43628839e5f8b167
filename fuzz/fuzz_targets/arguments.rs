//! Fuzzes `airlock_fuzz::arguments`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| airlock_fuzz::arguments(bytes));
