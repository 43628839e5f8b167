//! The way of a call.

pub mod code;
pub mod finding;
