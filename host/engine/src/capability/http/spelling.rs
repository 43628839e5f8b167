//! Rules about the names of headers hold for each spelling that a server may take for one.

use airlock_types::grant::http::header::folded;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The names among these headers that a server may take for this one.
pub(super) fn spellings(headers: &HeaderMap, name: &HeaderName) -> Vec<HeaderName> {
    let name = folded(name.as_str());
    headers.keys().filter(|own| folded(own.as_str()) == name).cloned().collect()
}

/// Sets a header, and drops each that a server may take for it.
pub(super) fn set(headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
    remove(headers, name);
    headers.insert(name, value);
}

/// Drops a header, and each that a server may take for it.
pub(super) fn remove(headers: &mut HeaderMap, name: &HeaderName) {
    for other in spellings(headers, name) {
        headers.remove(other);
    }
}
