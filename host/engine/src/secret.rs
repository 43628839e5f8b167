//! Secrets: values that the host adds to requests or signs with, and that no tool holds.
//!
//! Owns how a value is read (variable, file, age file), which values are accepted, and the search for a value in what
//! comes back. A value is shown by nothing here: errors name the secret, and `Debug` its name alone. Values are wiped from
//! memory when the last tool that uses them is gone; the copies in requests and in the search are not. Must not know
//! which requests carry a secret.

mod forms;
mod scan;
pub mod store;
mod value;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::config::{ConfigFile, SecretSource};
use crate::file;
use crate::file::FileError;
use airlock_types::diagnostic::Diagnostic;
use scan::{Case, Patterns};
pub(crate) use scan::{Echo, Scan};
pub use value::{ValueError, value, without_line_end};

/// Largest file of a secret: the longest value, within the armor of an age file for many recipients.
pub const FILE_BYTES_MAX: u64 = 64 << 10;

/// Shortest word of a path that may be a value in its place. Names that people give to files of keys are shorter, or have
/// no digits, more often than not; of the others the error says the line.
const VALUE_WORD_BYTES_MIN: usize = 12;

/// Decrypts age files. A program gives it to the host (`HostBuilder::unseal`); this library has none, since the crate
/// `age` has more dependencies than all capabilities together.
pub trait Unseal: Send + Sync + 'static {
    /// Decrypts a file with the identities of another. Called at each load, on a thread that may block.
    ///
    /// # Errors
    /// Says why it cannot be decrypted, as a fragment without any content of the files.
    fn unseal(&self, sealed: &[u8], identities: &[u8]) -> Result<Zeroizing<Vec<u8>>, String>;
}

/// Encrypts to an age recipient. A program gives it to the host (`HostBuilder::seal`), for the same reason.
pub trait Seal: Send + Sync + 'static {
    /// Encrypts to this recipient, as text. Called when an attempt has ended.
    ///
    /// # Errors
    /// Says why it cannot be encrypted, as a fragment without any of the content.
    fn seal(&self, recipient: &str, value: &[u8]) -> Result<String, String>;
}

/// The value of a secret.
pub(crate) struct Secret {
    name: Arc<str>,
    value: Zeroizing<String>,
    patterns: Arc<Patterns>,
    /// For texts whose letters have lost their case.
    caseless: Arc<Patterns>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.name)
    }
}

impl Secret {
    fn new(name: &str, value: Zeroizing<String>) -> Result<Secret, SecretError> {
        let patterns = |case| Patterns::of(&value, case).map(Arc::new).ok_or(SecretError::Pattern);
        let (patterns, caseless) = (patterns(Case::Kept)?, patterns(Case::Lost)?);
        Ok(Secret { name: name.into(), value, patterns, caseless })
    }

    #[cfg(test)]
    pub(crate) fn of(name: &str, value: &str) -> Secret {
        Secret::new(name, Zeroizing::new(value.to_owned())).unwrap()
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The value itself. For what goes to the upstream, and for nothing else.
    pub(crate) fn expose(&self) -> &str {
        &self.value
    }

    /// Whether another one has the same name and value.
    pub(crate) fn is_same(&self, other: &Secret) -> bool {
        // Names first: values of other secrets are not compared.
        std::ptr::eq(self, other) || (self.name == other.name && self.value == other.value)
    }

    /// HMAC-SHA256 of a message under the value.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.value.as_bytes());
        hmac::sign(&key, message).as_ref().to_vec()
    }
}

/// Why there is no value. The texts are fragments that follow the secret's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The variable is not set.
    #[error("the variable `{0}` is not set in the environment of the host")]
    Unset(String),
    /// The variable is not UTF-8.
    #[error("the variable `{0}` is not text")]
    NotText(String),
    /// A file of it cannot be read.
    #[error("`{}` cannot be read: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: FileError,
    },
    /// Its file does not exist, and what is written for its path looks like a value.
    #[error("its file does not exist, whose path is not shown, since it may be a value by mistake")]
    NoFile,
    /// The file of the identity that decrypts it cannot be read.
    #[error("its identity `{}` cannot be read: {reason}", .path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: FileError,
    },
    /// A file of it is one of the state folder.
    #[error("`{}` lies in the state folder, whose files are the host's own", .0.display())]
    State(PathBuf),
    /// The program does not read age files.
    #[error("this program reads no age files")]
    NoUnseal,
    /// A file of it has several names, so that a tool may have one of them in a folder.
    #[error("`{}` has {names} names (hard links), and a tool may be granted the folder of another one", .path.display())]
    Linked {
        /// The file.
        path: PathBuf,
        /// The number of its names.
        names: u64,
    },
    /// An age file cannot be decrypted.
    #[error("`{}` cannot be decrypted with `{}`: {reason}", .path.display(), .identity.display())]
    Sealed {
        /// The age file.
        path: PathBuf,
        /// The file of the identity.
        identity: PathBuf,
        /// Why, as a fragment.
        reason: String,
    },
    /// The value is not accepted.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// The search for the value cannot be set up.
    #[error("it cannot be searched for")]
    Pattern,
}

