//! A key set, from a file or over HTTPS: bounded in time, in bytes and in keys.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use airlock::blocking::Lane;
use airlock::config::KeySource;

/// Time for the whole answer. It is below what a token waits for, so that a failure has its reason by then.
const DEADLINE: Duration = Duration::from_secs(4);

/// The largest key set. Sets of large issuers have some ten thousand bytes.
const BYTES_MAX: usize = 1 << 20;

/// The most keys of a set. Issuers have two or three, one for each of their certificates at most.
const KEYS_MAX: usize = 100;

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// The keys that can be understood; of others, for algorithms that are new or for encryption, there is no use.
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
    let text = |err: reqwest::Error| err.without_url().to_string();
    // A redirect could lead to where the keys come in the clear, and a proxy could change them.
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    let mut response = client.build().map_err(text)?.get(url.clone()).send().await.map_err(text)?;
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
