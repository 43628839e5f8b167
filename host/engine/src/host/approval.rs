//! What a caller may decide about holds.

use super::Host;
use airlock_types::caller::Caller;

/// What a caller may decide about holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// Nothing.
    None,
    /// Its own user, over the client, about its own calls.
    ClientUser,
    /// Calls of others.
    Others,
}

impl Host {
    /// What a caller may decide about holds.
    pub fn approval(&self, _who: &Caller) -> Approval {
        Approval::None
    }
}
