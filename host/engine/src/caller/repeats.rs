//! The loop guard: failed calls that come again, with the same arguments or with the same error.
//!
//! Owns the memory of failed calls, its bounds and what is a repeat. A model seldom notices by itself that it repeats
//! itself. Must not know sessions, transports or what calls do.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{PoisonError, RwLock};

use airlock_types::caller::Caller;

/// Number of failures in a row from which the reply warns that the answer will not change.
const WARN_FROM: u32 = 3;

/// Entries of one memory, each of at most 300 bytes. A failed call adds at most two.
const REMEMBERED: usize = 32;

/// How long the calls of a caller are compared outside of sessions, in milliseconds. Clients that have no session, or
/// open one for each call, are compared over this time.
const WINDOW_MS: u64 = 10 * 60_000;

/// Most callers with a memory of their own, 20 MB in all. A further one takes the place of the one that failed longest
/// ago.
const CALLERS_MAX: usize = 2_000;

/// How a call ended, as far as the guard compares calls.
pub(crate) struct Ended<'e> {
    /// The tool's name.
    pub(crate) tool: &'e str,
    /// The digest of the tool and the arguments.
    pub(crate) call: String,
    /// The digests that matter when the call failed; none for a success.
    pub(crate) failure: Option<Failed>,
}

/// How a call failed.
pub(crate) struct Failed {
    /// The digest of an error that another spelling of the arguments does not change. None if the error is about
    /// something else than the arguments: calls with different arguments may then rightly fail alike.
    pub(crate) error: Option<String>,
}

/// What repeats itself, and how often it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// The same call.
    Call(u32),
    /// The same error for calls with different arguments.
    Error(u32),
}

/// The latest failed calls, of a session or of a caller. The one that failed longest ago is first.
#[derive(Debug, Default)]
pub(crate) struct Repeats(VecDeque<Entry>);

#[derive(Debug)]
struct Entry {
    digest: String,
    /// For an error: its tool, whose next success removes the entry.
    error_of: Option<String>,
    /// How often it came since `first_ms` without a success between.
    count: u32,
    first_ms: u64,
    last_ms: u64,
}

impl Repeats {
    /// Whether no failed call is remembered, so that a success changes nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds how a call ended. Returns what it repeats, from the third time.
    pub(crate) fn note(&mut self, ended: &Ended<'_>, now_ms: u64) -> Option<Repeat> {
        let Some(Failed { error }) = &ended.failure else {
            self.0
                .retain(|entry| entry.digest != ended.call && entry.error_of.as_deref() != Some(ended.tool));
            return None;
        };
        let call = self.add(&ended.call, None, now_ms);
        let error = error.as_ref().map_or(0, |error| self.add(error, Some(ended.tool), now_ms));
        // The same call first: its repeats count as repeats of its error too.
        let repeats = [(call, Repeat::Call(call)), (error, Repeat::Error(error))];
        repeats.into_iter().find(|(count, _)| *count >= WARN_FROM).map(|(_, repeat)| repeat)
    }

    fn add(&mut self, digest: &str, error_of: Option<&str>, now_ms: u64) -> u32 {
        let at = self.0.iter().position(|entry| entry.digest == digest);
        let (before, first_ms) =
            at.and_then(|at| self.0.remove(at)).map_or((0, now_ms), |entry| (entry.count, entry.first_ms));
        // At the end, also if it was there before: the order is that of the latest failure.
        let entry = Entry {
            digest: digest.to_owned(),
            error_of: error_of.map(str::to_owned),
            count: before + 1,
            first_ms,
            last_ms: now_ms,
        };
        self.0.push_back(entry);
        if self.0.len() > REMEMBERED {
            // The calls that failed longest ago are forgotten first.
            self.0.pop_front();
        }
        before + 1
    }

    /// Forgets what began before, so that each count is one of the time since.
    fn forget_before(&mut self, ms: u64) {
        self.0.retain(|entry| entry.first_ms >= ms);
    }

    fn has_since(&self, ms: u64) -> bool {
        self.0.iter().any(|entry| entry.first_ms >= ms)
    }

    fn last_ms(&self) -> u64 {
        self.0.back().map_or(0, |entry| entry.last_ms)
    }
}

/// The latest failed calls of each caller, whatever their sessions.
#[derive(Debug, Default)]
pub(crate) struct CallersRepeats(RwLock<BTreeMap<Caller, Repeats>>);

