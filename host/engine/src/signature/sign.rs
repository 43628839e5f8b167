//! Signing with an Ed25519 key in a file.
//!
//! Owns how the key is read and made, in the form that openssl writes. Must not know what is signed.

use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use super::{Envelope, Key, Statement};
use crate::file;
use crate::file::FileError;

/// Size of the largest file of a key in bytes. One in this form has 119.
const KEY_BYTES_MAX: u64 = 16 << 10;

/// A private key.
pub struct SigningKey(Ed25519KeyPair);

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// The file of the key cannot be read.
    #[error("the key `{}`: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: FileError,
    },
    /// The file has no key of this form.
    #[error("the key `{}` is not an Ed25519 key in PKCS #8; `airlock sign --new-key FILE` makes one", .0.display())]
    NotAKey(PathBuf),
    /// The file has a key of minisign.
    #[error("the key `{}` is one of minisign, which signs by itself: `minisign -Sm COMPONENT`", .0.display())]
    Minisign(PathBuf),
    /// The file has a public key.
    #[error("the key `{}` is a public one, and a component is signed by the private key that belongs to it", .0.display())]
    Public(PathBuf),
    /// The file is empty.
    #[error("the key `{}` is empty; `airlock sign --new-key FILE` makes one", .0.display())]
    Empty(PathBuf),
    /// A key cannot be made, or the statement cannot be written.
    #[error("signing failed: {0}")]
    Failed(String),
}

/// Whether a text is that of a public key, of minisign or in PEM.
fn is_public(text: &[u8]) -> bool {
    [&b"minisign public key"[..], b"-----BEGIN PUBLIC KEY-----"]
        .iter()
        .any(|mark| text.windows(mark.len()).any(|part| part == *mark))
}

impl SigningKey {
    /// Reads a key from a file that this user alone can read.
    ///
    /// # Errors
    /// When it cannot be read, or is not an Ed25519 key in PKCS #8 and PEM.
    pub fn read(path: &Path) -> Result<SigningKey, SigningError> {
        let unreadable = |reason| SigningError::Unreadable { path: path.to_owned(), reason };
        // A public key need not be private: it is told before its mode is looked at.
        if file::read(path, KEY_BYTES_MAX).is_ok_and(|text| is_public(&text)) {
            return Err(SigningError::Public(path.to_owned()));
        }
        let opened = file::open_private(path, KEY_BYTES_MAX).map_err(unreadable)?;
        let text = Zeroizing::new(file::read_whole(opened, KEY_BYTES_MAX).map_err(unreadable)?);
        let has = |mark: &[u8]| text.windows(mark.len()).any(|part| part == mark);
        let not_a_key = || match () {
            () if text.trim_ascii().is_empty() => SigningError::Empty(path.to_owned()),
            () if has(b"minisign") => SigningError::Minisign(path.to_owned()),
            () => SigningError::NotAKey(path.to_owned()),
        };
        let der = PrivatePkcs8KeyDer::from_pem_slice(&text).map_err(|_| not_a_key())?;
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
            .map(SigningKey)
            .map_err(|_| not_a_key())
    }

    /// Makes a key, as the text of its file.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn make() -> Result<(Zeroizing<String>, SigningKey), SigningError> {
        let failed = |_| SigningError::Failed("no key can be made".into());
        let pair = Ed25519KeyPair::generate().map_err(failed)?;
        let der = pair.to_pkcs8v1().map_err(failed)?;
        // Its 48 bytes are one line of base64.
        let body = Zeroizing::new(BASE64_STANDARD.encode(der.as_ref()));
        let text = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", *body);
        Ok((Zeroizing::new(text), SigningKey(pair)))
    }

    /// The public key.
    pub fn public(&self) -> Key {
        // An Ed25519 key has exactly this many bytes.
        let mut public = [0; 32];
        public.copy_from_slice(self.0.public_key().as_ref());
        Key::ed25519(public)
    }

    /// Signs a statement.
    ///
    /// # Errors
    /// When the statement cannot be written.
    pub fn sign(&self, statement: &Statement) -> Result<Envelope, SigningError> {
        let payload = serde_json::to_vec(statement).map_err(|err| SigningError::Failed(err.to_string()))?;
        Ok(Envelope::new(&payload, &self.public(), |bytes| self.0.sign(bytes).as_ref().to_vec()))
    }

    /// The highest serial among the statements that [`SigningKey::replace`] takes away. What cannot be read has none: nobody
    /// verifies it.
    pub fn serial_replaced(&self, others: &[Envelope]) -> Option<u64> {
        let key = self.public();
        let replaced = others.iter().filter(|other| other.has_statement() && other.is_only_of(&key));
        let statements = replaced.filter_map(|other| Statement::parse(&other.payload().ok()?).ok()?);
        statements.map(|statement| statement.predicate.serial).max()
    }

    /// Puts an envelope among others: in the place of those of this key alone, which are about older versions.
    ///
    /// # Errors
    /// When one of them cannot be written.
    pub fn replace(&self, others: &[Envelope], new: &Envelope) -> Result<String, SigningError> {
        let key = self.public();
        let kept = others.iter().filter(|other| !other.is_only_of(&key));
        let lines: Result<String, _> = kept.chain([new]).map(Envelope::line).collect();
        lines.map_err(|err| SigningError::Failed(err.to_string()))
    }
}
