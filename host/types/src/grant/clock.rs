//! `clock`: the wall clock and the monotonic clock, sleeping included.
//!
//! The pure part: it has no parameters. The host functions are the engine's.

use super::flag::Flag;

/// The name in registries, contracts, records and replies.
pub const NAME: &str = "clock";

/// Its place in requests and grants.
pub(super) const CLOCK: Flag<'static> = Flag(&[NAME]);
