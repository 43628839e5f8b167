//! Backoff: how long to wait before which retry.
//!
//! The constants are those of AWS's "standard" retry mode of 2026, whose published vectors are tests here.

use serde::{Deserialize, Serialize};

use crate::digest::Hasher;

/// A hint may lengthen the computed wait by this much and no more.
pub(super) const HINT_MS_MAX: u64 = 5_000;

/// Retries of one tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts in all, the first included.
    pub attempts_max: u32,
    /// The first wait after a transient fault, in milliseconds.
    pub transient_ms: u64,
    /// The first wait after throttling, in milliseconds.
    pub throttled_ms: u64,
    /// The longest wait before jitter, in milliseconds.
    pub wait_ms_max: u64,
    /// Whether an implausible answer is worth another attempt.
    pub implausible: bool,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy {
            attempts_max: 3,
            transient_ms: 50,
            throttled_ms: 1_000,
            wait_ms_max: 20_000,
            implausible: false,
        }
    }
}

impl RetryPolicy {
    /// The wait before the `k`-th retry, from 1: doubling, capped, then spread by the jitter's factor. A hint
    /// of the upstream's may lengthen it by up to five seconds.
    pub fn wait_ms(&self, k: u32, throttled: bool, factor: f64, hint_ms: Option<u64>) -> u64 {
        let base = if throttled { self.throttled_ms } else { self.transient_ms };
        // A shift beyond 63 saturates; the cap below applies then anyway.
        let doubled = base.saturating_mul(1u64.checked_shl(k.saturating_sub(1)).unwrap_or(u64::MAX));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a wait is at most some seconds in milliseconds, and the factor is between 0 and 1"
        )]
        let wait = (doubled.min(self.wait_ms_max) as f64 * factor) as u64;
        hint_ms.map_or(wait, |hint| hint.clamp(wait, wait + HINT_MS_MAX))
    }
}

/// Source of the jitter. It has no generator state, so a plan is the same on every machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Jitter {
    /// Full jitter, from this seed, hex.
    Seeded(String),
    /// None: every wait is the longest that it could be.
    Off,
}

impl Jitter {
    /// The bytes from which the random ones of a tool follow that draws from the seed of its call. The same in each
    /// attempt, so that an attempt which is repeated makes the same ids.
    pub fn bytes_of(&self, tool: &str) -> [u8; 32] {
        let seed = if let Jitter::Seeded(seed) = self { seed } else { "" };
        let mut hasher = Hasher::new();
        for part in ["random", seed, tool] {
            hash_part(&mut hasher, part);
        }
        hasher.finish()
    }

    /// The factors of one call on a route. The call is the digest of its arguments.
    pub fn factors(&self, call: &str, route: usize) -> Factors {
        let Jitter::Seeded(seed) = self else { return Factors(None) };
        let mut hasher = Hasher::new();
        for part in ["jitter", seed, call, &route.to_string()] {
            hash_part(&mut hasher, part);
        }
        Factors(Some(hasher))
    }
}

/// The factors of the waits on one route of a call. Holds the hash of what they have in common: two blocks of three, and
/// every good call makes the factors of its plan without needing one.
#[derive(Debug)]
pub struct Factors(Option<Hasher>);

impl Factors {
    /// The factor before the `k`-th retry: the first 53 bits of SHA-256 over 2^53.
    pub fn factor(&self, k: u32) -> f64 {
        let Some(mut hasher) = self.0.clone() else { return 1.0 };
        hash_part(&mut hasher, &k.to_string());
        let digest = hasher.finish();
        let bits = digest.iter().take(8).fold(0u64, |bits, byte| bits << 8 | u64::from(*byte)) >> 11;
        #[expect(clippy::cast_precision_loss, reason = "53 bits are exact in an f64")]
        let factor = bits as f64 / (1u64 << 53) as f64;
        factor
    }
}

/// Hashes a part behind its length, which keeps the parts apart.
fn hash_part(hasher: &mut Hasher, part: &str) {
    hasher.update(&(part.len() as u64).to_be_bytes());
    hasher.update(part.as_bytes());
}
