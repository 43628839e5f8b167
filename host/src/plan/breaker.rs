//! The breaker of a tool: stops calling what keeps failing.
//!
//! Sized for agents, who call little. Only infrastructure counts: a tool's own "not found" says nothing about
//! its health.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::call::code::BreakerSample;

/// Calls that are looked back upon.
const WINDOW: usize = 20;
/// Fewer calls than this say nothing.
const CALLS_MIN: usize = 5;
/// It opens for this long, times the number of openings in a row.
const OPEN_MS: u64 = 30_000;
/// And never for longer than this.
const OPEN_MS_MAX: u64 = 300_000;
/// Successes that close it again.
const PROBES: u32 = 2;

/// A tool's breaker. Times are on any one clock of the caller's, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    window: VecDeque<bool>,
    /// Openings in a row.
    openings: u32,
    open_until_ms: Option<u64>,
    /// Successes since it opened.
    probes: u32,
}

/// A breaker at one moment, as plans see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerView {
    /// Calls go through.
    Closed,
    /// Some calls go through, to see whether it is well again.
    Probing,
    /// No calls go through.
    Open {
        /// For how long still, in milliseconds.
        remaining_ms: u64,
    },
}

impl BreakerView {
    /// Whether no calls go through.
    pub fn is_open(self) -> bool {
        matches!(self, BreakerView::Open { .. })
    }
}

impl Breaker {
    /// The breaker now.
    pub fn view(&self, now_ms: u64) -> BreakerView {
        match self.open_until_ms {
            None => BreakerView::Closed,
            Some(until) if now_ms < until => BreakerView::Open { remaining_ms: until - now_ms },
            Some(_) => BreakerView::Probing,
        }
    }

    /// Takes in how an attempt ended.
    pub fn record(&mut self, sample: BreakerSample, now_ms: u64) {
        let success = match sample {
            BreakerSample::Success => true,
            BreakerSample::Failure => false,
            BreakerSample::Ignored => return,
        };
        match self.view(now_ms) {
            // An attempt that was under way when it opened.
            BreakerView::Open { .. } => {}
            BreakerView::Probing if success => self.probe(),
            BreakerView::Probing => self.open(now_ms),
            BreakerView::Closed => self.sample(success, now_ms),
        }
    }

    fn sample(&mut self, success: bool, now_ms: u64) {
        if self.window.len() == WINDOW {
            self.window.pop_front();
        }
        self.window.push_back(success);
        let failures = self.window.iter().filter(|success| !**success).count();
        if self.window.len() >= CALLS_MIN && failures * 2 >= self.window.len() {
            self.open(now_ms);
        }
    }

    fn probe(&mut self) {
        self.probes += 1;
        if self.probes >= PROBES {
            *self = Breaker::default();
        }
    }

    fn open(&mut self, now_ms: u64) {
        self.openings += 1;
        self.probes = 0;
        self.window.clear();
        self.open_until_ms = Some(now_ms + (OPEN_MS * u64::from(self.openings)).min(OPEN_MS_MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(samples: &[bool]) -> Breaker {
        let mut breaker = Breaker::default();
        for success in samples {
            breaker.record(if *success { BreakerSample::Success } else { BreakerSample::Failure }, 0);
        }
        breaker
    }

    #[test]
    fn opens_at_half_of_at_least_five() {
        assert_eq!(after(&[false; 4]).view(0), BreakerView::Closed);
        assert_eq!(after(&[true, true, false, false]).view(0), BreakerView::Closed);
        assert_eq!(after(&[true, true, true, false, false]).view(0), BreakerView::Closed);
        assert_eq!(
            after(&[true, true, false, false, false]).view(0),
            BreakerView::Open { remaining_ms: 30_000 }
        );
    }

    #[test]
    fn what_says_nothing_about_health_does_not_count() {
        let mut breaker = Breaker::default();
        (0..50).for_each(|_| breaker.record(BreakerSample::Ignored, 0));
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn two_probes_close_it_and_a_failed_one_opens_it_for_longer() {
        let mut breaker = after(&[false; 5]);
        assert_eq!(breaker.view(30_000), BreakerView::Probing);
        breaker.record(BreakerSample::Failure, 30_000);
        assert_eq!(breaker.view(30_000), BreakerView::Open { remaining_ms: 60_000 });
        breaker.record(BreakerSample::Success, 90_000);
        assert_eq!(breaker.view(90_000), BreakerView::Probing);
        breaker.record(BreakerSample::Success, 90_000);
        assert_eq!(breaker.view(90_000), BreakerView::Closed);
    }

    #[test]
    fn it_never_opens_for_longer_than_five_minutes() {
        let mut breaker = after(&[false; 5]);
        for _ in 0..20 {
            let BreakerView::Open { remaining_ms } = breaker.view(0) else { panic!("{breaker:?}") };
            assert!(remaining_ms <= 300_000);
            let now = breaker.open_until_ms.unwrap();
            breaker.record(BreakerSample::Failure, now);
            breaker.open_until_ms = breaker.open_until_ms.map(|until| until - now);
        }
    }
}
