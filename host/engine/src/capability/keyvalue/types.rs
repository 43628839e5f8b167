//! The types of `wasi:keyvalue`, as the drafts write them.

use serde::{Deserialize, Serialize};
use wasmtime::component::{ComponentType, Lower, Resource};

/// `bucket`.
pub(in crate::capability) use airlock_journal::keyvalue::Bucket;

/// `cas`: a key, and the change that it had last when the handle was made.
#[derive(Clone, Debug)]
pub(in crate::capability) struct Cas {
    pub(super) bucket: Bucket,
    pub(super) key: String,
    /// `None` where the key was not there.
    pub(super) version: Option<i64>,
}

/// `error`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lower, Serialize, Deserialize)]
#[component(variant)]
pub(super) enum Error {
    #[component(name = "no-such-store")]
    NoSuchStore,
    #[component(name = "access-denied")]
    AccessDenied,
    #[component(name = "other")]
    Other(String),
}

/// `cas-error` of the second draft.
#[derive(ComponentType, Lower)]
#[component(variant)]
pub(super) enum CasError {
    #[component(name = "store-error")]
    Store(Error),
    #[component(name = "cas-failed")]
    Failed(Resource<Cas>),
}

/// `key-response` of the first draft.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct FirstKeys {
    pub(super) keys: Vec<String>,
    pub(super) cursor: Option<u64>,
}

/// `key-response` of the second draft.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct SecondKeys {
    pub(super) keys: Vec<String>,
    pub(super) cursor: Option<String>,
}
