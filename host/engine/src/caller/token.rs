//! Static bearer tokens: made once, shown once, stored as a digest.
//!
//! Owns their form and their comparison. A token is 32 random bytes, so a plain SHA-256 digest is enough: a slow hash
//! would protect guessable secrets only. Must not know who holds a token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use subtle::ConstantTimeEq as _;

use airlock_types::digest::sha256_of;

/// Prefix of every token, so that scanners for leaked secrets can find one.
const PREFIX: &str = "airlock_";

/// Prefix of a stored digest.
const SCHEME: &str = "sha256:";

/// The digest of a token, as a registry stores it: `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TokenDigest([u8; 32]);

/// Makes a token from 32 fresh random bytes, and its digest.
pub fn new(seed: [u8; 32]) -> (String, TokenDigest) {
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(seed));
    let digest = TokenDigest::of(&token);
    (token, digest)
}

/// Whether a bearer text is a static token. Anything else may be a JWT of an OAuth server.
pub fn is_token(text: &str) -> bool {
    text.starts_with(PREFIX)
}

impl TokenDigest {
    /// The digest of a presented token.
    pub fn of(token: &str) -> TokenDigest {
        TokenDigest(sha256_of(&[token.as_bytes()]))
    }

    /// Whether both are digests of the same token. Takes the same time for every other token.
    pub fn same(&self, other: &TokenDigest) -> bool {
        // Constant time: `==` would end at the first byte that differs, and the time would tell how many were right.
        self.0.ct_eq(&other.0).into()
    }
}

impl std::fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(SCHEME)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for TokenDigest {
    /// Prints the type only: the digest must not be in logs, either.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenDigest")
    }
}

impl TryFrom<String> for TokenDigest {
    type Error = String;

    fn try_from(text: String) -> Result<TokenDigest, String> {
        let wrong = || {
            "a token is kept as its digest, `sha256:` and 64 hexadecimal digits; `airlock token new NAME` makes one"
                .to_owned()
        };
        let digits = text
            .strip_prefix(SCHEME)
            // Checked before parsing: `from_str_radix` accepts a sign.
            .filter(|digits| digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let digits = digits.ok_or_else(wrong)?;
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(TokenDigest(digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_digest_matches_its_token_and_no_other() {
        let (token, digest) = new([7; 32]);
        assert!(is_token(&token) && token.len() == PREFIX.len() + 43);
        let stored = TokenDigest::try_from(digest.to_string()).unwrap();
        assert!(stored.same(&TokenDigest::of(&token)));
        assert!(!stored.same(&TokenDigest::of(&format!("{token} "))));
    }

    #[test]
    fn a_token_in_the_place_of_its_digest_is_refused_without_being_shown() {
        let (token, _) = new([7; 32]);
        for text in [token.as_str(), "sha256:zz", &format!("sha256:{}", "+1".repeat(32)), ""] {
            let err = TokenDigest::try_from(text.to_owned()).unwrap_err();
            assert!(err.contains("airlock token new") && !err.contains(&token), "{err}");
        }
    }
}
