//! Pairs of keys and values that a tool keeps: `wasi:keyvalue`.
//!
//! The interfaces are always linked, in both drafts. Opening a bucket is the one way in: without a grant the guest gets
//! `access-denied`, which is noted as a denial and does not end it. `shared` holds the file of all tools, `attempt` whose
//! pairs a guest sees and what it used, `functions` the functions of the drafts, `types` their types.

mod attempt;
mod functions;
mod shared;
mod types;

use wasmtime::component::ResourceType;

pub(crate) use attempt::{Keeper, Kept, KeyUsage};
pub(super) use functions::{link, link_older};
pub(crate) use shared::{KeyValues, Opened, Pairs, StoreError};

pub(super) const INTERFACES: &[&str] =
    &["wasi:keyvalue/atomics", "wasi:keyvalue/batch", "wasi:keyvalue/store"];

/// The first draft, which wasmCloud and Wasmtime's own store have.
const FIRST: &str = "0.2.0-draft";

/// The second one, of Spin and of the proposal today: other numbers, other cursors, and compare-and-swap.
const SECOND: &str = "0.2.0-draft2";

pub(super) const VERSIONS: &[&str] = &[FIRST, SECOND];

pub(super) fn resource(name: &str) -> Option<ResourceType> {
    match name {
        "bucket" => Some(ResourceType::host::<types::Bucket>()),
        "cas" => Some(ResourceType::host::<types::Cas>()),
        _ => None,
    }
}
