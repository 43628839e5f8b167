//! The one seam through which an attempt runs.
//!
//! Owns the seam and what can stand at it: the sandbox, and faults in front of it. Must not know plans, policy or
//! what an outcome means. To add one: a file beside `sandbox.rs` with an implementation of [`Execute`].

mod faulty;
mod sandbox;

use std::pin::Pin;

pub use crate::sandbox::outcome::Outcome;
pub use crate::sandbox::run::{Attempt, RunError};
pub use faulty::{Fault, Faulty};
pub use sandbox::Sandbox;

/// What an attempt came to. An `Err` means that the host failed; whatever a guest does is an [`Outcome`].
pub type Attempted = Result<Outcome, RunError>;

/// An attempt under way.
pub type Running<'a> = Pin<Box<dyn Future<Output = Attempted> + Send + 'a>>;

/// Runs attempts.
///
/// `run` is called once for each attempt of each call, after the call has its permit and its slots. Dropping the future
/// ends the attempt; what it used until then is in the attempt's traces.
pub trait Execute: Send + Sync {
    /// Runs one attempt to its outcome, within its deadline.
    fn run<'a>(&'a self, attempt: Attempt<'a>) -> Running<'a>;
}
