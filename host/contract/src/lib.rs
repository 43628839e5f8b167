//! What a tool promises: its types, its schema, its constraints, and the conversion between JSON and values.
//!
//! Owns WIT → JSON Schema, JSON ↔ component values, argument validation, and the contract that an author embeds. Must
//! not know the engine (except for its plain value enum), capabilities or transports, and does no I/O.

pub mod answer;
#[cfg(test)]
pub(crate) mod arbitrary;
pub mod arguments;
pub mod check;
mod compact;
pub mod compare;
pub mod component;
pub mod confidential;
pub mod docs;
pub mod example;
pub mod export;
pub mod expression;
pub mod facts;
pub mod foreign;
#[cfg(test)]
mod laws;
pub mod lift;
pub mod lossless;
pub mod lower;
pub mod manifest;
pub mod message;
mod number;
pub mod package;
pub mod path;
mod pattern;
mod period;
pub mod phrase;
pub mod published;
mod rules;
pub mod schema;
pub mod surface;
pub mod tool;
pub mod ty;
pub mod validate;

/// A short name of what judges contracts here: the sources of this crate, of those below it, and the versions of its
/// dependencies. What another build found to be right may be wrong for this one.
pub const BUILD: &str = env!("AIRLOCK_CONTRACT_BUILD");

/// A component value. This is the one place that names the type. It is the plain enum of wasmtime, so that a call does
/// not build its arguments twice.
pub type Val = wasmtime::component::Val;
