//! Files of secrets, as `airlock secret` writes and removes them.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::{ConfigFile, SECRETS_FOLDER};
use crate::file;
use airlock_journal::state;
use airlock_journal::state::StateError;

/// The file of a secret that the registry does not declare yet.
pub fn undeclared(file: &ConfigFile, name: &str) -> PathBuf {
    file.state().join(SECRETS_FOLDER).join(name)
}

/// The names of files below the state folder.
///
/// # Errors
/// When the folder cannot be read.
pub fn stored(file: &ConfigFile) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(file.state().join(SECRETS_FOLDER)) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names)
}

/// Makes the folder for secrets that the registry does not declare yet, or checks it.
///
/// # Errors
/// When the state folder cannot be used.
pub fn folder(file: &ConfigFile) -> Result<(), StateError> {
    state::folder(&file.state())?;
    state::folder(&file.state().join(SECRETS_FOLDER))
}

/// Writes a file that this user alone can read. It replaces an older one at once, so that a host that reads it meanwhile
/// gets one or the other.
///
/// # Errors
/// When the disk fails.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    // A bare file name has an empty parent, which is not a path that can be opened.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    state::make_folder(folder)?;
    file::replace(path, content, Some(0o600))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_written_file_is_of_this_user_alone_and_replaces_the_older_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/k");
        write(&path, b"first").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left aside");
    }
}
