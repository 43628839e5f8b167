//! The breakers of a tool: they stop calls to a tool that keeps failing.
//!
//! Each caller has its own breaker, and all callers share another one. Only infrastructure counts: a tool's own "not
//! found" says nothing about its health, and neither does a host without free slots. Owns when each opens and closes.
//! Must not know who the callers are.

mod shared;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::code::{BreakerSample, Code};
use shared::SharedBreaker;

/// Number of past calls that are considered. Small, as agents make few calls.
const WINDOW: u32 = 20;
/// With fewer calls than this, the breaker does not open.
const CALLS_MIN: u32 = 5;
/// It opens for this long, times the number of openings in a row.
const OPEN_MS: u64 = 30_000;
/// Longest time that it stays open.
const OPEN_MS_MAX: u64 = 300_000;
/// Successes that close it again, and the most calls that try at the same time.
const PROBES: u32 = 2;
/// Most callers for which one tool keeps a breaker, about 100 KB. A further caller replaces the one with the fewest
/// openings and failures.
const CALLERS_MAX: usize = 1_000;

/// The callers that an open breaker stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The caller whose calls failed.
    Caller,
    /// Every caller.
    AllCallers,
}

impl Scope {
    /// For texts: `paused for this caller`.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Caller => "this caller",
            Scope::AllCallers => "all callers",
        }
    }

    /// As it is recorded.
    pub fn code(self) -> &'static str {
        match self {
            Scope::Caller => "caller",
            Scope::AllCallers => "all-callers",
        }
    }
}

/// A tool's breakers at one moment, as the plan of one caller's call sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerView {
    /// Calls go through.
    Closed,
    /// Calls go through, to see whether the tool works again.
    Probing,
    /// No calls go through.
    Open {
        /// For how long still, in milliseconds.
        remaining_ms: u64,
        /// The callers that it stops.
        scope: Scope,
    },
}

impl BreakerView {
    /// Whether no calls go through.
    pub fn is_open(self) -> bool {
        matches!(self, BreakerView::Open { .. })
    }
}

/// All breakers of one tool. `K` names a caller. Times are on any one clock, in milliseconds.
#[derive(Clone, Debug)]
pub struct Breakers<K> {
    callers: BTreeMap<K, CallerBreaker>,
    shared: SharedBreaker<K>,
    /// Whose probes run.
    probing: Vec<K>,
}

impl<K> Default for Breakers<K> {
    fn default() -> Breakers<K> {
        Breakers { callers: BTreeMap::new(), shared: SharedBreaker::default(), probing: Vec::new() }
    }
}

impl<K: Ord + Clone> Breakers<K> {
    /// The state that applies to a caller now.
    pub fn view(&self, caller: &K, now_ms: u64) -> BreakerView {
        let own = self.callers.get(caller).map_or(State::Closed, |own| own.switch.state(now_ms));
        let open = |remaining_ms, scope| BreakerView::Open { remaining_ms, scope };
        match (self.shared.state(now_ms), own) {
            // When both are open, the longer pause is the one that the caller has to wait for.
            (State::Open { remaining_ms }, State::Open { remaining_ms: own }) if own > remaining_ms => {
                open(own, Scope::Caller)
            }
            (State::Open { remaining_ms }, _) => open(remaining_ms, Scope::AllCallers),
            (_, State::Open { remaining_ms }) => open(remaining_ms, Scope::Caller),
            (State::Probing, _) | (_, State::Probing) => BreakerView::Probing,
            (State::Closed, State::Closed) => BreakerView::Closed,
        }
    }

    /// Whether a call that was planned as a probe may begin: it waited since, and others may have begun, or found that the tool
    /// still fails. One that begins ends with [`Breakers::end_probe`].
    pub fn begin_probe(&mut self, caller: &K, now_ms: u64) -> bool {
        let others = match self.view(caller, now_ms) {
            BreakerView::Open { .. } => return false,
            BreakerView::Closed => 0,
            // Of a tool that failed for all, those of all; else those of the caller.
            BreakerView::Probing if self.is_open_for_all(now_ms) => self.probing.len(),
            BreakerView::Probing => self.probing.iter().filter(|other| *other == caller).count(),
        };
        let may_begin = others < PROBES as usize;
        if may_begin {
            self.probing.push(caller.clone());
        }
        may_begin
    }

