//! The secret of a grant: what the host adds to a request that the grant admits, and where.
//!
//! Only names are here. The value is the engine's, which reads it and adds it once the address of the host is checked.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::header::folded;

/// Longest name of a secret, a header or a parameter. Longer ones would break the lines that show them.
const NAME_BYTES_MAX: usize = 64;

/// Longest text around a value. Schemes of authorization are one word.
const FORMAT_BYTES_MAX: usize = 256;

/// Where the value goes in a format.
const PLACE: &str = "{}";

/// Headers that carry no secret: they frame the message, name its host, or are the host's own.
const NOT_FOR_SECRETS: [&str; 15] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "idempotency-key",
    "keep-alive",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The words for a value in the place of a name.
pub const INLINE: &str = "the value of a secret does not belong in the registry";

/// A secret that the host adds to each request of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretUse {
    /// The name, as below `[secrets]`.
    pub name: String,
    /// Where the value goes.
    pub place: SecretPlace,
    /// The text around the value, with `{}` where it goes.
    pub format: String,
}

/// Where a request carries a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    /// In this header, in lower case.
    Header(String),
    /// In this parameter of the query.
    Query(String),
}

/// What is wrong with the secret of a grant on every machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Wrong {
    #[error(
        "{INLINE}: write `secret = {{ name = \"NAME\", header = \"authorization\" }}`, and declare `[secrets.NAME]`"
    )]
    Inline,
    #[error("`secret` has to name its secret: `name = \"NAME\"`, which is declared as `[secrets.NAME]`")]
    NoName,
    #[error(
        "`secret.name` is no name: write letters, digits, `_` and `-`, {NAME_BYTES_MAX} at most, a letter first"
    )]
    Name,
    #[error("`secret` has to say where the value goes: `header = \"authorization\"`, or `query = \"key\"`")]
    NoPlace,
    #[error(
        "`secret` has both a `header` and a `query`: write the one that the service reads: a request carries its secret once"
    )]
    TwoPlaces,
    // Not quoted: a value stands in the place of a name by mistake.
    #[error("`secret.header` is not the name of a header: write it without a colon, such as `authorization`")]
    NotAHeader,
    #[error("the header `{0}` cannot carry a secret: it frames the message or is set by the host")]
    Header(&'static str),
    #[error(
        "`secret.query` is no name of a parameter: write visible ASCII, {NAME_BYTES_MAX} characters at most"
    )]
    Query,
    #[error("`secret.format` has to contain `{{}}` exactly once, where the value goes: `Bearer {{}}`")]
    Format,
    #[error(
        "`secret.format` has to be printable ASCII of at most {FORMAT_BYTES_MAX} characters, without a space at its ends"
    )]
    FormatText,
}

/// As it is written.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    /// Accepted to be refused in words of its own: the general error would quote it.
    #[serde(skip_serializing)]
    value: Option<IgnoredAny>,
}

impl TryFrom<Written> for SecretUse {
    type Error = Wrong;

    fn try_from(written: Written) -> Result<SecretUse, Wrong> {
        let Written { name, header, query, format, value } = written;
        if value.is_some() {
            return Err(Wrong::Inline);
        }
        let name = name.ok_or(Wrong::NoName)?;
        if !is_secret_name(&name) {
            return Err(Wrong::Name);
        }
        let place = match (header, query) {
            (Some(_), Some(_)) => return Err(Wrong::TwoPlaces),
            (None, None) => return Err(Wrong::NoPlace),
            (Some(header), None) => SecretPlace::Header(self::header(&header)?),
            (None, Some(query)) => SecretPlace::Query(parameter(query)?),
        };
        let format = format.unwrap_or_else(|| PLACE.to_owned());
        if format.matches(PLACE).count() != 1 {
            return Err(Wrong::Format);
        }
        let is_text = format.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        // A header's value loses spaces at its ends on the way.
        if !is_text || format.len() > FORMAT_BYTES_MAX || format.trim() != format {
            return Err(Wrong::FormatText);
        }
        Ok(SecretUse { name, place, format })
    }
}

