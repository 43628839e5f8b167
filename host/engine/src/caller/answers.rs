//! The answers that a session has read and that may be given again.
//!
//! Owns their bounds. Must not know which calls keep one, nor what makes one out of date beside its time.

use std::collections::VecDeque;

/// Bytes of all answers of a session. There can be ten thousand sessions.
const BYTES_MAX: usize = 64 << 10;

/// An answer, as JSON, and when it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    /// The digest of what was asked.
    pub(crate) digest: String,
    pub(crate) reply: String,
    pub(crate) asked_unix_ms: u64,
}

/// The answers of one session, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Answers(VecDeque<Read>);

impl Answers {
    /// The answer to this, if it was asked for less than this time ago.
    pub(crate) fn find(&self, digest: &str, now_unix_ms: u64, age_ms_max: u64) -> Option<Read> {
        let read = self.0.iter().find(|read| read.digest == digest)?;
        // A clock that was set back makes no answer of the future.
        let is_young = now_unix_ms.checked_sub(read.asked_unix_ms).is_some_and(|age_ms| age_ms <= age_ms_max);
        is_young.then(|| read.clone())
    }

    /// Keeps an answer in the place of an earlier one to the same. One that is too long for all is not kept.
    pub(crate) fn keep(&mut self, read: Read) {
        self.0.retain(|other| other.digest != read.digest);
        self.0.push_back(read);
        while self.0.iter().map(|read| read.reply.len()).sum::<usize>() > BYTES_MAX {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(digest: &str, bytes: usize) -> Read {
        Read { digest: digest.into(), reply: "x".repeat(bytes), asked_unix_ms: 10 }
    }

    #[test]
    fn an_answer_is_found_until_it_is_too_old() {
        let mut answers = Answers::default();
        answers.keep(read("a", 1));
        assert!(answers.find("a", 15, 5).is_some());
        assert!(answers.find("a", 16, 5).is_none() && answers.find("a", 9, 5).is_none());
        assert!(answers.find("b", 10, 5).is_none());
    }

    #[test]
    fn the_oldest_answers_make_room() {
        let mut answers = Answers::default();
        for digest in ["a", "b", "c"] {
            answers.keep(read(digest, BYTES_MAX / 2));
        }
        assert!(answers.find("a", 10, 0).is_none() && answers.find("b", 10, 0).is_some());
        answers.keep(read("d", BYTES_MAX + 1));
        assert!(answers.find("d", 10, 0).is_none());
    }
}
