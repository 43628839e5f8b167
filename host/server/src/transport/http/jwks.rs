//! Signing keys of an OAuth server: selects the key of a token, and decides when to fetch keys.
//!
//! Owns the cache. A token with a cached key never waits: old keys are renewed in the background. A token with an
//! unknown key starts one fetch, which all such tokens share. No other fetch follows for a while, whatever its
//! outcome, because any client can invent key ids. Must not know the claims of tokens.

mod fetch;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily};
use tokio::sync::watch;

use super::jwt::Token;
use airlock::blocking::Lane;
use airlock::config::KeySource;
use airlock_types::environment::SharedEnvironment;

/// Age from which keys are renewed in the background when one is used.
const FRESH: Duration = Duration::from_secs(300);

/// Age from which keys are no longer used, so that a revoked key expires even if the key server stays unreachable.
const STALE: Duration = Duration::from_secs(24 * 3_600);

/// Shortest time between two fetches. Doubled with each consecutive failure, up to [`AGAIN_MAX`].
const AGAIN: Duration = Duration::from_secs(10);

/// Upper bound of the time between fetches: the delay until a recovered key server is noticed.
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// Longest wait of a token with an unknown key, also if another request started the fetch.
const WAIT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Jwks {
    state: Arc<Mutex<State>>,
    /// Reads a key file. At most one read runs, until its thread returns: a network folder can block it forever.
    reader: Lane,
}

impl Default for Jwks {
    fn default() -> Jwks {
        Jwks { state: Arc::default(), reader: Lane::single() }
    }
}

#[derive(Debug, Default)]
struct State {
    source: Option<KeySource>,
    known: Option<KeySet>,
    /// Start of the last fetch on the monotonic clock.
    asked: Option<Duration>,
    failures: u32,
    error: Option<KeysError>,
    /// The running fetch. The sender is dropped when the fetch ends.
    fetching: Option<watch::Receiver<()>>,
}

#[derive(Debug)]
struct KeySet {
    keys: Arc<Vec<Jwk>>,
    fetched: Duration,
}

/// The reason that the keys cannot be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{keys_source}`: {reason}")]
pub(super) struct KeysError {
    keys_source: String,
    reason: String,
}

/// The reason that a token has no key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// No key of the issuer matches.
    Unknown,
    /// Several keys match.
    Ambiguous,
    /// No keys are cached.
    Unavailable(KeysError),
}

impl Jwks {
    /// The key that a token names. Without a key id: the only key for its algorithm.
    pub(super) async fn key(
        &self,
        source: &KeySource,
        folder: &Path,
        token: &Token<'_>,
        environment: &SharedEnvironment,
    ) -> Result<Jwk, NoKey> {
        // A block, because the lock must not be held while the fetch is awaited.
        let fetching = {
            let mut state = self.state();
            state.belong_to(source);
            let now = environment.monotonic();
            let found = state.find(token, now);
            if found.is_ok() && state.is_fresh(now) {
                return found;
            }
            // Started under the lock, so that parallel tokens start one fetch together. This covers an unknown key and
            // old keys.
            if !state.is_fetching() && state.may_fetch(now) {
                state.begin(now, self.fetch(source, folder, environment));
            }
            match (found, state.fetching.clone()) {
                // Only a token without a key waits. One with an old key uses it while the fetch runs.
                (Err(NoKey::Unknown | NoKey::Unavailable(_)), Some(fetching)) => fetching,
                (found, _) => return found,
            }
        };
        ended(fetching).await;
        // Checked again, because a reload can have changed the source during the wait: a key of another issuer must not
        // verify this token.
        let state = self.state();
        let (found, is_same) =
            (state.find(token, environment.monotonic()), state.source.as_ref() == Some(source));
        if is_same { found } else { Err(NoKey::Unknown) }
    }

