//! Digests, and bytes as text.
//!
//! Owns SHA-256. Must not know what is digested. It is that of the library of TLS and signatures, which has assembly for
//! every processor: a record of a call is hashed twice, and on one without SHA instructions that is a third of a call.

use aws_lc_rs::digest::{Context, SHA256, digest};
use data_encoding::HEXLOWER;

/// Bytes of a digest.
const BYTES: usize = 32;

/// SHA-256 of what comes in parts.
#[derive(Clone)]
pub struct Hasher(Context);

impl Hasher {
    /// Of nothing so far.
    pub fn new() -> Hasher {
        Hasher(Context::new(&SHA256))
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes.
    pub fn finish(self) -> [u8; BYTES] {
        array(self.0.finish().as_ref())
    }
}

impl Default for Hasher {
    fn default() -> Hasher {
        Hasher::new()
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

/// SHA-256, as lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// SHA-256 of the concatenation of these parts.
pub fn sha256_of(parts: &[&[u8]]) -> [u8; BYTES] {
    let mut hasher = Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finish()
}

fn array(digest: &[u8]) -> [u8; BYTES] {
    // SHA-256 has this many bytes.
    let mut bytes = [0; BYTES];
    bytes.copy_from_slice(digest);
    bytes
}

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// The bytes of lower-case hex. `None` for other text.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    HEXLOWER.decode(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_two_digits_each() {
        assert_eq!(hex(&[0, 1, 0x9a, 0xff]), "00019aff");
        assert!(sha256(b"").starts_with("e3b0c44298fc1c149afbf4c8996fb924"));
        assert_eq!(hex(&sha256_of(&[b"a", b"", b"bc"])), sha256(b"abc"));
    }
}
