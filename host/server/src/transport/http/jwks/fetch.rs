//! Fetches a key set from a file or over HTTPS, with bounds on time, bytes and keys.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use airlock::blocking::Lane;
use airlock::config::KeySource;

/// Time limit of a fetch. Shorter than the wait of a token, so that the token's error has the reason of a failure.
const DEADLINE: Duration = Duration::from_secs(4);

/// Size of the largest key set in bytes. Sets of large issuers have about ten kilobytes.
const BYTES_MAX: usize = 1 << 20;

/// Number of keys in the largest set. Issuers usually have two or three.
const KEYS_MAX: usize = 100;

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// Fetches a key set. Unreadable keys are skipped: they are for new algorithms or for encryption.
pub(super) async fn fetch(source: &KeySource, folder: &Path, reader: Lane) -> Result<Vec<Jwk>, String> {
    let fetched = async {
        match source {
            KeySource::Url(url) => download(url).await,
            KeySource::File(path) => read(folder.join(path), reader).await,
        }
    };
    let text =
        tokio::time::timeout(DEADLINE, fetched).await.map_err(|_| "no answer in time".to_owned())??;
    let set: KeySet = serde_json::from_slice(&text).map_err(|err| format!("it is no key set: {err}"))?;
    if set.keys.len() > KEYS_MAX {
        return Err(format!("it has {} keys; at most {KEYS_MAX} are taken", set.keys.len()));
    }
    Ok(set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect())
}

async fn read(path: PathBuf, reader: Lane) -> Result<Vec<u8>, String> {
    let read = reader.run(move || airlock::file::read(&path, BYTES_MAX as u64)).await;
    read.map_err(|err| err.to_string())?.map_err(|err| err.to_string())
}

async fn download(url: &Url) -> Result<Vec<u8>, String> {
    // Without the URL, because the caller's message names the source already.
    let text = |err: reqwest::Error| err.without_url().to_string();
    // No redirects and no proxy: a redirect can lead to plain HTTP, and a proxy can replace the keys.
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    let mut response = client.build().map_err(text)?.get(url.clone()).send().await.map_err(text)?;
    if !response.status().is_success() {
        return Err(format!("answered {}", response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(text)? {
        // Counted while reading: a declared length can be missing or wrong.
        if body.len() + chunk.len() > BYTES_MAX {
            return Err(format!("larger than {BYTES_MAX} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
