//! Fuzzes `airlock_fuzz::expression`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| airlock_fuzz::expression(bytes));
