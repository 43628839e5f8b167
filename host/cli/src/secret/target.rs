//! Whether `airlock secret` may write or remove a file.
//!
//! A path in the registry may be a slip, and what it names would be gone: the registry itself, a component, a device. Owns
//! which files are refused: those that the registry uses for something else, those of the state folder, and those whose
//! content is not that of a secret. Must not know values.

use std::path::Path;

use crate::print::Message;
use airlock::config::ConfigFile;
use airlock::secret::FILE_BYTES_MAX;
use airlock::{config, file};

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
    // A link is the link itself: that is what would be replaced or removed.
    let place = config::place(path);
    if let Some((what, _)) = file.used_files().into_iter().find(|(_, used)| config::place(used) == place) {
        return refused(format!("it is {what}"));
    }
    if file.is_of_state(path) {
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
