//! What arguments are judged by beside themselves: the time of the call, and what its session has seen.

use crate::facts::Facts;

/// When arguments are judged, and what the session has seen until then.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The time of the call, since 1970 in milliseconds.
    pub now_unix_ms: u64,
    /// What relations over facts are held against.
    pub seen: Seen<'a>,
}

/// What relations over facts are held against.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// The facts of the session.
    Facts(&'a Facts),
    /// The call has no session: each relation declares what follows.
    NoSession,
    /// Nothing: they are not judged, as for a call that is only explained.
    NotJudged,
}

impl Moment<'_> {
    /// A call without a session at this time.
    pub fn without_session(now_unix_ms: u64) -> Moment<'static> {
        Moment { now_unix_ms, seen: Seen::NoSession }
    }
}
