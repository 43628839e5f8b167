//! Verifies tokens of an OAuth server: signature, issuer, audience, time, scope.
//!
//! Only asymmetric signatures are accepted: with a shared secret, a party that can verify tokens can also forge them.
//! The time comes from the environment.

use std::path::Path;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;

use super::jwks::{Jwks, KeysError, NoKey};
use super::jwt::{self, Claims, Token};
use airlock::config::OauthConfig;
use airlock_types::environment::SharedEnvironment;

#[derive(Debug, Default)]
pub(super) struct Oauth {
    jwks: Jwks,
}

/// The identity that a token proves, and its expiry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) name: String,
    /// Expiry in seconds since the Unix epoch, with the leeway added.
    pub(super) expires_s: u64,
}

/// The reason that a token is rejected.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Invalid {
    Token(&'static str),
    Scope,
    /// The signing keys cannot be fetched.
    Keys(KeysError),
}

impl Oauth {
    /// Verifies a token and returns its subject.
    pub(super) async fn subject(
        &self,
        config: &OauthConfig,
        folder: &Path,
        token: &str,
        environment: &SharedEnvironment,
    ) -> Result<Subject, Invalid> {
        let token = jwt::read(token).map_err(Invalid::Token)?;
        // Claims are checked before the signature, so that a token that no key could make valid causes no key fetch.
        agrees(&token.claims, config).map_err(Invalid::Token)?;
        in_time(&token.claims, environment.wall().as_secs(), config.leeway_s).map_err(Invalid::Token)?;
        let key = self.jwks.key(&config.jwks, folder, &token, environment).await;
        let key = key.map_err(|unkeyed| match unkeyed {
            NoKey::Unknown => Invalid::Token("its key is not the issuer's"),
            NoKey::Ambiguous => Invalid::Token("the issuer has several keys of that id"),
            NoKey::Unavailable(err) => Invalid::Keys(err),
        })?;
        verify(&token, &key)?;
        let Token { claims, .. } = token;
        // After the signature, so that only a client with a genuine token learns that a scope is missing.
        if !config.scopes.iter().all(|scope| claims.has(scope)) {
            return Err(Invalid::Scope);
        }
        let expires_s = claims.expires_s.saturating_add(config.leeway_s);
        Ok(Subject { name: claims.subject, expires_s })
    }
}

fn verify(token: &Token<'_>, jwk: &Jwk) -> Result<(), Invalid> {
    let key = DecodingKey::from_jwk(jwk).map_err(|_| Invalid::Token("its key cannot be used"))?;
    let (message, algorithm) = (token.message.as_bytes(), token.algorithm);
    let verified = jsonwebtoken::crypto::verify(token.signature, message, &key, algorithm);
    if verified.is_ok_and(|is_valid| is_valid) {
        Ok(())
    } else {
        Err(Invalid::Token("its signature is wrong"))
    }
}

fn agrees(claims: &Claims, config: &OauthConfig) -> Result<(), &'static str> {
    if claims.issuer != config.issuer {
        return Err("it is of another issuer");
    }
    if !claims.audiences.contains(&config.audience) {
        return Err("it is for another audience");
    }
    Ok(())
}

fn in_time(claims: &Claims, now_s: u64, leeway_s: u64) -> Result<(), &'static str> {
    // RFC 7519, 4.1.4: a token must not be accepted on or after its expiry.
    if now_s >= claims.expires_s.saturating_add(leeway_s) {
        return Err("it has expired");
    }
    let latest_s = now_s.saturating_add(leeway_s);
    if claims.not_before_s.is_some_and(|not_before_s| not_before_s > latest_s) {
        return Err("it is not valid yet");
    }
    if claims.issued_s.is_some_and(|issued_s| issued_s > latest_s) {
        return Err("it was issued in the future");
    }
    Ok(())
}
