//! The bounds of the host on what a guest holds and asks for at once, which no setting changes.
//!
//! Owns how the errors of the engine and its library are told apart: each of these bounds ends the guest. Must not know what an
//! attempt becomes of them. To add a bound: its number in `airlock_types::limit`, a `LimitHit`, and its error here.

use airlock_types::usage::LimitHit;
use wasmtime::component::ResourceTableError;
use wasmtime_wasi_http::FieldMapError;

/// What the engine says of a guest with too many handles, and the library of one that asks for too many random bytes. Neither
/// has a type; tests check the texts.
const HANDLES: &str = "store handle limit exceeded";
const RANDOM: &str = "requested len ";

/// The fixed bound that an error is about.
pub(crate) fn fixed(error: &wasmtime::Error) -> Option<LimitHit> {
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        return Some(LimitHit::Resources);
    }
    if let Some(FieldMapError::TotalSizeTooBig | FieldMapError::TooManyFields) = error.downcast_ref() {
        return Some(LimitHit::Headers);
    }
    // The root alone: the texts around it have names of the guest.
    let text = error.root_cause().to_string();
    let handles = text.ends_with(HANDLES).then_some(LimitHit::Handles);
    handles.or_else(|| text.starts_with(RANDOM).then_some(LimitHit::Random))
}
