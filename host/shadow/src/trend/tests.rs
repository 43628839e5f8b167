//! Nights without a change, and nights with one.

use proptest::prelude::*;

use super::*;

/// A stream of numbers in (0, 1) that is the same in each run.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> f64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// How many of `of` cases differ, each with this probability.
    fn count(&mut self, of: u32, probability: f64) -> f64 {
        f64::from((0..of).filter(|_| self.next() < probability).count() as u32)
    }
}

/// Kinds of nights without a change.
const KINDS: [&str; 5] =
    ["nothing ever differs", "5 % of 20 cases", "30 % of 20 cases", "uniform", "heavy tails"];

fn figure(kind: usize, draws: &mut Draws) -> f64 {
    match kind {
        0 => 0.0,
        1 => draws.count(20, 0.05),
        2 => draws.count(20, 0.3),
        3 => draws.next(),
        // A ratio of times: most nights alike, some tenfold.
        _ => 1.0 / (draws.next() + 0.01),
    }
}

/// Streams of a thousand nights: how many have an alarm of the e-process, and of the z-test; nights with one of the latter.
fn null_nights(streams: u64) -> (u64, u64, u64) {
    let (mut e_alarms, mut z_alarms, mut z_nights) = (0, 0, 0);
    for stream in 0..streams {
        let mut draws = Draws(stream.wrapping_mul(0x5851_F42D_4C95_7F2D));
        let kind = stream as usize % KINDS.len();
        let figures: Vec<f64> = (0..1_000).map(|_| figure(kind, &mut draws)).collect();
        let trend = Trend::of(&format!("stream {stream}"), &figures);
        e_alarms += u64::from(trend.alarm.is_some());
        z_alarms += u64::from(trend.z_alarms > 0);
        z_nights += trend.z_alarms as u64;
    }
    (e_alarms, z_alarms, z_nights)
}

#[test]
fn a_sample_of_streams_without_a_change_has_hardly_an_alarm() {
    let streams = 100;
    let (e_alarms, z_alarms, _) = null_nights(streams);
    // Within 1 % with room for chance: five of a hundred have a probability below 0.004.
    assert!(e_alarms <= 4, "{e_alarms} of {streams}");
    // Three of five kinds: where nothing ever differs there is nothing to divide by, and uniform figures have no tails.
    assert!(z_alarms >= streams / 2, "{z_alarms} of {streams}");
}

#[test]
#[ignore = "takes longer; `cargo xtask shadow` runs it"]
#[expect(clippy::print_stderr, reason = "its figures are what it is run for")]
fn a_thousand_streams_of_a_thousand_nights_without_a_change() {
    let streams = 1_000;
    let (e_alarms, z_alarms, z_nights) = null_nights(streams);
    eprintln!(
        "{streams} streams of 1000 nights without a change: e-process {e_alarms} streams with an alarm, z-test \
         {z_alarms} streams, {z_nights} nights"
    );
    assert!(e_alarms as f64 <= ALPHA * streams as f64, "{e_alarms}");
}

#[test]
#[expect(clippy::print_stderr, reason = "its figures are what it is run for")]
fn a_change_is_found_within_weeks() {
    let mut waits: Vec<usize> = (0..40)
        .map(|stream| {
            let mut draws = Draws(stream + 77);
            let night = |night| draws.count(20, if night < 30 { 0.05 } else { 0.4 });
            let figures: Vec<f64> = (0..90).map(night).collect();
            let alarm = Trend::of(&format!("{stream}"), &figures).alarm.unwrap();
            assert!(alarm >= 30, "before the change, at {alarm}");
            alarm - 30 + 1
        })
        .collect();
    waits.sort_unstable();
    eprintln!(
        "5 % to 40 % of 20 cases after 30 nights: found after {} nights in the median, {} at most",
        waits[20], waits[39]
    );
    assert!(waits[20] <= 12, "{waits:?}");
}

#[test]
fn a_fall_is_a_change_too() {
    let figures: Vec<f64> = (0..60).map(|night| if night < 30 { 100.0 } else { 50.0 }).collect();
    let trend = Trend::of("fuel", &figures);
    assert!(trend.alarm.is_some_and(|night| (30..45).contains(&night)), "{:?}", trend.alarm);
}

#[test]
fn nights_beyond_the_bound_begin_anew() {
    let figures = vec![1.0; NIGHTS_MAX + 5];
    assert_eq!(Trend::of("t", &figures).figures.len(), 5);
    assert_eq!(Trend::of("t", &figures[..NIGHTS_MAX]).figures.len(), NIGHTS_MAX);
    assert!(Trend::of("t", &[]).alarm.is_none());
}

proptest! {
    #[test]
    fn the_capital_stays_a_number(figures in prop::collection::vec(any::<f64>(), 1..300)) {
        let trend = Trend::of("t", &figures);
        prop_assert!(trend.capital.iter().all(|capital| capital.is_finite() && *capital >= 0.0));
    }

    #[test]
    fn a_night_bets_fairly(nights in 1usize..200) {
        // Over all ranks that a night can have, the mean of the capital after it is the capital before it.
        let mut before = EProcess::default();
        (0..nights).for_each(|night| { before.step(0.0, tie("nights", night)); });
        let (capital, steps) = (before.capital(), 3_200);
        // Among equal figures, the rank goes through (0, 1) as the tie does.
        let after = |step| before.clone().step(0.0, (f64::from(step) + 0.5) / f64::from(steps));
        let mean = (0..steps).map(after).sum::<f64>() / f64::from(steps);
        prop_assert!((mean / capital - 1.0).abs() < 1e-9, "{} of {}", mean, capital);
    }
}
