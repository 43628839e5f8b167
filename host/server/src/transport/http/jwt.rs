//! Parses a signed token into header and claims, without verifying it.
//!
//! Owns the form: three parts, unique keys, and one accepted type for each value that the server compares. Forms that
//! other parsers could interpret differently are rejected. Must not know keys.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, AlgorithmFamily};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

use airlock_types::text::is_hidden;

/// Size of the longest token in bytes. Tokens with many groups have a few thousand bytes.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// Size of the longest subject in bytes. The subject is part of the caller's name in every record.
const SUBJECT_BYTES_MAX: usize = 200;

/// The year 10,000 in seconds. A larger value is not a time in seconds; it is probably in milliseconds.
const TIME_MAX_S: u64 = 253_402_300_800;

/// A parsed token, not verified.
#[derive(Debug)]
pub(super) struct Token<'t> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    pub(super) claims: Claims,
    /// The signed part: header and claims as they were sent.
    pub(super) message: &'t str,
    pub(super) signature: &'t str,
}

#[derive(Debug)]
pub(super) struct Claims {
    pub(super) issuer: String,
    pub(super) audiences: Vec<String>,
    pub(super) subject: String,
    pub(super) expires_s: u64,
    pub(super) not_before_s: Option<u64>,
    pub(super) issued_s: Option<u64>,
    scopes: Vec<String>,
}

impl Claims {
    pub(super) fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|own| own == scope)
    }
}

/// Parses a token. The error text is sent to the caller.
pub(super) fn read(token: &str) -> Result<Token<'_>, &'static str> {
    // Before any decoding, because the token is not authenticated yet.
    if token.len() > TOKEN_BYTES_MAX {
        return Err("it is too long");
    }
    let (message, signature) = token.rsplit_once('.').ok_or("it cannot be read")?;
    let (header, claims) = message.split_once('.').ok_or("it cannot be read")?;
    let mut header = Object::decode(header).ok_or("its header cannot be read")?;
    let mut claims = Object::decode(claims).ok_or("its claims cannot be read")?;
    // `b64` is a critical extension by its definition, and it changes the signed bytes.
    if header.0.contains_key("crit") || header.0.contains_key("b64") {
        return Err("its header has critical extensions, and this server understands none");
    }
    if !header.text("typ")?.is_none_or(|kind| is_access_token(&kind)) {
        return Err("its `typ` is not that of an access token");
    }
    let algorithm = header.text("alg")?.and_then(|name| name.parse::<Algorithm>().ok());
    // No shared secrets: a party that can verify such a token can also forge it.
    let algorithm = algorithm.filter(|algorithm| algorithm.family() != AlgorithmFamily::Hmac);
    Ok(Token {
        algorithm: algorithm.ok_or("its algorithm is not accepted")?,
        key_id: header.text("kid")?,
        claims: claims.claims()?,
        message,
        signature,
    })
}

/// Accepts `at+jwt` of RFC 9068 and the older `JWT`, each with or without the prefix `application/`.
fn is_access_token(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    ["jwt", "at+jwt"].contains(&kind.strip_prefix("application/").unwrap_or(&kind))
}

/// A JSON object without duplicate keys.
#[derive(Debug)]
struct Object(BTreeMap<String, Value>);

const WRONG_TYPE: &str = "one of its claims has the wrong type";

impl Object {
    fn decode(part: &str) -> Option<Object> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, &'static str> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(WRONG_TYPE),
        }
    }

    fn texts(&mut self, name: &str) -> Result<Vec<String>, &'static str> {
        match self.0.remove(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text]),
            Some(list) => serde_json::from_value(list).map_err(|_| WRONG_TYPE),
        }
    }

    fn time_s(&mut self, name: &str) -> Result<Option<u64>, &'static str> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        let time = value.as_u64().filter(|time| *time < TIME_MAX_S);
        time.map(Some).ok_or("one of its times is not a whole number of seconds")
    }

    fn claims(&mut self) -> Result<Claims, &'static str> {
        const MISSING: &str = "it lacks one of `exp`, `iss`, `aud`, `sub`";
        let subject = self.text("sub")?.ok_or(MISSING)?;
        if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX {
            return Err("its subject is empty or too long");
        }
        // A name with hidden characters can imitate another caller in logs, with its own budgets.
        if subject.chars().any(is_hidden) {
            return Err("its subject has control or invisible characters in it");
        }
        let mut scopes = self.texts("scp")?;
        // `scope` is the claim of RFC 8693, a string of words. `scp` is used by some issuers, as a string or a list.
        scopes.extend(self.text("scope")?);
        let words = scopes.iter().flat_map(|text| text.split(' ')).filter(|word| !word.is_empty());
        let scopes = words.map(str::to_owned).collect();
        Ok(Claims {
            issuer: self.text("iss")?.ok_or(MISSING)?,
            audiences: self.texts("aud")?,
            subject,
            expires_s: self.time_s("exp")?.ok_or(MISSING)?,
            not_before_s: self.time_s("nbf")?,
            issued_s: self.time_s("iat")?,
            scopes,
        })
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object, D::Error> {
        deserializer.deserialize_map(Once)
    }
}

