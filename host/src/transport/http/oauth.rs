//! Tokens of an OAuth server: signature, issuer, audience, time, scope. Nothing is taken on trust.
//!
//! Only asymmetric signatures count: with a shared secret whoever can check a token could also make one. Time is
//! the environment's.

use std::path::Path;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Header, Validation};
use serde::Deserialize;

use super::jwks::{Jwks, KeysError};
use crate::config::OauthConfig;
use crate::environment::Environment;

#[derive(Debug, Default)]
pub(super) struct Oauth {
    jwks: Jwks,
}

/// Why a token names nobody.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Invalid {
    Token(&'static str),
    Scope,
    /// The keys cannot be had.
    Keys(KeysError),
}

#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
    #[serde(default)]
    nbf: Option<u64>,
    /// Words, as RFC 8693 has it.
    #[serde(default)]
    scope: Option<String>,
    /// A list or words, as some servers have it.
    #[serde(default)]
    scp: Option<Scp>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Scp {
    List(Vec<String>),
    Words(String),
}

impl Oauth {
    /// The subject of a token.
    pub(super) async fn subject(
        &self,
        config: &OauthConfig,
        folder: &Path,
        token: &str,
        environment: &dyn Environment,
    ) -> Result<String, Invalid> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Invalid::Token("it cannot be read"))?;
        let key = self.jwks.key(&config.jwks, folder, header.kid.as_deref(), environment).await;
        let key = key.map_err(Invalid::Keys)?.ok_or(Invalid::Token("its key is not the issuer's"))?;
        let claims = verified(config, token, &header, &key)?;
        in_time(&claims, environment.wall().as_secs(), config.leeway_s)?;
        if !config.scopes.iter().all(|scope| claims.has(scope)) {
            return Err(Invalid::Scope);
        }
        if claims.sub.is_empty() || claims.sub.len() > 200 {
            return Err(Invalid::Token("its subject is empty or too long"));
        }
        Ok(claims.sub)
    }
}

fn verified(config: &OauthConfig, token: &str, header: &Header, jwk: &Jwk) -> Result<Claims, Invalid> {
    let key = DecodingKey::from_jwk(jwk).map_err(|_| Invalid::Token("its key cannot be used"))?;
    let families = [AlgorithmFamily::Rsa, AlgorithmFamily::Ec, AlgorithmFamily::Ed];
    if !families.contains(&key.family()) || !is_for(jwk, header.alg) {
        return Err(Invalid::Token("its algorithm is not one of its key's"));
    }
    let mut validation = Validation::new_for_family(key.family());
    validation.set_issuer(&[&config.issuer]);
    validation.set_audience(&[&config.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // Both are compared below, with the environment's time.
    (validation.validate_exp, validation.validate_nbf) = (false, false);
    jsonwebtoken::decode::<Claims>(token, &key, &validation).map(|data| data.claims).map_err(|err| {
        use jsonwebtoken::errors::ErrorKind;
        Invalid::Token(match err.kind() {
            ErrorKind::InvalidIssuer => "it is of another issuer",
            ErrorKind::InvalidAudience => "it is for another audience",
            ErrorKind::InvalidSignature => "its signature is wrong",
            ErrorKind::InvalidAlgorithm => "its algorithm is not one of its key's",
            ErrorKind::MissingRequiredClaim(_) => "it lacks one of `exp`, `iss`, `aud`, `sub`",
            _ => "it cannot be read",
        })
    })
}

/// A key that says for which algorithm it is, is for no other.
fn is_for(jwk: &Jwk, algorithm: Algorithm) -> bool {
    let said = jwk.common.key_algorithm.map(|said| said.to_string());
    said.is_none_or(|said| said.parse::<Algorithm>().ok() == Some(algorithm))
}

fn in_time(claims: &Claims, now_s: u64, leeway_s: u64) -> Result<(), Invalid> {
    if now_s >= claims.exp.saturating_add(leeway_s) {
        return Err(Invalid::Token("it has expired"));
    }
    if claims.nbf.is_some_and(|nbf| now_s.saturating_add(leeway_s) < nbf) {
        return Err(Invalid::Token("it is not valid yet"));
    }
    Ok(())
}

impl Claims {
    fn has(&self, scope: &str) -> bool {
        let words = |text: &str| text.split_ascii_whitespace().any(|word| word == scope);
        self.scope.as_deref().is_some_and(words)
            || match &self.scp {
                Some(Scp::List(list)) => list.iter().any(|word| word == scope),
                Some(Scp::Words(text)) => words(text),
                None => false,
            }
    }
}
