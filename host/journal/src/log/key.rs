//! Keys of checkpoints and of entries: Ed25519, in the text forms of C2SP signed notes that Go's `note` package reads and writes.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};

use crate::state;
use airlock_types::digest::{hex, sha256, sha256_of};

/// The type of an Ed25519 signature.
const ED25519_TYPE: u8 = 1;

/// How the text of a private key begins.
const PRIVATE: &str = "PRIVATE+KEY+";

/// The second line of the file of a key that has begun to sign entries. Files of earlier versions have one line.
const BEGUN: &str = "begun";

/// Rights of group and others.
const OTHERS: u32 = 0o077;

/// Size of the largest file of a key in bytes. One has about 120.
const KEY_BYTES_MAX: u64 = 4 << 10;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is not a key.
    #[error(
        "`{0}` is not a public key of checkpoints, which `airlock journal key` prints: NAME+HEX+BASE64 of an Ed25519 key"
    )]
    Text(String),
    /// The file of the private key cannot be used.
    #[error("the key of checkpoints `{}` cannot be used: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not, and what to do.
        reason: String,
    },
    /// The file of the private key is missing, and is needed: another key would not be that of the checkpoints there are.
    #[error(
        "the key of checkpoints `{}` is missing, and the checkpoint in `{}` was signed with it: put it back from a backup. If it \
         is lost, move that folder away, and `airlock journal key --new` makes another; what was signed before stays signed by the \
         old one",
        .path.display(),
        .tiles.display()
    )]
    Lost {
        /// The file.
        path: PathBuf,
        /// The folder of the tiles.
        tiles: PathBuf,
    },
    /// The file of the private key is missing, and the log has entries: it was made before the first of them.
    #[error(
        "the key `{}` of the log is missing, and what the log says of retention and exports is signed with it: put it back from a \
         backup. If it is lost, `airlock journal key --new` makes another, which signs what the log says now",
        .0.display()
    )]
    Used(PathBuf),
    /// There is a key where a new one is to be made.
    #[error("the key `{}` is there, and another is made only in the place of one that was lost; `airlock journal key` prints it", .0.display())]
    There(PathBuf),
    /// The file of the private key was removed while it was used.
    #[error("the key `{}` of the log is missing: put it back from a backup", .0.display())]
    Missing(PathBuf),
}

/// A public key of checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    name: String,
    public: [u8; 32],
}

/// A private key of checkpoints.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    verifying: VerifyingKey,
    has_begun: bool,
}

impl VerifyingKey {
    /// The name of its log, the first line of each checkpoint.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first bytes of the hash of name and key.
    pub(super) fn id(&self) -> [u8; 4] {
        let hash = sha256_of(&[self.name.as_bytes(), b"\n", &[ED25519_TYPE], &self.public]);
        [hash[0], hash[1], hash[2], hash[3]]
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public).verify(message, signature).is_ok()
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519_TYPE][..], &self.public].concat();
        write!(f, "{}+{}+{}", self.name, hex(&self.id()), BASE64.encode(&key))
    }
}

impl FromStr for VerifyingKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<VerifyingKey, KeyError> {
        let (name, public) = parts(text).ok_or_else(|| KeyError::Text(text.to_owned()))?;
        let key = VerifyingKey { name: name.to_owned(), public };
        // The text has one form only, so that a mistyped one is not taken for a key.
        if key.to_string() == text { Ok(key) } else { Err(KeyError::Text(text.to_owned())) }
    }
}

/// The name and the 32 bytes of a key as text. The base64 may have a `+` in it.
fn parts(text: &str) -> Option<(&str, [u8; 32])> {
    let mut parts = text.splitn(3, '+');
    let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
    let is_name = !name.is_empty() && !name.contains(char::is_whitespace);
    let is_id = id.len() == 8 && HEXLOWER_PERMISSIVE.decode(id.as_bytes()).is_ok();
    let key = BASE64.decode(key.as_bytes()).ok()?;
    let (algorithm, bytes) = key.split_first()?;
    let is_key = is_name && is_id && *algorithm == ED25519_TYPE;
    is_key.then_some(())?;
    Some((name, bytes.try_into().ok()?))
}

impl SigningKey {
    /// The key in a file, which is made if it is missing. One process at a time may do so.
    ///
    /// # Errors
    /// When the file is open to others, has no key, or cannot be written.
    pub(crate) fn open(path: &Path) -> Result<SigningKey, KeyError> {
        let failed = |reason: String| KeyError::File { path: path.to_owned(), reason };
        if let Some(key) = SigningKey::existing(path)? {
            return Ok(key);
        }
        // The process's own generator, which the kernel seeds, as for salts.
        let seed = rand::random();
        let key = SigningKey::of_seed(seed).ok_or_else(|| failed("it cannot be made".into()))?;
        state::replace(path, key.text(&seed).as_bytes()).map_err(|err| failed(err.to_string()))?;
        Ok(key)
    }

