//! Identifies the caller of a request: by a static token, by a token of the OAuth server, or as anonymous if the
//! config allows it.
//!
//! Owns the 401 and 403 responses in the form of RFC 6750, and the metadata of RFC 9728. Must not decide what a caller
//! may do.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

use super::oauth::{Invalid, Oauth};
use super::{Door, MCP_PATH, form};
use crate::api::problem;
use crate::api::problem::Problem;
use airlock::caller::token;
use airlock::caller::token::TokenDigest;
use airlock::config::OauthConfig;
use airlock::host::Host;
use airlock_types::caller::{ANONYMOUS, Caller};

pub(super) struct Authority {
    host: Arc<Host>,
    oauth: Oauth,
    address: SocketAddr,
}

/// The credential that identified a caller. Open event streams check periodically that it is still valid.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    /// No token; anonymous access is allowed.
    None,
    Token(TokenDigest),
    /// A token of the OAuth server, with its expiry in seconds since the Unix epoch.
    Oauth {
        expires_s: u64,
    },
}

/// The reason that a request has no caller.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AuthError {
    /// The request has no token, and anonymous access is not allowed.
    NoToken,
    /// The token is unknown or no longer valid. The text is sent to the caller.
    InvalidToken(String),
    /// The token is valid but lacks a required scope.
    InsufficientScope,
    /// The token cannot be verified at the moment.
    Unavailable,
}

impl Authority {
    pub(super) fn new(host: Arc<Host>, address: SocketAddr) -> Authority {
        Authority { host, oauth: Oauth::default(), address }
    }

    /// Identifies the caller of a request.
    pub(super) async fn identify(&self, headers: &HeaderMap) -> Result<(Caller, Proof), AuthError> {
        let mut shown = headers.get_all(header::AUTHORIZATION).iter();
        // Two headers are rejected below: a proxy and this server could each check a different one.
        let (first, more) = (shown.next(), shown.next());
        let Some(first) = first else {
            let anonymous = self.host.allows_anonymous();
            let unnamed = (Caller::named(ANONYMOUS), Proof::None);
            return if anonymous { Ok(unnamed) } else { Err(AuthError::NoToken) };
        };
        let invalid = |text: &str| AuthError::InvalidToken(text.to_owned());
        let bearer = first.to_str().ok().filter(|_| more.is_none()).and_then(bearer);
        let bearer = bearer.ok_or_else(|| invalid("send one header: `Authorization: Bearer TOKEN`"))?;
        // The form decides, so that a static token is never sent through the OAuth checks, and a foreign token is never
        // looked up.
        if token::is_token(bearer) {
            // Only digests are stored and compared, so a lookup time reveals nothing about a token.
            let digest = TokenDigest::of(bearer);
            let holder = self.host.holder(&digest).map(|holder| (holder, Proof::Token(digest)));
            return holder.ok_or_else(|| invalid("the token is not known; it may have been revoked"));
        }
        let Some(oauth) = self.host.oauth() else { return Err(invalid("the token is not known")) };
        self.by_oauth(&oauth, bearer).await
    }

    /// Whether the credential of a caller is still valid.
    pub(super) fn holds(&self, who: &Caller, proof: &Proof) -> bool {
        match proof {
            Proof::None => self.host.allows_anonymous(),
            // The holder is compared as well: after a reload the same token can belong to another caller.
            Proof::Token(digest) => self.host.holder(digest).as_ref() == Some(who),
            Proof::Oauth { expires_s } => {
                let is_known = self.host.oauth().is_some_and(|oauth| oauth.caller == who.entry());
                is_known && self.host.environment().wall().as_secs() < *expires_s
            }
        }
    }

    async fn by_oauth(&self, config: &OauthConfig, bearer: &str) -> Result<(Caller, Proof), AuthError> {
        let folder = self.host.folder();
        let subject = self.oauth.subject(config, folder, bearer, self.host.environment()).await;
        let subject = subject.map_err(|invalid| match invalid {
            Invalid::Token(why) => AuthError::InvalidToken(format!("the token is not valid: {why}")),
            Invalid::Scope => AuthError::InsufficientScope,
            Invalid::Keys(why) => {
                // Only at debug level, because any client can cause it. The failed fetch itself is logged as a warning.
                tracing::debug!("a token cannot be checked without the OAuth server's signing keys: {why}");
                AuthError::Unavailable
            }
        })?;
        let proof = Proof::Oauth { expires_s: subject.expires_s };
        Ok((Caller::subject(&config.caller, &subject.name), proof))
    }

    /// URL of the metadata that states how to get a token.
    fn metadata_url(&self, config: &OauthConfig) -> String {
        let resource = config.audience.parse::<http::Uri>().unwrap_or_default();
        let scheme = resource.scheme_str().unwrap_or("http");
        let own = self.address.to_string();
        let authority = resource.authority().map_or(own.as_str(), |authority| authority.as_str());
        let path = resource.path().trim_end_matches('/');
        let path = if resource.authority().is_some() { path } else { MCP_PATH };
        format!("{scheme}://{authority}/.well-known/oauth-protected-resource{path}")
    }

    fn challenge(&self, error: Option<&str>) -> String {
        let mut parts = Vec::new();
        parts.extend(error.map(|error| format!("error=\"{error}\"")));
        if let Some(config) = self.host.oauth() {
            parts.push(format!("resource_metadata=\"{}\"", self.metadata_url(&config)));
            parts.push(format!("scope=\"{}\"", config.scopes.join(" ")));
        }
        if parts.is_empty() { "Bearer".into() } else { format!("Bearer {}", parts.join(", ")) }
    }
}

/// The token of an `Authorization` header. The scheme name is case-insensitive.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

impl AuthError {
    pub(super) fn response(&self, authority: &Authority) -> Response {
        let (status, error, kind, detail) = match self {
            AuthError::NoToken => {
                (StatusCode::UNAUTHORIZED, None, "no-token", "say who calls: `Authorization: Bearer TOKEN`")
            }
            AuthError::InvalidToken(why) => {
                (StatusCode::UNAUTHORIZED, Some("invalid_token"), "invalid-token", why.as_str())
            }
            AuthError::InsufficientScope => (
                StatusCode::FORBIDDEN,
                Some("insufficient_scope"),
                "insufficient-scope",
                "the token lacks a scope that this server wants",
            ),
            AuthError::Unavailable => {
                let detail = "tokens cannot be checked now";
                let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "keys-unavailable", detail);
                // No challenge: the client's token may be good, and asking for another one would not help.
                return problem::response(&problem.retry_after_ms(Some(5_000)));
            }
        };
        let mut response = problem::response(&Problem::new(status, kind, detail));
        if let Ok(challenge) = HeaderValue::from_str(&authority.challenge(error)) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if matches!(self, AuthError::InvalidToken(_)) {
            // Close the connection: it can be counted for a caller whose token is no longer valid.
            form::close(&mut response);
        }
        response
    }
}

/// The metadata of RFC 9728: the authorization servers that issue tokens for this server.
pub(super) async fn metadata(State(door): State<Arc<Door>>) -> Response {
    let Some(config) = door.host.oauth() else {
        let detail = "this server knows no OAuth server; callers have static tokens";
        return problem::response(&Problem::new(StatusCode::NOT_FOUND, "no-oauth", detail));
    };
    Json(json!({
        "resource": config.audience,
        "authorization_servers": [config.issuer],
        "scopes_supported": config.scopes,
        "bearer_methods_supported": ["header"],
        "resource_name": "Airlock",
    }))
    .into_response()
}