impl<'de> Deserialize<'de> for SecretUse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SecretUse, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = SecretUse;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table with `name`, and with `header` or `query`")
            }

            // A text is a value more often than a name, and must not be quoted.
            fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<SecretUse, E> {
                Err(E::custom(Wrong::Inline))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretUse, A::Error> {
                let written = Written::deserialize(MapAccessDeserializer::new(map))?;
                written.try_into().map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Serialize for SecretUse {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let SecretUse { name, place, format } = self.clone();
        let (header, query) = match place {
            SecretPlace::Header(header) => (Some(header), None),
            SecretPlace::Query(query) => (None, Some(query)),
        };
        let format = (format != PLACE).then_some(format);
        Written { name: Some(name), header, query, format, value: None }.serialize(serializer)
    }
}

impl SecretUse {
    /// The text that carries a value.
    pub fn formatted(&self, value: &str) -> String {
        self.format.replacen(PLACE, value, 1)
    }
}

impl fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretPlace::Header(header) => write!(f, "the header `{header}`"),
            SecretPlace::Query(query) => write!(f, "the query parameter `{query}`"),
        }
    }
}

/// Whether a text can be the name of a secret.
pub fn is_secret_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn header(name: &str) -> Result<String, Wrong> {
    // The characters of a token in RFC 9110.
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_token) {
        return Err(Wrong::NotAHeader);
    }
    let name = name.to_ascii_lowercase();
    let folded = folded(&name);
    if let Some(known) = NOT_FOR_SECRETS.into_iter().find(|known| *known == folded) {
        return Err(Wrong::Header(known));
    }
    if folded.starts_with("proxy-") {
        return Err(Wrong::Header("proxy-*"));
    }
    Ok(name)
}

fn parameter(name: String) -> Result<String, Wrong> {
    let fits = !name.is_empty() && name.len() <= NAME_BYTES_MAX;
    (fits && name.bytes().all(|b| b.is_ascii_graphic())).then_some(name).ok_or(Wrong::Query)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(written: Value, expect: Result<SecretPlace, &str>) {
        let read: Result<SecretUse, _> = serde_json::from_value(written.clone());
        match (read, expect) {
            (Ok(read), Ok(place)) => {
                assert_eq!(read.place, place);
                let again: SecretUse = serde_json::from_value(json!(read)).unwrap();
                assert_eq!(again, read, "as it is written again");
            }
            (Err(error), Err(word)) => {
                let error = error.to_string();
                assert!(error.contains(word) && !error.contains("s3cr3t"), "{written}: {error}");
            }
            (read, expect) => panic!("{written}: {read:?}, and not {expect:?}"),
        }
    }

    #[test]
    fn a_secret_has_a_name_and_one_place() {
        let authorization = SecretPlace::Header("authorization".into());
        check(json!({"name": "K", "header": "Authorization", "format": "Bearer {}"}), Ok(authorization));
        check(json!({"name": "K-2_a", "query": "key"}), Ok(SecretPlace::Query("key".into())));
        check(
            json!({"name": "K", "header": "cookie", "format": "a={}"}),
            Ok(SecretPlace::Header("cookie".into())),
        );
        check(json!({"header": "authorization"}), Err("name its secret"));
        check(json!({"name": "K"}), Err("where the value goes"));
        check(json!({"name": "K", "header": "x-key", "query": "key"}), Err("both"));
        for name in ["", "1", "a b", "ä", &"a".repeat(65)] {
            check(json!({"name": name, "query": "key"}), Err("no name"));
        }
        for query in ["", "a b", "a\n"] {
            check(json!({"name": "K", "query": query}), Err("parameter"));
        }
        check(json!({"name": "K", "query": "key", "methods": 1}), Err("unknown field"));
    }

    #[test]
    fn headers_of_the_host_and_of_framing_carry_no_secret() {
        for header in
            ["host", "Host", "content-length", "transfer-encoding", "proxy-authorization", "accept-encoding"]
        {
            check(json!({"name": "K", "header": header}), Err("cannot carry"));
        }
        for header in ["", "a b", "x-key:", "x\r\ny", "Bearer s3cr3t-v4lue"] {
            check(json!({"name": "K", "header": header}), Err("not the name of a header"));
        }
    }

    #[test]
    fn a_format_has_one_place_for_the_value() {
        for format in ["", "Bearer", "{}{}", "{ }", "Bearer {} {}"] {
            check(json!({"name": "K", "header": "x-key", "format": format}), Err("exactly once"));
        }
        for format in ["{}\n", " {}", "{} ", "ä{}", "\u{7f}{}"] {
            check(json!({"name": "K", "header": "x-key", "format": format}), Err("printable"));
        }
        let written = json!({"name": "K", "header": "x-key", "format": "{a} {}"});
        let read: SecretUse = serde_json::from_value(written).unwrap();
        assert_eq!(read.formatted("{}v"), "{a} {}v");
    }

    #[test]
    fn a_value_is_refused_and_not_repeated() {
        check(json!("s3cr3t"), Err(INLINE));
        check(json!({"name": "K", "header": "x-key", "value": "s3cr3t"}), Err(INLINE));
    }
}
