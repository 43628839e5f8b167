//! Whether a figure of many nights has changed: an e-process, and a rolling z-test beside it.
//!
//! Owns both tests. The e-process bets against the order of nights: as long as nothing has changed, each night is as likely
//! as any other to have the greatest figure so far. So its capital is a martingale whatever the figures are distributed like, and
//! by Ville's inequality it reaches `1 / α` with a probability of at most `α`, over all nights together. Must not know what
//! is counted.

use airlock_types::digest::sha256_of;
use serde::Serialize;

/// The probability of a false alarm of one figure of one tool, over all nights.
pub const ALPHA: f64 = 0.01;

/// Nights that one e-process takes in. After them it begins anew: what it remembers is bounded.
pub const NIGHTS_MAX: usize = 1_000;

/// How the e-process bets: that a night is in this part of the ranks. The last one does not bet.
const PARTS: [f64; 6] = [1.0 / 32.0, 1.0 / 16.0, 1.0 / 8.0, 1.0 / 4.0, 1.0 / 2.0, 1.0];

/// The part of a stake that a lost bet gives back. Of a bet that could lose all, nothing would be left after some weeks.
const GIVEN_BACK: f64 = 0.2;

/// The part of the capital that is divided anew each night, so that bets which lost for long can come back.
const DIVIDED: f64 = 0.02;

/// Above this the alarm is certain, and further growth would only overflow.
const CAPITAL_MAX: f64 = 1e100;

/// Nights of the window of the z-test, and the least that it needs.
const WINDOW: usize = 30;
const WINDOW_MIN: usize = 10;

/// The distance of a normal value that chance exceeds with the probability [`ALPHA`].
const Z_MAX: f64 = 2.575_829_3;

/// An e-process over one figure.
#[derive(Clone, Debug)]
pub struct EProcess {
    /// The figures so far, in ascending order.
    seen: Vec<f64>,
    /// The capital on each bet: that figures rise, and that they fall.
    rises: [f64; PARTS.len()],
    falls: [f64; PARTS.len()],
}

impl Default for EProcess {
    fn default() -> EProcess {
        let even = [0.5 / PARTS.len() as f64; PARTS.len()];
        EProcess { seen: Vec::new(), rises: even, falls: even }
    }
}

impl EProcess {
    /// Takes in a night, and returns the capital. `tie` in (0, 1) decides between equal figures, and must not depend on them.
    pub fn step(&mut self, figure: f64, tie: f64) -> f64 {
        let below = self.seen.partition_point(|one| one.total_cmp(&figure).is_lt());
        let above = self.seen.len() - self.seen.partition_point(|one| one.total_cmp(&figure).is_le());
        let equal = self.seen.len() - below - above + 1;
        self.seen.insert(below, figure);
        let rank = |beyond: usize, tie: f64| (beyond as f64 + tie * equal as f64) / self.seen.len() as f64;
        // Each is uniform in (0, 1) if nothing has changed.
        let (rises, falls) = (rank(above, tie), rank(below, 1.0 - tie));
        bet(&mut self.rises, rises);
        bet(&mut self.falls, falls);
        self.capital()
    }

    /// The capital: 1 before the first night.
    pub fn capital(&self) -> f64 {
        self.rises.iter().chain(&self.falls).sum()
    }
}

fn bet(on: &mut [f64; PARTS.len()], rank: f64) {
    let all: f64 = on.iter().sum();
    for (capital, part) in on.iter_mut().zip(PARTS) {
        let stake = (1.0 - DIVIDED) * *capital + DIVIDED * all / PARTS.len() as f64;
        let won = if rank < part { (1.0 - GIVEN_BACK) / part } else { 0.0 };
        *capital = (stake * (GIVEN_BACK + won)).min(CAPITAL_MAX);
    }
}

/// How a figure stands after its nights.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trend {
    /// The figures, by night.
    pub figures: Vec<f64>,
    /// The capital of the e-process after each night.
    pub capital: Vec<f64>,
    /// The first night of the alarm, by its place in `figures`: the capital had reached `1 / α`.
    pub alarm: Option<usize>,
    /// Nights at which the z-test would have given an alarm.
    pub z_alarms: usize,
}

impl Trend {
    /// The trend of the figures of one tool. `name` tells it from others: it decides between equal figures.
    pub fn of(name: &str, figures: &[f64]) -> Trend {
        let begins = figures.len().saturating_sub(1) / NIGHTS_MAX * NIGHTS_MAX;
        let figures = figures.get(begins..).unwrap_or_default();
        let mut process = EProcess::default();
        let step = |(night, figure): (usize, &f64)| process.step(*figure, tie(name, begins + night));
        let capital: Vec<f64> = figures.iter().enumerate().map(step).collect();
        let alarm = capital.iter().position(|capital| *capital >= 1.0 / ALPHA);
        let z_alarms = (0..figures.len()).filter(|night| is_z_alarm(figures, *night)).count();
        Trend { figures: figures.to_vec(), capital, alarm, z_alarms }
    }
}

/// A number in (0, 1) that follows from the name and the night alone, so that a night comes to the same again.
fn tie(name: &str, night: usize) -> f64 {
    let digest = sha256_of(&[name.as_bytes(), b"\0", &night.to_le_bytes()]);
    let number = digest.iter().take(6).fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
    (number as f64 + 0.5) / (1u64 << 48) as f64
}

/// Whether a figure is further from the nights before it than a normal value would be.
fn is_z_alarm(figures: &[f64], night: usize) -> bool {
    let window = &figures[night.saturating_sub(WINDOW)..night];
    if window.len() < WINDOW_MIN {
        return false;
    }
    let (count, sum) = (window.len() as f64, window.iter().sum::<f64>());
    let mean = sum / count;
    let variance = window.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (count - 1.0);
    variance > 0.0 && ((figures[night] - mean) / variance.sqrt()).abs() > Z_MAX
}

#[cfg(test)]
mod tests;