impl SecretError {
    /// How to mend it.
    pub fn hint(&self, name: &str) -> String {
        match self {
            SecretError::Unset(variable) | SecretError::NotText(variable) => {
                format!("set `{variable}` before the program starts: a running one keeps its environment")
            }
            SecretError::File { path, reason: FileError::NotPrivate }
            | SecretError::Identity { path, reason: FileError::NotPrivate } => {
                format!("`chmod 600 {}`, as the user that runs the host", path.display())
            }
            SecretError::File { reason, .. } if reason.is_not_found() => {
                format!("write it with `airlock secret set {name}`")
            }
            SecretError::Identity { path, reason } if reason.is_not_found() => {
                let path = path.display();
                format!("make one with `age-keygen -o {path}` (mode 0600), or name the one that you have")
            }
            SecretError::NoFile => {
                format!(
                    "name the path of a file that holds the value, and write it with `airlock secret set {name}`"
                )
            }
            SecretError::File { reason: FileError::TooLarge { .. }, .. } => {
                format!("the file holds the value alone: write it with `airlock secret set {name}`")
            }
            SecretError::Identity { reason: FileError::TooLarge { .. }, .. } => {
                "name the file that `age-keygen` wrote, which holds the key alone".to_owned()
            }
            SecretError::Linked { path, .. } => {
                format!("remove the other names, or put a copy in the place of `{}`", path.display())
            }
            SecretError::File { .. } | SecretError::Identity { .. } => {
                "name the regular file itself, which is no link, as a path of this machine".to_owned()
            }
            SecretError::State(_) => "put it elsewhere, or into the folder `secrets` there".to_owned(),
            SecretError::NoUnseal => {
                "a program gives the reader to its host (`HostBuilder::unseal`)".to_owned()
            }
            SecretError::Sealed { .. } => {
                format!(
                    "write it anew with `airlock secret set {name}`, or name the `identity` that it is encrypted to"
                )
            }
            SecretError::Value(_) | SecretError::Pattern => {
                format!("set another value, for a file with `airlock secret set {name}`")
            }
        }
    }
}

/// The secrets of a registry, as one load read them.
#[derive(Debug, Default)]
pub(crate) struct Secrets(BTreeMap<String, Result<Arc<Secret>, Diagnostic>>);

impl Secrets {
    /// Reads all secrets of a registry. One that cannot be read is an error of the tools that use it.
    pub(crate) fn read(file: &ConfigFile, unseal: Option<&dyn Unseal>) -> Secrets {
        let secrets = file.config.secrets.iter().filter(|(_, config)| config.is_read());
        let secrets = secrets.map(|(name, config)| {
            // Only valid entries get here: a registry with another one was refused.
            let source = config.source().ok();
            let read = source.map(|source| read_apart(name.get_ref(), source, file, unseal));
            let secret = read.unwrap_or(Err(SecretError::Pattern)).map(Arc::new);
            let secret =
                secret.map_err(|err| file.secret_error(name, &err.to_string(), err.hint(name.get_ref())));
            (name.get_ref().clone(), secret)
        });
        Secrets(secrets.collect())
    }

    #[cfg(test)]
    pub(crate) fn of<const N: usize>(values: [(&str, &str); N]) -> Secrets {
        let secret = |(name, value): (&str, &str)| (name.to_owned(), Ok(Arc::new(Secret::of(name, value))));
        Secrets(values.into_iter().map(secret).collect())
    }

    /// The secret of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Secret>> {
        self.0.get(name)?.as_ref().ok()
    }

    /// Why there is no secret of this name. `None` if there is one, or if it was never asked for.
    pub(crate) fn problem(&self, name: &str) -> Option<&Diagnostic> {
        self.0.get(name)?.as_ref().err()
    }

    /// The secrets that cannot be read, by name.
    pub(crate) fn problems(&self) -> impl Iterator<Item = (&str, &Diagnostic)> {
        self.0.iter().filter_map(|(name, secret)| Some((name.as_str(), secret.as_ref().err()?)))
    }
}

