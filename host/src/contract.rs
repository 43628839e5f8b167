//! What a tool promises: its types, its schema, its constraints, and the way between JSON and values.
//!
//! Owns WIT → JSON Schema, JSON ↔ component values, argument validation, and the contract that an author
//! embeds. Must not know the engine (but for its plain value enum), capabilities or transports, and does
//! no I/O.

pub mod effect;
pub mod path;
pub mod surface;
pub mod ty;
pub mod violation;
/// A component value: the engine's plain value enum, so that no call builds its arguments twice.
pub use wasmtime::component::Val;
