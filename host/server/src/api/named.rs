//! The names in a path.
//!
//! Owns that a path that cannot be decoded is one at which nothing is: axum would answer it with plain text.

use axum::extract::{FromRequestParts, Path};
use axum::response::Response;
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::no_such_path;

/// The parameters of a path, decoded.
pub(super) struct Named<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Named<T>, Response> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(names)) => Ok(Named(names)),
            // Escapes of bytes that are not UTF-8. No tool, hold or record has such a name.
            Err(_) => Err(no_such_path(parts.uri.clone()).await),
        }
    }
}
