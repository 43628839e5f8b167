//! Why a host cannot be opened or reloaded.
//!
//! Owns which of these reasons are the operator's to mend. Must not know how a host is opened.

use crate::capability::CapabilityError;
use crate::confinement::Confinement;
use crate::lock::LockError;
use crate::sandbox::cache::CacheError;
use airlock_journal::JournalError;
use airlock_journal::state::StateError;
use airlock_types::diagnostic::Diagnostics;

/// Why a host cannot be opened or reloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The registry has problems.
    #[error(transparent)]
    Registry(#[from] Diagnostics),
    /// The tool definitions are not the accepted ones, or the lock cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A capability of the embedding program cannot be added.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
    /// The compile cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The state folder is not safe to use.
    #[error(transparent)]
    State(#[from] StateError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file system did not answer.
    #[error("{step} was given up: {reason}; does its file system answer?")]
    Stuck {
        /// The step that did not end.
        step: &'static str,
        /// The reason, as a fragment.
        reason: String,
    },
    /// The registry requires that the process is confined, and it is not.
    #[error(
        "`host.confine` is \"require\", and this process is not confined: {0}; provide what is missing, as a newer \
         kernel does, or set `host.confine = \"auto\"`"
    )]
    Unconfined(Confinement),
    /// The engine cannot be made.
    #[error(
        "the engine cannot be made: {0}; it reserves address space for its pool, which `ulimit -v` or a small \
         machine may forbid"
    )]
    Engine(String),
}

impl OpenError {
    /// Whether the operator's input is refused, as opposed to a failure of the machine or the host.
    pub fn is_refusal(&self) -> bool {
        match self {
            OpenError::Registry(_)
            | OpenError::Lock(_)
            | OpenError::Stuck { .. }
            | OpenError::Unconfined(_) => true,
            OpenError::Capability(_)
            | OpenError::Cache(_)
            | OpenError::State(_)
            | OpenError::Journal(_)
            | OpenError::Engine(_) => false,
        }
    }
}