/// Reads the value of one secret, to see whether it can be used.
///
/// # Errors
/// Says why it cannot.
pub fn look(
    name: &str,
    source: SecretSource<'_>,
    file: &ConfigFile,
    unseal: Option<&dyn Unseal>,
) -> Result<(), SecretError> {
    read_apart(name, source, file, unseal).map(|_| ())
}

/// Reads the value of one secret, unless its files are others of the state folder: closing one of SQLite's would drop the
/// locks of this process.
fn read_apart(
    name: &str,
    source: SecretSource<'_>,
    file: &ConfigFile,
    unseal: Option<&dyn Unseal>,
) -> Result<Secret, SecretError> {
    let files: Vec<PathBuf> = match source {
        SecretSource::Env(_) => Vec::new(),
        SecretSource::File(path) => vec![file.folder().join(path)],
        SecretSource::Age { file: sealed, identity } => {
            vec![file.folder().join(sealed), file.folder().join(identity)]
        }
    };
    match files.into_iter().find(|path| file.is_of_state(path)) {
        Some(path) => Err(SecretError::State(path)),
        None => read(name, source, file.folder(), unseal),
    }
}

fn read(
    name: &str,
    source: SecretSource<'_>,
    folder: &Path,
    unseal: Option<&dyn Unseal>,
) -> Result<Secret, SecretError> {
    let bytes = match source {
        // Taken as it is: a shell has removed the line end already.
        SecretSource::Env(variable) => return Secret::new(name, value(variable_bytes(variable)?)?),
        SecretSource::File(path) => private(&folder.join(path)).map_err(|err| hidden(err, path))?,
        SecretSource::Age { file: sealed, identity } => {
            let unseal = unseal.ok_or(SecretError::NoUnseal)?;
            // First: without it the age file cannot be written either.
            let key = folder.join(identity);
            let identities = identities(&key).map_err(|err| hidden(err, identity))?;
            let path = folder.join(sealed);
            // The encrypted file protects itself, and is often under version control.
            let read = file::read(&path, FILE_BYTES_MAX);
            let read = read.map_err(|reason| SecretError::File { path: path.clone(), reason });
            let sealed = read.map_err(|err| hidden(err, sealed))?;
            let opened = unseal.unseal(&sealed, &identities);
            opened.map_err(|reason| SecretError::Sealed { path, identity: key, reason })?
        }
    };
    Secret::new(name, value(without_line_end(bytes))?)
}

/// An error that shows no value which is written in the place of a path.
fn hidden(error: SecretError, written: &Path) -> SecretError {
    match error {
        SecretError::File { path, .. } | SecretError::Identity { path, .. }
            if looks_like_value(written) && !path.exists() =>
        {
            SecretError::NoFile
        }
        error => error,
    }
}

/// Whether what is written for a path may be a value: a long word with digits. Values that begin with `/` are rare.
fn looks_like_value(written: &Path) -> bool {
    let is_word =
        |part: &OsStr| part.len() >= VALUE_WORD_BYTES_MIN && part.as_bytes().iter().any(u8::is_ascii_digit);
    written.is_relative() && written.iter().any(is_word)
}

/// The content of a file of identities, which this user alone can read.
///
/// # Errors
/// When it cannot be read, or others can.
pub fn identities(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    private(path).map_err(|err| match err {
        SecretError::File { path, reason } => SecretError::Identity { path, reason },
        err => err,
    })
}

/// The content of a file that this user alone can read.
///
/// # Errors
/// When it cannot be read, or others can.
fn private(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let failed = |reason| SecretError::File { path: path.to_owned(), reason };
    let open = file::open_private(path, FILE_BYTES_MAX).map_err(failed)?;
    let names = open.0.metadata().map_err(|err| failed(err.into()))?.nlink();
    if names > 1 {
        return Err(SecretError::Linked { path: path.to_owned(), names });
    }
    file::read_whole(open, FILE_BYTES_MAX).map(Zeroizing::new).map_err(failed)
}

fn variable_bytes(name: &str) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    #[expect(clippy::disallowed_methods, reason = "the registry names the variable")]
    match std::env::var(name) {
        Ok(value) => Ok(Zeroizing::new(value.into_bytes())),
        Err(std::env::VarError::NotPresent) => Err(SecretError::Unset(name.to_owned())),
        Err(std::env::VarError::NotUnicode(_)) => Err(SecretError::NotText(name.to_owned())),
    }
}

#[cfg(test)]
mod tests;
