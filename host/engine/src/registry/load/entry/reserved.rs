//! What no grant of a registry may reach.

use std::path::{Path, PathBuf};

use crate::capability::Reserved;
use crate::config::ConfigFile;
use crate::signature::{envelope_path, minisign_path};

/// The folders of the host that no tool may read, and the files that none may change. `apart` is the folder of a journal
/// that does not lie in the state folder.
pub(in crate::registry::load) fn reserved(file: &ConfigFile, apart: Option<&Path>) -> Reserved {
    let state = file.state().canonicalize().ok().map(|state| (state, "state folder"));
    let apart = apart.map(|folder| (folder.to_owned(), "folder of the journal"));
    let at = |path: &Path| file.folder().join(path);
    let tools = file.config.tools.values();
    let components = tools.map(|tool| (at(tool.component.get_ref()), "component"));
    let signatures = file.config.tools.values().map(|tool| at(tool.component.get_ref()));
    let signatures = signatures.flat_map(|path| [envelope_path(&path), minisign_path(&path)]);
    let signatures = signatures.map(|path| (path, "signature"));
    let oauth = file.config.oauth.iter();
    let keys = oauth.filter_map(|oauth| oauth.get_ref().jwks.file()).map(|path| (at(path), "key set"));
    let checkpoints = file.checkpoint_file().map(|path| (path, "file of checkpoints"));
    // The lock lies beside the registry.
    let registry: (PathBuf, &str) = (file.path.clone(), "registry");
    Reserved {
        private: state.into_iter().chain(apart).collect(),
        own: std::iter::once(registry)
            .chain(components)
            .chain(signatures)
            .chain(keys)
            .chain(checkpoints)
            .collect(),
    }
}
