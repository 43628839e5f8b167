//! The files and folders that a confined process can reach.
//!
//! Owns which ones follow from a registry, and whether a later registry stays within them. The kernel's rules belong to
//! inodes and not to names: a folder that was made anew is another one. A rule for the folder *around* what the registry
//! names covers whatever takes its place there. Must not know the kernel's means.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use airlock::config::{ConfigFile, ExportTo};
use airlock::lock::{Lock, Pin};
use airlock_types::diagnostic::{Diagnostic, Diagnostics};
use airlock_types::grant::Access;

use super::system;
use crate::named::{Named, named, own_files};

/// How a file, or everything beneath a folder, can be reached. Ordered, the lesser first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Files can be read, and folders not listed.
    ReadFiles,
    /// It can be read.
    Read,
    /// It can be read and started.
    Execute,
    /// It can be read, changed, made and removed.
    Change,
}

/// One rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) path: PathBuf,
    pub(super) reach: Reach,
    inode: (u64, u64),
}

/// The rules of a process. Everything else is out of its reach.
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<Rule>);

/// A folder that a registry needs and no rule covers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct NotCovered {
    folder: PathBuf,
    reach: Reach,
}

impl Rules {
    /// The rules for a registry that was read.
    pub fn of(file: &ConfigFile) -> Rules {
        let mut reached: BTreeMap<PathBuf, Reach> = BTreeMap::new();
        let of_registry = named(file).flat_map(|named| around(&named));
        let state = existing(&file.state()).map(|path| (path, Reach::Change));
        let written = written(file).map(|folder| (folder, Reach::Change));
        for (path, reach) in of_registry.chain(state).chain(written).chain(system::places()) {
            let Ok(path) = path.canonicalize() else { continue };
            reached.entry(path).and_modify(|now| *now = (*now).max(reach)).or_insert(reach);
        }
        let is_beneath = |path: &Path, reach: Reach| {
            path.ancestors().skip(1).any(|above| reached.get(above).is_some_and(|given| *given >= reach))
        };
        // Fewer rules, and a shorter list for a reviewer.
        let own = reached.iter().filter(|(path, reach)| !is_beneath(path, **reach));
        Rules(own.filter_map(|(path, reach)| Rule::of(path.clone(), *reach)).collect())
    }

    /// The rules of a process that only starts this program.
    pub(super) fn of_starter() -> Rules {
        let places = system::to_start().into_iter();
        Rules(places.filter_map(|(path, reach)| Rule::of(path.canonicalize().ok()?, reach)).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }

    /// The folders beneath which files are read, and those beneath which they are changed, for a reviewer.
    pub fn folders(&self) -> (Vec<&Path>, Vec<&Path>) {
        let reached = |changed: bool| {
            let rules = self.0.iter().filter(move |rule| (rule.reach == Reach::Change) == changed);
            rules.map(|rule| rule.path.as_path()).collect()
        };
        (reached(false), reached(true))
    }

    /// Whether the rules cover what a registry names now.
    ///
    /// # Errors
    /// The folders that they do not cover.
    pub fn cover(&self, file: &ConfigFile) -> Result<(), Diagnostics> {
        let written = written(file).map(|folder| Named::Folder(folder, Access::ReadWrite));
        self.cover_all(named(file).chain(written))
    }

    /// Whether the rules cover the file of a registry and its lock.
    ///
    /// # Errors
    /// As [`Rules::cover`].
    pub fn cover_registry(&self, path: &Path) -> Result<(), Diagnostics> {
        self.cover_all(own_files(path).into_iter().map(Named::File))
    }

    fn cover_all(&self, named: impl Iterator<Item = Named>) -> Result<(), Diagnostics> {
        let missing: BTreeSet<NotCovered> = named.filter_map(|named| self.missing(&named)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Diagnostics(missing.iter().map(NotCovered::diagnostic).collect()))
    }

    /// What is lacking for one of them. One that is not there is found missing where it is loaded.
    fn missing(&self, named: &Named) -> Option<NotCovered> {
        let target = named.path().canonicalize().ok()?;
        let reach = match named {
            Named::File(_) | Named::Folder(_, Access::Read) => Reach::Read,
            Named::Folder(_, Access::ReadWrite) => Reach::Change,
        };
        // As the kernel does: from the file up to the root, by inode.
        let is_covered = target.ancestors().any(|step| {
            let inode = inode(step);
            self.0.iter().any(|rule| Some(rule.inode) == inode && rule.reach >= reach)
        });
        let folder = match named {
            Named::File(_) => target.parent()?.to_owned(),
            Named::Folder(..) => target,
        };
        (!is_covered).then_some(NotCovered { folder, reach })
    }
}

impl Rule {
    fn of(path: PathBuf, reach: Reach) -> Option<Rule> {
        let inode = inode(&path)?;
        Some(Rule { path, reach, inode })
    }
}

impl NotCovered {
    fn diagnostic(&self) -> Diagnostic {
        let NotCovered { folder, reach } = self;
        let how = if *reach == Reach::Change { "changed" } else { "read" };
        let message = format!(
            "restart needed: files in `{}` are to be {how}, and the process was confined to other folders when it started",
            folder.display()
        );
        let hint = "restart the server, or take the change back; a server with `host.confine = \"off\"` is not confined";
        Diagnostic::without_place(message, Some(hint.into()))
    }
}

/// The places whose rules cover what a registry names: of a file the folder around it, and the folder around the file that
/// it leads to. Of a folder the same, so that another one may take its place; a right to change things is not given
/// around it, where the registry or a shell's settings may be.
fn around(named: &Named) -> Vec<(PathBuf, Reach)> {
    let path = named.path();
    let target = path.canonicalize().ok();
    let beside = target.as_deref().and_then(Path::parent).map(Path::to_owned);
    let parents = [existing(folder_of(path)), beside].into_iter().flatten();
    match named {
        Named::File(_) => {
            // The file itself is covered where the folder around it is the root.
            let parents = parents.filter(|path| path.parent().is_some());
            parents.chain(target.clone()).map(|path| (path, Reach::Read)).collect()
        }
        Named::Folder(_, access) => {
            let parents = parents.filter(|path| !is_wide(path)).map(|path| (path, Reach::Read));
            let reach = if *access == Access::ReadWrite { Reach::Change } else { Reach::Read };
            parents.chain(target.map(|target| (target, reach))).collect()
        }
    }
}

/// The folders of files that a server writes: of the lock, if it says that changes are accepted, which are written into it when
/// they are served; and of the checkpoints that are exported to a file.
fn written(file: &ConfigFile) -> impl Iterator<Item = PathBuf> {
    let lock = Lock::read(file).ok().filter(|lock| lock.pin() == Pin::Accept);
    let lock = lock.map(|lock| folder_of(lock.path()).to_owned());
    let checkpoints = match &file.config.journal.checkpoint.to {
        Some(ExportTo::File(path)) => Some(folder_of(&file.folder().join(path)).to_owned()),
        Some(ExportTo::Url(_)) | None => None,
    };
    lock.into_iter().chain(checkpoints)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The root and the user's home: a granted folder in one of these does not open all of it.
fn is_wide(path: &Path) -> bool {
    path.parent().is_none() || std::env::home_dir().is_some_and(|home| home == path)
}

/// The nearest folder that exists, since what a registry names may come later.
fn existing(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().find_map(|folder| {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        folder.canonicalize().ok()
    })
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
}