struct Once;

impl<'de> Visitor<'de> for Once {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with each key once")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut object = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            // serde_json keeps the last of two equal keys. Another parser may keep the first, and then check another
            // claim.
            if object.insert(key, value).is_some() {
                return Err(A::Error::custom("a key comes twice"));
            }
        }
        Ok(Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#"{"alg":"ES256","typ":"JWT","kid":"k"}"#;
    const CLAIMS: &str = r#"{"iss":"i","aud":"a","sub":"s","exp":4000000000,"scope":"x y"}"#;

    fn check(header: &str, claims: &str) -> Result<Claims, &'static str> {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        read(&format!("{}.{}.c2ln", part(header), part(claims))).map(|token| token.claims)
    }

    #[test]
    fn reads_the_forms_that_servers_write() {
        let claims = check(HEADER, CLAIMS).unwrap();
        assert!(claims.has("x") && claims.has("y") && !claims.has("x y"));
        let listed = CLAIMS
            .replace(r#""aud":"a""#, r#""aud":["b","a"]"#)
            .replace("\"scope\":\"x y\"", r#""scp":["x"]"#);
        let claims = check(&HEADER.replace("JWT", "at+jwt"), &listed).unwrap();
        assert_eq!((claims.audiences.len(), claims.has("x")), (2, true));
        check(r#"{"alg":"RS256"}"#, CLAIMS).unwrap();
    }

    #[test]
    fn a_header_that_means_more_than_is_understood_is_refused() {
        for header in [
            r#"{"alg":"ES256","crit":["x"],"x":1}"#,
            r#"{"alg":"ES256","crit":[]}"#,
            r#"{"alg":"ES256","b64":false}"#,
            r#"{"alg":"ES256","typ":"dpop+jwt"}"#,
            r#"{"alg":"ES256","typ":"logout+jwt"}"#,
            r#"{"alg":"ES256","typ":7}"#,
            r#"{"alg":"ES256","kid":7}"#,
            r#"{"alg":"ES256","alg":"RS256"}"#,
            r#"{"alg":"none"}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"alg":["ES256"]}"#,
            r#"{"kid":"k"}"#,
            r#"["ES256"]"#,
            "",
        ] {
            assert!(check(header, CLAIMS).is_err(), "{header}");
        }
    }

    #[test]
    fn claims_of_another_type_or_without_a_bound_are_refused() {
        let with = |name: &str, value: &str| {
            let mut claims: BTreeMap<String, Value> = serde_json::from_str(CLAIMS).unwrap();
            claims.remove(name);
            let rest = serde_json::to_string(&claims).unwrap();
            format!("{{\"{name}\":{value},{}", rest.strip_prefix('{').unwrap())
        };
        check(HEADER, &with("sub", r#""a:b|c \u00fc""#)).unwrap();
        for (name, value) in [
            ("iss", r#"["i"]"#),
            ("iss", "null"),
            ("iss", r#"{"i":1}"#),
            ("aud", r#"["a",1]"#),
            ("aud", r#"{"a":1}"#),
            ("sub", "7"),
            ("sub", r#""""#),
            ("sub", r#""a\nb""#),
            ("sub", r#""a\rb""#),
            ("sub", r#""a\u0000""#),
            ("sub", r#""a\u0085b""#),
            ("sub", r#""a\u2028b""#),
            ("sub", r#""a\u202eb""#),
            ("sub", r#""a\u200bb""#),
            ("exp", "4000000000.5"),
            ("exp", "-1"),
            ("exp", "1e300"),
            ("exp", r#""4000000000""#),
            ("exp", "null"),
            ("exp", "18446744073709551615"),
            ("exp", "4000000000000"),
            ("iat", r#""1""#),
            ("iat", "-1"),
            ("nbf", "true"),
            ("scope", "[\"x\"]"),
            ("scp", "7"),
        ] {
            assert!(check(HEADER, &with(name, value)).is_err(), "{name}: {value}");
        }
        for twice in ["iss", "exp", "sub", "scope"] {
            let again = CLAIMS.replacen('{', &format!("{{\"{twice}\":\"i\","), 1);
            assert!(check(HEADER, &again).is_err(), "{twice}");
        }
        for missing in [r#"{"iss":"i","aud":"a","sub":"s"}"#, r#"{"iss":"i","aud":"a","exp":4000000000}"#] {
            assert!(check(HEADER, missing).is_err(), "{missing}");
        }
    }

    #[test]
    fn a_token_has_three_parts_and_a_length() {
        for wrong in ["", "a", "a.b", "..", "a.b.c", "a.b.c.d", "a.b.c.d.e"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let long = CLAIMS.replace("\"s\"", &format!("\"s\",\"groups\":\"{}\"", "x".repeat(TOKEN_BYTES_MAX)));
        assert_eq!(check(HEADER, &long).unwrap_err(), "it is too long");
    }
}
