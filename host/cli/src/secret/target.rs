//! Whether `airlock secret` may write or remove a file.
//!
//! A path in the registry may be a slip, and what it names would be gone: the registry itself, a component, a device. Owns
//! which files are refused: those that the registry uses for something else, those of the state folder, and those whose
//! content is not that of a secret. Must not know values.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::print::Message;
use airlock::config::{ConfigFile, ExportTo};
use airlock::file;
use airlock::lock::Lock;
use airlock::secret::{FILE_BYTES_MAX, store};
use airlock::signature::{envelope_path, minisign_path};

/// How an age file begins: in its binary form, and as text.
const AGE: [&[u8]; 2] = [b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----"];

/// Checks that a file is that of a secret, or that there is none yet.
///
/// # Errors
/// Says what it is instead.
pub(super) fn check(file: &ConfigFile, name: &str, path: &Path) -> Result<(), Message> {
    let refused = |what: String| {
        let (path, how) = (path.display(), "name a file of its own for the secret");
        Err(Message(format!("`{path}` is not written or removed as the file of `{name}`: {what}; {how}")))
    };
    let place = place(path);
    if let Some((what, _)) = others(file).into_iter().find(|(_, other)| self::place(other) == place) {
        return refused(format!("it is {what}"));
    }
    if store::is_of_state(file, path) {
        return refused("it lies in the state folder, whose files are the host's own".to_owned());
    }
    match file::read(path, FILE_BYTES_MAX) {
        Ok(content) if is_of_secret(&content) => Ok(()),
        Ok(_) => {
            refused("it holds something else than one value, which is one line, or an age file".to_owned())
        }
        Err(err) if err.is_not_found() => Ok(()),
        Err(err) => refused(err.to_string()),
    }
}

/// The files that a registry uses for something else than values, with what they are.
fn others(file: &ConfigFile) -> Vec<(String, PathBuf)> {
    let at = |path: &Path| file.folder().join(path);
    let own =
        [("the registry".to_owned(), file.path.clone()), ("its lock".to_owned(), Lock::path_of(&file.path))];
    let tools = file.config.tools.iter().flat_map(|(key, tool)| {
        let (key, component) = (key.get_ref(), at(tool.component.get_ref()));
        let signatures = [envelope_path(&component), minisign_path(&component)];
        let signatures = signatures.map(|path| (format!("a signature of the component of `{key}`"), path));
        signatures.into_iter().chain([(format!("the component of `{key}`"), component)])
    });
    let identities = file.config.secrets.iter().filter_map(|(name, secret)| {
        let identity = secret.identity.as_ref()?;
        Some((format!("the identity that decrypts `{}`", name.get_ref()), at(identity)))
    });
    let jwks = file.config.oauth.iter().filter_map(|oauth| oauth.get_ref().jwks.file());
    let jwks = jwks.map(|path| ("the file of `oauth.jwks`".to_owned(), at(path)));
    let checkpoints = match &file.config.journal.checkpoint.to {
        Some(ExportTo::File(path)) => Some(("the file of `journal.checkpoint.to`".to_owned(), at(path))),
        Some(ExportTo::Url(_)) | None => None,
    };
    own.into_iter().chain(tools).chain(identities).chain(jwks).chain(checkpoints).collect()
}

/// A file by its real folder and its name. A link is the link itself: that is what would be replaced or removed.
fn place(path: &Path) -> Option<(PathBuf, &OsStr)> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Where the folder does not exist, nothing is.
    Some((folder.canonicalize().ok()?, path.file_name()?))
}

/// Whether a content may be that of a secret. Also one that is not accepted: it is to be mended.
fn is_of_secret(content: &[u8]) -> bool {
    let line = content.strip_suffix(b"\n").unwrap_or(content);
    let is_line = !line.contains(&b'\n') && std::str::from_utf8(line).is_ok_and(|line| !line.contains('\0'));
    is_line || AGE.iter().any(|start| content.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_and_age_files_are_of_secrets() {
        for content in [
            "",
            "canary",
            "canary\r\n",
            "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n",
            "age-encryption.org/v1\n-> X\n",
        ] {
            assert!(is_of_secret(content.as_bytes()), "{content}");
        }
        for content in ["[tools.a]\ncomponent = \"a\"\n", "canary\n\n", "\0asm\r\0\u{1}\0"] {
            assert!(!is_of_secret(content.as_bytes()), "{content}");
        }
    }
}
