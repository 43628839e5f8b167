//! The breaker that all callers of a tool share.
//!
//! One caller must not be able to take a tool from the others, so the breaker opens only when the calls of several
//! callers failed, or when the tool's upstream is unavailable.

use std::collections::VecDeque;

use super::{CALLS_MIN, State, Switch, WINDOW};
use crate::code::BreakerSample;

#[derive(Clone, Debug)]
pub(super) struct SharedBreaker<K> {
    switch: Switch,
    /// The last calls, the latest last.
    calls: VecDeque<(K, BreakerSample)>,
}

// Not derived, since a derived one would need `K: Default`.
impl<K> Default for SharedBreaker<K> {
    fn default() -> SharedBreaker<K> {
        SharedBreaker { switch: Switch::default(), calls: VecDeque::new() }
    }
}

impl<K: Ord + Clone> SharedBreaker<K> {
    pub(super) fn state(&self, now_ms: u64) -> State {
        self.switch.state(now_ms)
    }

    pub(super) fn record(&mut self, caller: &K, sample: BreakerSample, now_ms: u64) {
        match self.switch.state(now_ms) {
            // The call was already running when the breaker opened.
            State::Open { .. } => {}
            State::Probing => {
                self.push(caller, sample);
                self.probe(sample, now_ms);
            }
            State::Closed => {
                self.push(caller, sample);
                if sample.is_failure() && self.fails() {
                    self.open(now_ms);
                }
            }
        }
    }

    fn push(&mut self, caller: &K, sample: BreakerSample) {
        if self.calls.len() == WINDOW as usize {
            self.calls.pop_front();
        }
        self.calls.push_back((caller.clone(), sample));
    }

    /// A probe that fails for one caller only says nothing about the other callers.
    fn probe(&mut self, sample: BreakerSample, now_ms: u64) {
        let fails = match sample {
            BreakerSample::Success => {
                self.switch.probe();
                // This probe closed the breaker. It starts anew: failed probes must not count towards the next
                // opening.
                if self.switch == Switch::default() {
                    self.calls.clear();
                }
                false
            }
            BreakerSample::UpstreamFailure => true,
            // `calls` was cleared when the breaker opened and holds this probe, so these are the failures among
            // probes.
            BreakerSample::Failure => self.failed_callers() >= 2,
            BreakerSample::Ignored => false,
        };
        if fails {
            self.open(now_ms);
        }
    }

    fn open(&mut self, now_ms: u64) {
        self.switch.open(now_ms);
        self.calls.clear();
    }

    /// Whether at least half of the last calls failed because of the upstream; or at least half failed in any way, both
    /// of all calls and of those by callers other than the one that failed most often.
    fn fails(&self) -> bool {
        if self.calls.len() < CALLS_MIN as usize {
            return false;
        }
        let all = self.calls.iter();
        if is_half(all.clone().map(|(_, sample)| *sample == BreakerSample::UpstreamFailure)) {
            return true;
        }
        let failed = |(_, sample): &(K, BreakerSample)| sample.is_failure();
        // Quadratic, but over a window of 20 calls. Without this test, one caller with many failing calls could pause
        // the tool for all callers.
        let often = self.calls.iter().map(|(caller, _)| caller).max_by_key(|caller| self.failures_of(caller));
        is_half(all.clone().map(failed))
            && is_half(all.filter(|(caller, _)| Some(caller) != often).map(failed))
    }

    fn failures_of(&self, who: &K) -> usize {
        let failed = |(caller, sample): &&(K, BreakerSample)| caller == who && sample.is_failure();
        self.calls.iter().filter(failed).count()
    }

    fn failed_callers(&self) -> usize {
        let failed = self.calls.iter().filter(|(_, sample)| sample.is_failure());
        failed.map(|(caller, _)| caller).collect::<std::collections::BTreeSet<_>>().len()
    }
}

/// Whether at least half of these calls failed; `false` for no calls.
fn is_half(failed: impl Iterator<Item = bool>) -> bool {
    let (failures, calls) = failed.fold((0, 0), |(f, n), failed| (f + usize::from(failed), n + 1));
    failures > 0 && failures * 2 >= calls
}
