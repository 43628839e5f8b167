//! The seam through which every attempt runs.
//!
//! Owns the trait and its implementations: the sandbox, and faults in front of it. Must not know plans, policy or what
//! an outcome means. To add one: a file beside `sandbox.rs` with an implementation of [`Execute`].

mod faulty;
mod sandbox;

use std::pin::Pin;

pub use crate::sandbox::outcome::Outcome;
pub use crate::sandbox::run::{Attempt, RunError};
pub use faulty::{Fault, Faulty};
pub use sandbox::Sandbox;

/// The outcome of an attempt. `Err` means that the host failed; everything that a guest does is an [`Outcome`].
pub type Attempted = Result<Outcome, RunError>;

/// A running attempt. Boxed, so that [`Execute`] can be a trait object.
pub type Running<'a> = Pin<Box<dyn Future<Output = Attempted> + Send + 'a>>;

/// An executor of attempts.
///
/// `run` is called once for each attempt of each call, after the call has its permit and its slots. Dropping the future
/// ends the attempt. What it used until then is in the attempt's traces.
pub trait Execute: Send + Sync {
    /// Runs one attempt to its outcome, within its deadline.
    fn run<'a>(&'a self, attempt: Attempt<'a>) -> Running<'a>;
}
