//! The files that a registry uses, with what each is used for, so that none is written over by mistake.
//!
//! Owns the list for what a host or the program writes to a path that an operator names: the export of checkpoints, and the
//! files of secrets. Must not know who writes.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::{ConfigFile, ExportTo, paths};
use crate::signature::{envelope_path, minisign_path};
use airlock_types::diagnostic::Diagnostic;

/// The folder for secrets that the registry does not declare yet, below the state folder, which no tool can be granted.
pub(crate) const SECRETS_FOLDER: &str = "secrets";

/// The setting that names the file of checkpoints.
const TO: &str = "journal.checkpoint.to";

impl ConfigFile {
    /// The files that the registry uses for something else than values of secrets, with what they are.
    pub fn used_files(&self) -> Vec<(String, PathBuf)> {
        let checkpoints = self.checkpoint_file().map(|path| (format!("the file of `{TO}`"), path));
        self.read_files().into_iter().chain(checkpoints).collect()
    }

    /// The file that checkpoints are appended to.
    pub fn checkpoint_file(&self) -> Option<PathBuf> {
        match &self.config.journal.checkpoint.to {
            Some(ExportTo::File(path)) => Some(self.folder().join(path)),
            Some(ExportTo::Url(_)) | None => None,
        }
    }

    /// A registry that lies where its lock belongs: `airlock lock` would write over it.
    pub(super) fn lock_problem(&self) -> Option<Diagnostic> {
        let message = format!("the registry `{}` has the name of its own lock", self.path.display());
        let hint = "give it another one, such as `airlock.toml`".to_owned();
        (lock_path(&self.path) == self.path).then(|| Diagnostic::without_place(message, Some(hint)))
    }

    /// Whether a file is one of the state folder, or would be. Its folder for secrets is none of the host's own.
    pub fn is_of_state(&self, path: &Path) -> bool {
        self.is_in_state(path, |state, path| {
            path.starts_with(state) && !path.starts_with(state.join(SECRETS_FOLDER))
        })
    }

    /// What checkpoints must not be appended to. Looks at the disk.
    pub(crate) fn checkpoint_problem(&self) -> Option<Diagnostic> {
        let path = self.checkpoint_file()?;
        let what = self.not_for_checkpoints(&path)?;
        let message = format!("checkpoints cannot be appended to `{}` (`{TO}`): {what}", path.display());
        let hint = "name a file of its own for them, best on another machine".to_owned();
        Some(match paths::place_of(&self.source, TO) {
            Some(span) => self.error(span, message, "named here", Some(hint)),
            None => Diagnostic::without_place(message, Some(hint)),
        })
    }

    fn not_for_checkpoints(&self, path: &Path) -> Option<String> {
        // Also what a link leads to: it is opened, and not replaced.
        let places: Vec<_> = [place(path), path.canonicalize().ok().as_deref().and_then(place)].into();
        let secrets = self.config.secrets.iter().flat_map(|(name, secret)| {
            let what = format!("the file of the secret `{}`", name.get_ref());
            secret.files().map(move |path| (what.clone(), self.folder().join(path)))
        });
        let used = self.read_files().into_iter().chain(secrets);
        let is_it = |used: &Path| {
            let all = [place(used), used.canonicalize().ok().as_deref().and_then(place)];
            all.into_iter().flatten().any(|place| places.contains(&Some(place)))
        };
        if let Some((what, _)) = used.into_iter().find(|(_, used)| is_it(used)) {
            Some(format!("it is {what}"))
        } else if self.is_in_state(path, |state, path| path.starts_with(state)) {
            Some("it lies in the state folder, whose files are the host's own".to_owned())
        } else if path.metadata().is_ok_and(|found| !found.is_file()) {
            Some("it is not a file".to_owned())
        } else {
            None
        }
    }

