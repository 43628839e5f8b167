//! What a registry names on the disk.
//!
//! Owns the one list of it, which is watched for changes and which the confinement of the process must cover. Must not
//! know what is done with it. To add something that a registry can name: a line in [`named`].

use std::path::{Path, PathBuf};

use airlock::config::{ConfigFile, SecretConfig};
use airlock::lock::Lock;
use airlock::signature::{envelope_path, minisign_path};
use airlock_types::grant::{Access, Grants};

/// A file or folder that a registry names, whether it is there or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Named {
    /// A file that the host reads.
    File(PathBuf),
    /// A folder that tools use.
    Folder(PathBuf, Access),
}

impl Named {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Named::File(path) | Named::Folder(path, _) => path,
        }
    }
}

/// A registry's file and its lock file.
pub(crate) fn own_files(registry: &Path) -> [PathBuf; 2] {
    [registry.to_owned(), Lock::path_of(registry)]
}

/// Everything that a registry names, itself included.
pub(crate) fn named(file: &ConfigFile) -> impl Iterator<Item = Named> {
    let at = |path: &Path| file.folder().join(path);
    let tools = || file.config.tools.values();
    let components = tools().map(move |tool| at(tool.component.get_ref()));
    let signatures = components.clone().flat_map(|path| [envelope_path(&path), minisign_path(&path)]);
    let jwks = file.config.oauth.iter().filter_map(|oauth| oauth.get_ref().jwks.file()).map(at);
    let secrets = file.config.secrets.values().flat_map(SecretConfig::files).map(move |path| at(path));
    let granted = tools().filter_map(|tool| tool.grants.as_ref()).map(|grants| grants.get_ref());
    let tried = tools().filter_map(|tool| tool.report.as_ref()).map(|report| &report.get_ref().grants);
    let folders = granted.chain(tried).flat_map(|Grants { files, .. }| files);
    let folders = folders.map(move |grant| Named::Folder(at(&grant.host), grant.access));
    let files =
        own_files(&file.path).into_iter().chain(components).chain(signatures).chain(jwks).chain(secrets);
    files.map(Named::File).chain(folders)
}