    /// A probe ends, however.
    pub fn end_probe(&mut self, caller: &K) {
        if let Some(at) = self.probing.iter().position(|other| other == caller) {
            self.probing.swap_remove(at);
        }
    }

    /// Records how one call ended. A call counts once, however many attempts it made.
    pub fn record(&mut self, caller: &K, code: Code, now_ms: u64) {
        let sample = code.facts().breaker;
        if sample == BreakerSample::Ignored {
            return;
        }
        // Each call is a sample for both: a caller's own failures pause it alone, until other callers fail as well.
        self.shared.record(caller, sample, now_ms);
        if let Some(own) = self.callers.get_mut(caller) {
            own.record(sample, now_ms);
            return;
        }
        self.make_room();
        let mut own = CallerBreaker::default();
        own.record(sample, now_ms);
        self.callers.insert(caller.clone(), own);
    }

    /// Whether calls of all callers are stopped, or let through to probe.
    pub fn is_open_for_all(&self, now_ms: u64) -> bool {
        self.shared.state(now_ms) != State::Closed
    }

    /// Callers that have an open breaker of their own.
    pub fn paused_callers(&self, now_ms: u64) -> usize {
        let is_open = |own: &&CallerBreaker| matches!(own.switch.state(now_ms), State::Open { .. });
        self.callers.values().filter(is_open).count()
    }

    fn make_room(&mut self) {
        if self.callers.len() < CALLERS_MAX {
            return;
        }
        // A breaker that never opened and saw no failure carries no information.
        let loss = |own: &CallerBreaker| (own.switch.openings, own.failures(), own.used_ms);
        let least = self.callers.iter().min_by_key(|(_, own)| loss(own)).map(|(caller, _)| caller.clone());
        if let Some(caller) = least {
            self.callers.remove(&caller);
        }
    }
}

/// Closed, open for a time, or letting probes through: common to both kinds of breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Switch {
    /// Openings in a row.
    openings: u32,
    open_until_ms: Option<u64>,
    /// Successes since it opened.
    probes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Probing,
    Open { remaining_ms: u64 },
}

impl Switch {
    fn state(&self, now_ms: u64) -> State {
        match self.open_until_ms {
            // Time alone ends a pause: no task has to be woken for it.
            None => State::Closed,
            Some(until) if now_ms < until => State::Open { remaining_ms: until - now_ms },
            Some(_) => State::Probing,
        }
    }

    fn open(&mut self, now_ms: u64) {
        // Each opening without a recovery in between pauses the tool for longer.
        self.openings = self.openings.saturating_add(1);
        self.probes = 0;
        let length = OPEN_MS.saturating_mul(u64::from(self.openings)).min(OPEN_MS_MAX);
        self.open_until_ms = Some(now_ms.saturating_add(length));
    }

    /// A probe succeeded: closes after enough of them.
    fn probe(&mut self) {
        self.probes += 1;
        if self.probes >= PROBES {
            // Forgets the openings, too, so the next pause is a short one again.
            *self = Switch::default();
        }
    }
}

/// One caller's breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct CallerBreaker {
    switch: Switch,
    /// The last calls, one bit each, set for a failure; the latest is the lowest.
    failed: u32,
    /// Calls in the window.
    calls: u32,
    /// When the last of them was recorded.
    used_ms: u64,
}

impl CallerBreaker {
    fn failures(&self) -> u32 {
        self.failed.count_ones()
    }

    fn record(&mut self, sample: BreakerSample, now_ms: u64) {
        self.used_ms = now_ms;
        let success = sample == BreakerSample::Success;
        match self.switch.state(now_ms) {
            // The call was already running when the breaker opened.
            State::Open { .. } => {}
            State::Probing if success => self.switch.probe(),
            State::Probing => self.switch.open(now_ms),
            State::Closed => self.count(success, now_ms),
        }
    }

    fn count(&mut self, success: bool, now_ms: u64) {
        // The mask drops the call that leaves the window.
        self.failed = (self.failed << 1 | u32::from(!success)) & ((1 << WINDOW) - 1);
        self.calls = (self.calls + 1).min(WINDOW);
        if self.calls >= CALLS_MIN && self.failures() * 2 >= self.calls {
            self.switch.open(now_ms);
            // Calls from before the pause must not count again after it.
            (self.failed, self.calls) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests;