    /// Fetches keys in a separate task, so that a caller that disconnects does not cancel it for the others.
    fn fetch(
        &self,
        source: &KeySource,
        folder: &Path,
        environment: &SharedEnvironment,
    ) -> watch::Receiver<()> {
        let (ends, fetching) = watch::channel(());
        let (state, reader) = (self.state.clone(), self.reader.clone());
        let (source, folder, environment) = (source.clone(), folder.to_owned(), environment.clone());
        tokio::spawn(async move {
            let fetched = fetch::fetch(&source, &folder, reader).await;
            lock(&state).end(&source, fetched, environment.monotonic());
            // After the result is stored: waiting tokens wake up here and look for their key again.
            drop(ends);
        });
        fetching
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn ended(mut fetching: watch::Receiver<()>) {
    // No value is ever sent. The receiver resolves when the sender is dropped.
    let _ = tokio::time::timeout(WAIT, fetching.changed()).await;
}

impl State {
    /// Clears the cache if a reload changed the source of the keys.
    fn belong_to(&mut self, source: &KeySource) {
        if self.source.as_ref() != Some(source) {
            *self = State { source: Some(source.clone()), ..State::default() };
        }
    }

    fn is_fresh(&self, now: Duration) -> bool {
        self.known.as_ref().is_some_and(|known| now.saturating_sub(known.fetched) < FRESH)
    }

    /// A task that ended without a result counts as ended.
    fn is_fetching(&self) -> bool {
        self.fetching.as_ref().is_some_and(|fetching| fetching.has_changed().is_ok())
    }

    fn may_fetch(&self, now: Duration) -> bool {
        // The shift is capped, because it would overflow after 32 failures.
        let pause = AGAIN.saturating_mul(1 << self.failures.saturating_sub(1).min(8)).min(AGAIN_MAX);
        self.asked.is_none_or(|asked| now.saturating_sub(asked) >= pause)
    }

    fn begin(&mut self, now: Duration, fetching: watch::Receiver<()>) {
        (self.asked, self.fetching) = (Some(now), Some(fetching));
    }

    fn end(&mut self, source: &KeySource, fetched: Result<Vec<Jwk>, String>, now: Duration) {
        // A reload changed the source while this fetch ran.
        if self.source.as_ref() != Some(source) {
            return;
        }
        // The pause counts from the end of the fetch, so that a slow server is not asked again at once.
        (self.asked, self.fetching) = (Some(now), None);
        match fetched {
            Ok(keys) => {
                self.known = Some(KeySet { keys: Arc::new(keys), fetched: now });
                (self.failures, self.error) = (0, None);
            }
            Err(reason) => {
                tracing::warn!("cannot fetch the OAuth server's signing keys at `{source}`: {reason}");
                self.failures = self.failures.saturating_add(1);
                self.error = Some(KeysError { keys_source: source.to_string(), reason });
            }
        }
    }

    fn find(&self, token: &Token<'_>, now: Duration) -> Result<Jwk, NoKey> {
        let known = self.known.as_ref().filter(|known| now.saturating_sub(known.fetched) < STALE);
        let Some(known) = known else {
            let waits = || KeysError {
                keys_source: self.source.as_ref().map(ToString::to_string).unwrap_or_default(),
                reason: "no answer in time".into(),
            };
            return Err(NoKey::Unavailable(self.error.clone().unwrap_or_else(waits)));
        };
        let id = token.key_id.as_deref();
        let is_meant = |key: &&Jwk| id.is_none() || key.common.key_id.as_deref() == id;
        let mut meant = known.keys.iter().filter(is_meant).filter(|key| is_for(key, token.algorithm));
        match (meant.next(), meant.next()) {
            (Some(key), None) => Ok(key.clone()),
            (None, _) => Err(NoKey::Unknown),
            (Some(_), Some(_)) => Err(NoKey::Ambiguous),
        }
    }
}

/// Whether a key may verify signatures of an algorithm, by its type and its own declarations.
fn is_for(key: &Jwk, algorithm: Algorithm) -> bool {
    let common = &key.common;
    let fits = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), _) => algorithm.family() == AlgorithmFamily::Rsa,
        (AlgorithmParameters::EllipticCurve(key), Algorithm::ES256) => key.curve == EllipticCurve::P256,
        (AlgorithmParameters::EllipticCurve(key), Algorithm::ES384) => key.curve == EllipticCurve::P384,
        (AlgorithmParameters::OctetKeyPair(key), Algorithm::EdDSA) => key.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    let signs = common.public_key_use.as_ref().is_none_or(|said| *said == PublicKeyUse::Signature);
    let verifies = common.key_operations.as_ref().is_none_or(|said| said.contains(&KeyOperations::Verify));
    let said = common.key_algorithm.map(|said| said.to_string());
    fits && signs && verifies && said.is_none_or(|said| said.parse::<Algorithm>().ok() == Some(algorithm))
}

#[cfg(test)]
mod tests;
