//! Plain data types shared by all layers of the host.
//!
//! Owns the vocabulary of a call: outcome codes and their one table of facts, findings, effects, limits, requests
//! and grants, plans, replies, stored records, digests, positions in a value. Must not know I/O, the engine or a
//! runtime: every function here is pure. A new type gets a file of its name.

pub mod answer;
pub mod call;
pub mod caller;
pub mod canonical;
pub mod cassette;
pub mod code;
pub mod decision;
pub mod diagnostic;
pub mod difference;
pub mod digest;
pub mod duration;
pub mod effect;
pub mod environment;
pub mod event;
pub mod fields;
pub mod finding;
pub mod grant;
pub mod hold;
pub mod json;
pub mod limit;
pub mod place;
pub mod plan;
pub mod range;
pub mod record;
pub mod reply;
#[cfg(feature = "schema")]
pub mod schema;
pub mod session;
pub mod shorten;
pub mod tables;
pub mod text;
pub mod unexpanded;
pub mod usage;
pub mod violation;
pub mod words;
