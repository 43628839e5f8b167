//! The keys of an OAuth server: which one a token is verified with, and when they are asked for again.
//!
//! Owns the cache. A token whose key is known never waits: keys that are old are renewed beside it. A token with an
//! unknown key has them fetched, once for all that ask at a time, and not again for a while after that, whatever came
//! of it: anybody can make up key ids. Must not know what tokens claim.

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

/// From this age on keys are renewed as soon as one is used.
const FRESH: Duration = Duration::from_secs(300);

/// From this age on keys are not used any more: a key that its issuer took back must end some time, and a server of
/// keys that is away for longer is not coming back by itself.
const STALE: Duration = Duration::from_secs(24 * 3_600);

/// After a fetch no further one begins for so long, doubled with each failure in a row up to [`AGAIN_MAX`].
const AGAIN: Duration = Duration::from_secs(10);

/// A server of keys that comes back is noticed after this time at the latest.
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// So long a token with an unknown key waits at most, whoever began the fetch.
const WAIT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Jwks {
    state: Arc<Mutex<State>>,
    /// One read of a file at a time, held until its thread is back: a network folder may hold it for ever.
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
    known: Option<Known>,
    /// When the last fetch began, by the monotonic clock.
    asked: Option<Duration>,
    failures: u32,
    error: Option<KeysError>,
    /// Dropped by the sender when the fetch has ended.
    fetching: Option<watch::Receiver<()>>,
}

#[derive(Debug)]
struct Known {
    keys: Arc<Vec<Jwk>>,
    fetched: Duration,
}

/// Why the keys are not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{keys_source}`: {reason}")]
pub(super) struct KeysError {
    keys_source: String,
    reason: String,
}

/// Why a token has no key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unkeyed {
    /// None of the issuer's is meant.
    Unknown,
    /// Several are meant.
    Ambiguous,
    /// There are no keys to look among.
    Unavailable(KeysError),
}

impl Jwks {
    /// The key that a token names; without an id, the only one of its algorithm.
    pub(super) async fn key(
        &self,
        source: &KeySource,
        folder: &Path,
        token: &Token<'_>,
        environment: &SharedEnvironment,
    ) -> Result<Jwk, Unkeyed> {
        let fetching = {
            let mut state = self.state();
            state.belong_to(source);
            let now = environment.monotonic();
            let found = state.find(token, now);
            if found.is_ok() && state.is_fresh(now) {
                return found;
            }
            if !state.is_fetching() && state.may_fetch(now) {
                state.begin(now, self.fetch(source, folder, environment));
            }
            match (found, state.fetching.clone()) {
                (Err(Unkeyed::Unknown | Unkeyed::Unavailable(_)), Some(fetching)) => fetching,
                (found, _) => return found,
            }
        };
        ended(fetching).await;
        let state = self.state();
        let (found, is_same) =
            (state.find(token, environment.monotonic()), state.source.as_ref() == Some(source));
        if is_same { found } else { Err(Unkeyed::Unknown) }
    }

    /// Fetches keys in a task of its own: a caller that goes away does not end it for the others.
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
    // Nothing is ever sent: it changes by ending.
    let _ = tokio::time::timeout(WAIT, fetching.changed()).await;
}

impl State {
    /// Keys of another source, which a reload has named since, are forgotten.
    fn belong_to(&mut self, source: &KeySource) {
        if self.source.as_ref() != Some(source) {
            *self = State { source: Some(source.clone()), ..State::default() };
        }
    }

    fn is_fresh(&self, now: Duration) -> bool {
        self.known.as_ref().is_some_and(|known| now.saturating_sub(known.fetched) < FRESH)
    }

    /// A task that was lost does not count.
    fn is_fetching(&self) -> bool {
        self.fetching.as_ref().is_some_and(|fetching| fetching.has_changed().is_ok())
    }

    fn may_fetch(&self, now: Duration) -> bool {
        let pause = AGAIN.saturating_mul(1 << self.failures.saturating_sub(1).min(8)).min(AGAIN_MAX);
        self.asked.is_none_or(|asked| now.saturating_sub(asked) >= pause)
    }

    fn begin(&mut self, now: Duration, fetching: watch::Receiver<()>) {
        (self.asked, self.fetching) = (Some(now), Some(fetching));
    }

    fn end(&mut self, source: &KeySource, fetched: Result<Vec<Jwk>, String>, now: Duration) {
        if self.source.as_ref() != Some(source) {
            return;
        }
        (self.asked, self.fetching) = (Some(now), None);
        match fetched {
            Ok(keys) => {
                self.known = Some(Known { keys: Arc::new(keys), fetched: now });
                (self.failures, self.error) = (0, None);
            }
            Err(reason) => {
                tracing::warn!("cannot fetch the OAuth server's signing keys at `{source}`: {reason}");
                self.failures = self.failures.saturating_add(1);
                self.error = Some(KeysError { keys_source: source.to_string(), reason });
            }
        }
    }

    fn find(&self, token: &Token<'_>, now: Duration) -> Result<Jwk, Unkeyed> {
        let known = self.known.as_ref().filter(|known| now.saturating_sub(known.fetched) < STALE);
        let Some(known) = known else {
            let waits = || KeysError {
                keys_source: self.source.as_ref().map(ToString::to_string).unwrap_or_default(),
                reason: "no answer in time".into(),
            };
            return Err(Unkeyed::Unavailable(self.error.clone().unwrap_or_else(waits)));
        };
        let id = token.key_id.as_deref();
        let is_meant = |key: &&Jwk| id.is_none() || key.common.key_id.as_deref() == id;
        let mut meant = known.keys.iter().filter(is_meant).filter(|key| is_for(key, token.algorithm));
        match (meant.next(), meant.next()) {
            (Some(key), None) => Ok(key.clone()),
            (None, _) => Err(Unkeyed::Unknown),
            (Some(_), Some(_)) => Err(Unkeyed::Ambiguous),
        }
    }
}

/// Whether a key may verify signatures of an algorithm, by its type and by everything that it says of itself.
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
