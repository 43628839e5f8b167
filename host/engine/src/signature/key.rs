//! A key that signatures are verified by, as one text: `key:` with an Ed25519 key, or `minisign:` with a key of minisign.
//!
//! Owns the two forms. Must not know what is signed.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use minisign_verify::PublicKey as Minisign;
use serde::{Deserialize, Serialize};

use airlock_types::digest::sha256;

/// The prefix of an Ed25519 key.
const KEY: &str = "key:";

/// The prefix of a key of minisign.
const MINISIGN: &str = "minisign:";

/// Bytes before an Ed25519 key in the form that openssl writes (SubjectPublicKeyInfo, RFC 8410).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Bytes before the Ed25519 key in a key of minisign: its algorithm and its number.
const MINISIGN_HEAD_BYTES: usize = 10;

/// The points of small order on the curve, in each of their encodings but for the sign bit. A signature by such a key holds
/// for any message, and needs no private key.
const WEAK: [[u8; 32]; 7] = [
    [0; 32],
    ends(0x01, 0x00),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    ends(0xec, 0xff),
    ends(0xed, 0xff),
    ends(0xee, 0xff),
];

/// An encoding with this first byte, and another one in the rest.
const fn ends(first: u8, rest: u8) -> [u8; 32] {
    let mut bytes = [rest; 32];
    (bytes[0], bytes[31]) = (first, rest & 0x7f);
    bytes
}

/// Refuses a key of small order.
fn strong(public: [u8; 32]) -> Result<[u8; 32], KeyError> {
    let mut unsigned = public;
    unsigned[31] &= 0x7f;
    if WEAK.contains(&unsigned) { Err(KeyError::Weak) } else { Ok(public) }
}

/// A public key. Written in one way, so that equal keys are equal texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key {
    text: String,
    public: [u8; 32],
    is_minisign: bool,
}

/// Why a text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Neither prefix.
    #[error("a key begins with `key:` or `minisign:`")]
    Prefix,
    /// Not an Ed25519 key.
    #[error(
        "after `key:` stands an Ed25519 key in base64: its 32 bytes, or what `openssl pkey -pubout -outform DER` writes"
    )]
    Ed25519,
    /// A key of small order.
    #[error("this key is of small order: anybody can sign for it")]
    Weak,
    /// Not a key of minisign.
    #[error("after `minisign:` stands the second line of a file `minisign.pub`")]
    Minisign,
}

impl Key {
    /// A key of 32 bytes.
    pub(super) fn ed25519(public: [u8; 32]) -> Key {
        Key { text: format!("{KEY}{}", BASE64_STANDARD.encode(public)), public, is_minisign: false }
    }

    /// The text, as a registry has it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is a key of minisign.
    pub fn is_minisign(&self) -> bool {
        self.is_minisign
    }

    /// The name of the key in an envelope: SHA-256 of its SubjectPublicKeyInfo, in hex.
    pub(super) fn id(&self) -> String {
        sha256(&[&SPKI[..], &self.public].concat())
    }

    /// Whether both texts are of one key, which signs once.
    pub fn is_same(&self, other: &Key) -> bool {
        self.public == other.public
    }

    /// Whether this key signed the message.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        !self.is_minisign && UnparsedPublicKey::new(&ED25519, self.public).verify(message, signature).is_ok()
    }

    /// The key in minisign's form; none for one that is not of minisign.
    pub(super) fn minisign(&self) -> Option<Minisign> {
        self.text.strip_prefix(MINISIGN).and_then(|text| Minisign::from_base64(text).ok())
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Key, KeyError> {
        if let Some(text) = text.strip_prefix(KEY) {
            let bytes = BASE64_STANDARD.decode(text).map_err(|_| KeyError::Ed25519)?;
            let bytes = bytes.strip_prefix(&SPKI[..]).unwrap_or(&bytes);
            let public = bytes.try_into().map_err(|_| KeyError::Ed25519)?;
            return strong(public).map(Key::ed25519);
        }
        let text = text.strip_prefix(MINISIGN).ok_or(KeyError::Prefix)?;
        let bytes = BASE64_STANDARD.decode(text).map_err(|_| KeyError::Minisign)?;
        let public = bytes.get(MINISIGN_HEAD_BYTES..).and_then(|public| public.try_into().ok());
        Minisign::from_base64(text).map_err(|_| KeyError::Minisign)?;
        let text = format!("{MINISIGN}{}", BASE64_STANDARD.encode(&bytes));
        Ok(Key { text, public: strong(public.ok_or(KeyError::Minisign)?)?, is_minisign: true })
    }
}

impl TryFrom<String> for Key {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Key, KeyError> {
        text.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> String {
        key.text
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of test 1 in section 7.1 of RFC 8032.
    const PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    #[track_caller]
    fn check(text: &str, expect: Result<&str, KeyError>) {
        assert_eq!(text.parse::<Key>().map(|key| key.to_string()), expect.map(str::to_owned), "{text}");
    }

    #[test]
    fn one_key_has_one_text() {
        let raw = format!("key:{PUBLIC}");
        check(&raw, Ok(&raw));
        let der = [&SPKI[..], &BASE64_STANDARD.decode(PUBLIC).unwrap()].concat();
        check(&format!("key:{}", BASE64_STANDARD.encode(der)), Ok(&raw));
        // The key of minisign's own documentation.
        let minisign = "minisign:RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
        check(minisign, Ok(minisign));
        check(PUBLIC, Err(KeyError::Prefix));
        check("key:", Err(KeyError::Ed25519));
        check("key:AAAA", Err(KeyError::Ed25519));
        check(&format!("minisign:{PUBLIC}"), Err(KeyError::Minisign));
        check(&minisign[..50], Err(KeyError::Minisign));
        for mut weak in WEAK {
            for sign in [0x00, 0x80] {
                weak[31] = weak[31] & 0x7f | sign;
                check(&format!("key:{}", BASE64_STANDARD.encode(weak)), Err(KeyError::Weak));
                let minisign = [&b"Ed12345678"[..], &weak].concat();
                check(&format!("minisign:{}", BASE64_STANDARD.encode(minisign)), Err(KeyError::Weak));
            }
        }
    }

    #[test]
    fn verifies_the_first_vector_of_rfc_8032() {
        let key: Key = format!("key:{PUBLIC}").parse().unwrap();
        let signature = hex(
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595b\
             be24655141438e7a100b",
        );
        assert!(key.verifies(b"", &signature));
        assert!(!key.verifies(b"x", &signature));
        assert!(!key.verifies(b"", &signature[..63]));
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.chars().filter_map(|c| u8::try_from(c.to_digit(16)?).ok()).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }
}
