//! A file of the cache that is read as a whole: the SHA-256 of its JSON, in hex, then the JSON.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::file;
use crate::file::FileError;
use airlock_types::digest::sha256;

/// The length of a digest in hex.
const DIGEST_CHARS: usize = 64;

/// Whether a text is a digest in hex, and so contains no separator of paths.
pub(super) fn is_digest(text: &str) -> bool {
    text.len() == DIGEST_CHARS && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Why a file of the cache is not used. What it holds is then made again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("there is none")]
    Missing,
    #[error("its index cannot be used: {0}")]
    Index(String),
    #[error("its code cannot be used: {0}")]
    Code(String),
}

/// A unique path beside this one, for content that may still be incomplete.
pub(super) fn aside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // The count only has to be unique, so it orders nothing. The process id keeps two hosts with one folder apart.
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    path.with_extension(format!("{}-{count}", std::process::id()))
}

/// Writes a document, completely or not at all.
pub(super) fn write(path: &Path, content: &impl Serialize) -> std::io::Result<()> {
    let json = serde_json::to_vec(content)?;
    let content = [sha256(&json).as_bytes(), &json].concat();
    // The mode is set at creation: `read` refuses a file that other users could read or change.
    file::replace(path, &content, Some(0o400))
}

/// Reads a document of at most this many bytes.
pub(super) fn read<T: DeserializeOwned>(path: &Path, bytes_max: u64) -> Result<T, Unusable> {
    let wrong = |reason: &str| Unusable::Index(reason.to_owned());
    let read = file::open_private(path, bytes_max).and_then(|opened| file::read_whole(opened, bytes_max));
    let bytes = read.map_err(|err: FileError| match err {
        err if err.is_not_found() => Unusable::Missing,
        err => Unusable::Index(err.to_string()),
    })?;
    let (digest, json) = bytes.split_at_checked(DIGEST_CHARS).ok_or_else(|| wrong("it is cut off"))?;
    // Before parsing, so that damaged JSON is never interpreted.
    if digest != sha256(json).as_bytes() {
        return Err(wrong("it does not match its digest"));
    }
    serde_json::from_slice(json).map_err(|err| wrong(&err.to_string()))
}