    /// Notes in the file of the key that it has begun to sign entries. One process at a time may do so.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub(crate) fn begin(self, path: &Path) -> Result<SigningKey, KeyError> {
        let failed = |reason: String| KeyError::File { path: path.to_owned(), reason };
        let text = text(path).map_err(failed)?;
        let (line, _) = lines(&text);
        let begun = format!("{line}\n{BEGUN}\n");
        state::replace(path, begun.as_bytes()).map_err(|err| failed(err.to_string()))?;
        Ok(SigningKey { has_begun: true, ..self })
    }

    /// The key in a file, which may be missing.
    ///
    /// # Errors
    /// As [`SigningKey::open`].
    pub(crate) fn existing(path: &Path) -> Result<Option<SigningKey>, KeyError> {
        let failed = |reason: String| KeyError::File { path: path.to_owned(), reason };
        // Looked at first, since what is open to others is narrowed: a key that others could read may be theirs by now.
        let found = path.symlink_metadata().ok().filter(|found| found.is_file());
        let mode = found.map_or(0, |found| found.mode() & 0o777);
        if mode & OTHERS != 0 {
            return Err(failed(format!(
                "others may read it (mode {mode:03o}), and whoever has it can sign: `chmod 600` it if nobody else has read it, \
                 else move it away, and `airlock journal key --new` makes another"
            )));
        }
        if !state::file(path).map_err(|err| failed(err.to_string()))? {
            return Ok(None);
        }
        SigningKey::read(path).map(Some).map_err(failed)
    }

    fn read(path: &Path) -> Result<SigningKey, String> {
        let text = text(path)?;
        let (line, has_begun) = lines(&text);
        let key = line.strip_prefix(PRIVATE).and_then(parts);
        let seeded = key.and_then(|(name, seed)| Some((name, SigningKey::of_seed(seed)?)));
        match seeded {
            Some((name, key)) if key.verifying.name == name => Ok(SigningKey { has_begun, ..key }),
            _ => Err("it is damaged: put a backup in its place, or move it away, and `airlock journal key --new` makes another".into()),
        }
    }

    fn of_seed(seed: [u8; 32]) -> Option<SigningKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).ok()?;
        let public: [u8; 32] = pair.public_key().as_ref().try_into().ok()?;
        // Of the key itself, so that no two logs have one name.
        let name = format!("airlock-journal/{}", &sha256(&public)[..16]);
        Some(SigningKey { pair, verifying: VerifyingKey { name, public }, has_begun: false })
    }

    fn text(&self, seed: &[u8; 32]) -> String {
        let key = [&[ED25519_TYPE][..], seed].concat();
        format!("{PRIVATE}{}+{}+{}\n", self.verifying.name, hex(&self.verifying.id()), BASE64.encode(&key))
    }

    /// Whether it has begun to sign entries: nothing is signed any more because it is older than signatures.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// The public key.
    pub fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    /// Omits the private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.verifying).finish()
    }
}

/// The text of the file of a key.
fn text(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|err| err.to_string())?;
    file.take(KEY_BYTES_MAX).read_to_string(&mut text).map_err(|err| err.to_string())?;
    Ok(text)
}

/// The line with the key, and whether the line of one that has begun follows.
fn lines(text: &str) -> (&str, bool) {
    let text = text.trim_end();
    text.strip_suffix(BEGUN)
        .and_then(|line| line.strip_suffix('\n'))
        .map_or((text, false), |line| (line, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_has_one_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = SigningKey::open(&path).unwrap();
        assert_eq!(SigningKey::open(&path).unwrap().verifying(), key.verifying());
        let text = key.verifying().to_string();
        assert_eq!(text.parse::<VerifyingKey>().unwrap(), *key.verifying());
        for wrong in [&text[1..], &text[..text.len() - 1], "", "a+b+c", &text.to_uppercase()] {
            assert!(wrong.parse::<VerifyingKey>().is_err(), "{wrong}");
        }
        std::fs::write(&path, "PRIVATE+KEY+x").unwrap();
        let err = SigningKey::open(&path).unwrap_err().to_string();
        assert!(err.contains("it is damaged"), "{err}");
    }

    #[test]
    fn a_key_that_others_may_read_is_refused_and_left_as_it_is() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        SigningKey::open(&path).unwrap();
        for mode in [0o644, 0o640, 0o620, 0o601] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let err = SigningKey::open(&path).unwrap_err().to_string();
            assert!(err.contains(&format!("(mode {mode:03o})")) && err.contains("chmod 600"), "{err}");
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, mode);
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        SigningKey::open(&path).unwrap();
    }

    #[test]
    fn reads_the_key_of_gos_documentation() {
        // The public key of Go's checksum database.
        let text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
        let key: VerifyingKey = text.parse().unwrap();
        assert_eq!((key.name(), hex(&key.id())), ("sum.golang.org", "033de0ae".to_owned()));
    }
}
