//! The state of a call that the client sends again.
//!
//! Owns its form. Must not know what follows from it.

use std::fmt;

use airlock_types::digest::unhex;

/// Most rounds of one call. The official SDKs send a call ten times at most, the first time included, and then lose the answer.
pub(super) const ROUNDS_MAX: u32 = 8;

/// The hold's id, which cannot be guessed, the round, and the digest of the arguments that the client's user was asked about.
/// Without the digest nobody was asked. A client that changes the round waits more or less often. One that makes up a digest
/// could as well make up its user's answer: it speaks for its user, and the host cannot tell.
#[derive(Clone, Copy)]
pub(super) struct State<'s> {
    pub(super) id: &'s str,
    pub(super) round: u32,
    pub(super) seen: Option<&'s str>,
}

impl State<'_> {
    pub(super) fn read(text: &str) -> Option<State<'_>> {
        let (id, rest) = text.split_once('.')?;
        let (round, seen) = rest.split_once('.').map_or((rest, None), |(round, seen)| (round, Some(seen)));
        let round = round.parse().ok().filter(|round| (1..=ROUNDS_MAX).contains(round))?;
        let is_digest = |seen: &str| unhex(seen).is_some_and(|bytes| bytes.len() == 32);
        seen.is_none_or(is_digest).then_some(State { id, round, seen })
    }
}

impl fmt::Display for State<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.id, self.round)?;
        self.seen.map_or(Ok(()), |seen| write!(f, ".{seen}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_an_id_a_round_and_what_was_asked_about() {
        let read = |text: &str| State::read(text).map(|state| state.to_string());
        let asked = format!("abc.1.{}", "a".repeat(64));
        for text in ["abc.8", &asked] {
            assert_eq!(read(text).as_deref(), Some(text));
        }
        let (short, more) = (&asked[..asked.len() - 1], format!("{asked}.1"));
        for text in
            ["", "abc", "abc.", "abc.0", "abc.9", "abc.-1", "abc.1.1", "abc.99999999999", "abc. 1", "abc.1."]
        {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!((read(short), read(&more)), (None, None));
    }
}