impl CallersRepeats {
    /// Adds how a call ended, and returns what it repeats. `ended` runs only if this call failed or an earlier one of
    /// the caller did, so that good calls compute no digest.
    pub(crate) fn note<'e>(
        &self,
        who: &Caller,
        has_failed: bool,
        now_ms: u64,
        ended: impl FnOnce() -> Ended<'e>,
    ) -> Option<Repeat> {
        let since_ms = now_ms.saturating_sub(WINDOW_MS);
        let is_remembered = || {
            let callers = self.0.read().unwrap_or_else(PoisonError::into_inner);
            callers.get(who).is_some_and(|own| own.has_since(since_ms))
        };
        if !has_failed && !is_remembered() {
            return None;
        }
        let ended = ended();
        let mut callers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !callers.contains_key(who) {
            limit_callers(&mut callers);
        }
        let own = callers.entry(who.clone()).or_default();
        own.forget_before(since_ms);
        let repeat = own.note(&ended, now_ms);
        if own.is_empty() {
            callers.remove(who);
        }
        repeat
    }
}

/// Makes place for one more caller.
fn limit_callers(callers: &mut BTreeMap<Caller, Repeats>) {
    if callers.len() < CALLERS_MAX {
        return;
    }
    // Looks at every caller, which only a new caller beyond the bound does.
    let oldest = callers.iter().min_by_key(|(_, own)| own.last_ms()).map(|(caller, _)| caller.clone());
    if let Some(oldest) = oldest {
        callers.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(call: &str, error: Option<&str>) -> Ended<'static> {
        let failure = Some(Failed { error: error.map(str::to_owned) });
        Ended { tool: "t", call: call.to_owned(), failure }
    }

    fn succeeded(call: &str) -> Ended<'static> {
        Ended { tool: "t", call: call.to_owned(), failure: None }
    }

    #[test]
    fn counts_the_same_failed_call_until_it_succeeds() {
        let mut repeats = Repeats::default();
        let notes = ["x", "x", "y", "x", "x"].map(|call| repeats.note(&ended(call, None), 0));
        assert_eq!(notes, [None, None, None, Some(Repeat::Call(3)), Some(Repeat::Call(4))]);
        assert_eq!(repeats.note(&succeeded("x"), 0), None);
        assert_eq!(["x", "x"].map(|call| repeats.note(&ended(call, None), 0)), [None, None]);
    }

    #[test]
    fn counts_the_same_error_of_different_calls_until_the_tool_succeeds() {
        let mut repeats = Repeats::default();
        let notes = ["a", "b", "c"].map(|call| repeats.note(&ended(call, Some("month")), 0));
        assert_eq!(notes, [None, None, Some(Repeat::Error(3))]);
        repeats.note(&succeeded("d"), 0);
        assert_eq!(repeats.note(&ended("e", Some("month")), 0), None);
    }

    #[test]
    fn remembers_a_bounded_number_of_calls() {
        let mut repeats = Repeats::default();
        (0..1_000).for_each(|n| {
            repeats.note(&ended(&format!("call {n}"), Some(&format!("error {n}"))), 0);
        });
        assert_eq!(repeats.0.len(), REMEMBERED);
    }

    #[test]
    fn a_callers_calls_are_compared_for_ten_minutes() {
        let callers = CallersRepeats::default();
        let fail = |who: &str, now_ms| callers.note(&Caller::named(who), true, now_ms, || ended("x", None));
        assert_eq!([fail("a", 0), fail("a", 1), fail("b", 2)], [None; 3]);
        assert_eq!(fail("a", WINDOW_MS), Some(Repeat::Call(3)));
        assert_eq!(fail("a", WINDOW_MS + 1), None, "what is counted began within ten minutes");
    }

    #[test]
    fn a_good_call_computes_nothing_and_a_success_frees_the_memory() {
        let callers = CallersRepeats::default();
        let who = Caller::named("a");
        assert_eq!(callers.note(&who, false, 0, || panic!("a digest of a good call")), None);
        callers.note(&who, true, 0, || ended("x", None));
        callers.note(&who, false, 0, || succeeded("x"));
        assert!(callers.0.read().unwrap().is_empty());
    }

    #[test]
    fn callers_beyond_the_bound_replace_the_one_that_failed_longest_ago() {
        let callers = CallersRepeats::default();
        for n in 0..=CALLERS_MAX as u64 {
            callers.note(&Caller::named(&n.to_string()), true, n, || ended("x", None));
        }
        let known = callers.0.read().unwrap();
        assert_eq!(known.len(), CALLERS_MAX);
        assert!(!known.contains_key(&Caller::named("0")) && known.contains_key(&Caller::named("1")));
    }
}
