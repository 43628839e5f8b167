//! Fuzzes `airlock_fuzz::mcp_line`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| airlock_fuzz::mcp_line(bytes));