    /// The files that are read, but for those of secrets' values.
    fn read_files(&self) -> Vec<(String, PathBuf)> {
        let at = |path: &Path| self.folder().join(path);
        let own =
            [("the registry".to_owned(), self.path.clone()), ("its lock".to_owned(), lock_path(&self.path))];
        let tools = self.config.tools.iter().flat_map(|(key, tool)| {
            let (key, component) = (key.get_ref(), at(tool.component.get_ref()));
            let signatures = [envelope_path(&component), minisign_path(&component)];
            let signatures =
                signatures.map(|path| (format!("a signature of the component of `{key}`"), path));
            signatures.into_iter().chain([(format!("the component of `{key}`"), component)])
        });
        let identities = self.config.secrets.iter().filter_map(|(name, secret)| {
            let identity = secret.identity.as_ref()?;
            Some((format!("the identity that decrypts `{}`", name.get_ref()), at(identity)))
        });
        let jwks = self.config.oauth.iter().filter_map(|oauth| oauth.get_ref().jwks.file());
        let jwks = jwks.map(|path| ("the file of `oauth.jwks`".to_owned(), at(path)));
        own.into_iter().chain(tools).chain(identities).chain(jwks).collect()
    }

    fn is_in_state(&self, path: &Path, is_own: impl Fn(&Path, &Path) -> bool) -> bool {
        let Ok(state) = self.state().canonicalize() else { return false };
        // Resolved, so that a link into the state folder is found; of a file that is not there yet, its folder.
        let beside = place(path).map(|(folder, name)| folder.join(name));
        path.canonicalize().ok().into_iter().chain(beside).any(|path| is_own(&state, &path))
    }
}

/// Where the lock of a registry lies: `airlock.lock` for `airlock.toml`.
pub(crate) fn lock_path(registry: &Path) -> PathBuf {
    registry.with_extension("lock")
}

/// A file by its real folder and its name. A link is the link itself.
pub fn place(path: &Path) -> Option<(PathBuf, OsString)> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Where the folder does not exist, nothing is.
    Some((folder.canonicalize().ok()?, path.file_name().map(OsStr::to_owned)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_does_not_lie_where_its_lock_belongs() {
        let said = |path: &str| ConfigFile::parse("", Path::new(path)).map_err(|err| err.to_string());
        assert!(said("a/tools.lock").unwrap_err().contains("the name of its own lock"));
        assert!(said("a/lock").is_ok() && said("a/tools.lock.toml").is_ok());
    }

    #[test]
    fn checkpoints_have_a_file_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for made in [".airlock/secrets", "kept"] {
            std::fs::create_dir_all(at(made)).unwrap();
        }
        std::fs::write(at("t.wasm"), "").unwrap();
        std::os::unix::fs::symlink("t.wasm", at("link")).unwrap();
        let said = |to: &str| {
            let text = format!(
                "[journal]\ncheckpoint.to = {to:?}\n[tools.t]\ncomponent = \"t.wasm\"\n[secrets.K]\nfile = \"k\"\n"
            );
            let file = ConfigFile::parse(&text, &at("airlock.toml")).unwrap();
            file.checkpoint_problem().map(|problem| problem.render(false)).unwrap_or_default()
        };
        for (to, what) in [
            ("airlock.toml", "it is the registry"),
            ("./kept/../airlock.lock", "it is its lock"),
            ("t.wasm", "it is the component of `t`"),
            ("link", "it is the component of `t`"),
            ("t.wasm.minisig", "it is a signature of the component of `t`"),
            ("k", "it is the file of the secret `K`"),
            (".airlock/journal.db", "it lies in the state folder"),
            (".airlock/secrets/K", "it lies in the state folder"),
            (".", "it is not a file"),
            ("kept", "it is not a file"),
        ] {
            let said = said(to);
            assert!(said.contains(what) && said.contains("airlock.toml:2"), "{to}: {said}");
        }
        for to in ["kept/checkpoints.txt", "checkpoints.txt", "none/checkpoints.txt"] {
            assert_eq!(said(to), "", "{to}");
        }
    }
}
