//! The page of bounds, and the random components. To add a file: its `mod` line here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod page;
mod random;
