//! Lets web pages of accepted origins call from a browser (Fetch standard, CORS).
//!
//! Owns what a page may send and read. Which origins are accepted is in `names`. Credentials in the standard's sense,
//! cookies for one, are never allowed: this server uses none, and a page sends its token in a header.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method, header};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::Door;
use airlock_types::session::SESSION_HEADER;

/// Time for which a browser may keep the answer to a preflight. A removed origin is refused at once all the same: each
/// request is checked.
const PREFLIGHT_KEPT: Duration = Duration::from_secs(600);

/// The layer that answers preflights, which browsers send without a token, and marks all other responses.
pub(super) fn layer(door: Arc<Door>) -> CorsLayer {
    let exposed = [
        HeaderName::from_static("mcp-session-id"),
        HeaderName::from_static(SESSION_HEADER),
        header::WWW_AUTHENTICATE,
        header::RETRY_AFTER,
        // Of a call that waits for a person: where its reply is fetched.
        header::LOCATION,
    ];
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| {
            origin.to_str().is_ok_and(|origin| door.names.is_origin(origin))
        }))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        // Any: the protocol has headers that are named after a tool's arguments.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(exposed)
        .max_age(PREFLIGHT_KEPT)
}
