//! `random`: unpredictable bytes.
//!
//! The pure part: it has no parameters. The host functions are the engine's.

use super::flag::Flag;

/// The name in registries, contracts, records and replies.
pub const NAME: &str = "random";

/// Its place in requests and grants.
pub(super) const RANDOM: Flag<'static> = Flag(&[NAME]);
