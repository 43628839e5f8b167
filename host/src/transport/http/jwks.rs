//! The keys of an OAuth server, from a file or over HTTPS.
//!
//! Owns how often they are asked for. A token with an unknown key makes us look again, but not more often than
//! once in a while: anybody can make up key ids.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use tokio::sync::Mutex;

use crate::environment::Environment;
use crate::file;

/// Keys are taken as they are for so long.
const FRESH: Duration = Duration::from_secs(300);

/// For an unknown key id they are asked for again after so long.
const AGAIN: Duration = Duration::from_secs(10);

/// Time for the answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// A key set is not larger.
const BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Jwks {
    /// Held while keys are fetched, so that many requests ask once.
    cached: Mutex<Option<Cached>>,
}

#[derive(Debug)]
struct Cached {
    source: String,
    fetched: Duration,
    keys: Arc<JwkSet>,
}

/// Why there are no keys.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{keys_source}`: {reason}")]
pub(super) struct KeysError {
    keys_source: String,
    reason: String,
}

impl Jwks {
    /// The key of this id; without an id, the only one there is.
    pub(super) async fn key(
        &self,
        source: &str,
        folder: &Path,
        id: Option<&str>,
        environment: &dyn Environment,
    ) -> Result<Option<Jwk>, KeysError> {
        let mut cached = self.cached.lock().await;
        let now = environment.monotonic();
        if let Some(cached) = cached.as_ref().filter(|cached| cached.source == source) {
            let age = now.saturating_sub(cached.fetched);
            let found = pick(&cached.keys, id);
            if (age < FRESH && found.is_some()) || age < AGAIN {
                return Ok(found);
            }
        }
        let fetched = fetch(source, folder).await;
        let keys = match (fetched, cached.as_ref().filter(|cached| cached.source == source)) {
            (Ok(keys), _) => Arc::new(keys),
            // Keys that were good are better than none while their server is away.
            (Err(reason), Some(old)) => {
                tracing::warn!("the keys at `{source}` could not be renewed: {reason}");
                old.keys.clone()
            }
            (Err(reason), None) => return Err(KeysError { keys_source: source.to_owned(), reason }),
        };
        let found = pick(&keys, id);
        *cached = Some(Cached { source: source.to_owned(), fetched: now, keys });
        Ok(found)
    }
}

fn pick(keys: &JwkSet, id: Option<&str>) -> Option<Jwk> {
    match (id, keys.keys.as_slice()) {
        (Some(id), _) => keys.find(id).cloned(),
        (None, [only]) => Some(only.clone()),
        (None, _) => None,
    }
}

async fn fetch(source: &str, folder: &Path) -> Result<JwkSet, String> {
    let text = if source.starts_with("https://") || source.starts_with("http://") {
        tokio::time::timeout(DEADLINE, download(source))
            .await
            .map_err(|_| "no answer in time".to_owned())??
    } else {
        let path = folder.join(source);
        let read = tokio::task::spawn_blocking(move || file::read(&path, BYTES_MAX as u64)).await;
        read.map_err(|err| err.to_string())?.map_err(|err| err.to_string())?
    };
    serde_json::from_slice(&text).map_err(|err| format!("it is no key set: {err}"))
}

async fn download(url: &str) -> Result<Vec<u8>, String> {
    let text = |err: reqwest::Error| err.without_url().to_string();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    let mut response = client.build().map_err(text)?.get(url).send().await.map_err(text)?;
    if !response.status().is_success() {
        return Err(format!("answered {}", response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(text)? {
        if body.len() + chunk.len() > BYTES_MAX {
            return Err(format!("larger than {BYTES_MAX} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
