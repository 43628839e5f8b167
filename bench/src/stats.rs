//! Reduces many times to a few figures.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Times of one kind, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Number of times.
    pub count: usize,
    /// The median.
    pub p50_us: f64,
    /// The 99th percentile.
    pub p99_us: f64,
    /// The fastest.
    pub min_us: f64,
}

impl Times {
    /// The figures of these times; all 0 without any.
    pub fn of(times: &[Duration]) -> Times {
        let mut us: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e6).collect();
        us.sort_by(f64::total_cmp);
        // The nearest rank, without interpolation: every figure is a time that was measured.
        let at = |share: f64| us.get(((us.len() as f64 * share) as usize).min(us.len().saturating_sub(1)));
        let or_zero = |value: Option<&f64>| value.copied().unwrap_or_default();
        Times {
            count: us.len(),
            p50_us: or_zero(at(0.5)),
            p99_us: or_zero(at(0.99)),
            min_us: or_zero(us.first()),
        }
    }
}

/// The median; 0 without values. Of an even number of values the upper middle one.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_tail_of_a_hundred() {
        let times: Vec<Duration> = (0..100).map(|i| Duration::from_micros(99 - i)).collect();
        let figures = Times::of(&times);
        assert_eq!((figures.count, figures.min_us), (100, 0.0));
        assert!((figures.p50_us - 50.0).abs() < 1e-6, "{figures:?}");
        assert!((figures.p99_us - 99.0).abs() < 1e-6, "{figures:?}");
    }

    #[test]
    fn nothing_is_zero() {
        assert_eq!(Times::of(&[]), Times::default());
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    }
}
