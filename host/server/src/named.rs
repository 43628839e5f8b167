//! What a registry names on the disk.
//!
//! Owns the one list of it, which is watched for changes and which the confinement of the process must cover. Must not
//! know what is done with it. To add something that a registry can name: a line in the function of what names it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use airlock::config::{ConfigFile, SecretConfig, ToolConfig};
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
    let secrets = file.config.secrets.values().flat_map(SecretConfig::files);
    let secrets = secrets.map(|path| Named::File(file.folder().join(path)));
    let entries = file.config.tools.values().flat_map(|tool| named_by(file, tool).map(|(named, _)| named));
    for_all(file).chain(secrets).chain(entries)
}

/// What a registry names for all entries: itself, and the keys of an OAuth server.
pub(crate) fn for_all(file: &ConfigFile) -> impl Iterator<Item = Named> {
    let jwks = file.config.oauth.iter().filter_map(|oauth| oauth.get_ref().jwks.file());
    let jwks = jwks.map(|path| file.folder().join(path));
    own_files(&file.path).into_iter().chain(jwks).map(Named::File)
}

/// What one entry names, with its place in the registry: its component with signatures, and the folders that it is granted
/// or that are tried.
pub(crate) fn named_by<'f>(
    file: &'f ConfigFile,
    tool: &'f ToolConfig,
) -> impl Iterator<Item = (Named, Range<usize>)> {
    let at = |path: &Path| file.folder().join(path);
    let component = at(tool.component.get_ref());
    let files = [envelope_path(&component), minisign_path(&component), component].map(Named::File);
    let granted = tool.grants.as_ref().map(|grants| (grants.get_ref(), grants.span()));
    let tried = tool.report.as_ref().map(|report| (&report.get_ref().grants, report.span()));
    let folders = granted.into_iter().chain(tried).flat_map(move |(Grants { files, .. }, place)| {
        files.iter().map(move |grant| (Named::Folder(at(&grant.host), grant.access), place.clone()))
    });
    files.into_iter().map(|named| (named, tool.component.span())).chain(folders)
}

/// The files of the secrets that one entry uses, with its place in the registry.
pub(crate) fn secrets_of<'f>(
    file: &'f ConfigFile,
    tool: &'f ToolConfig,
) -> impl Iterator<Item = (Named, Range<usize>)> {
    let grants = tool
        .grants
        .iter()
        .flat_map(|grants| grants.get_ref().http.iter().map(|grant| (grant, grants.span())));
    let used = grants.filter_map(|(grant, place)| Some((grant.secret.as_ref()?.name.as_str(), place)));
    used.flat_map(move |(name, place)| {
        let secret = file.config.secrets.iter().filter(move |(key, _)| key.get_ref() == name);
        let files = secret.flat_map(|(_, secret)| secret.files());
        files.map(move |path| (Named::File(file.folder().join(path)), place.clone()))
    })
}
