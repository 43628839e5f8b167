//! The files and folders that a confined process can reach.
//!
//! Owns which ones follow from a registry, and whether a later registry stays within them. The kernel's rules belong to
//! inodes and not to names: a folder that was made anew is another one. A rule for the folder *around* what the registry
//! names covers whatever takes its place there. Must not know the kernel's means.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use airlock::config::ConfigFile;
use airlock::lock::{Lock, Pin};
use airlock::registry::OutOfReach;
use airlock_types::diagnostic::{Diagnostic, Diagnostics};
use airlock_types::grant::Access;

use super::system;
use crate::named::{Named, for_all, named, named_by, own_files, secrets_of};

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

/// Something that a registry needs and no rule covers: a folder, or a file in the user's home.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct NotCovered {
    path: PathBuf,
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

    /// What a reviewer should know of how far the rules reach on this machine, as sentences.
    pub fn notes(&self) -> Vec<String> {
        let etc = |rule: &&Rule| rule.reach == Reach::ReadFiles && rule.path == Path::new("/etc");
        let note = "the files of `/etc` can be read by them, since `/etc/resolv.conf` is missing or a plain file, which is \
                    replaced when name servers change: run them as a user to whom `/etc/shadow` is closed";
        self.0.iter().find(etc).map(|_| note.to_owned()).into_iter().collect()
    }

    /// What an operator should change in a registry for the sake of its confinement, as sentences.
    pub fn warnings(file: &ConfigFile) -> Vec<String> {
        let is_in_home = |named| matches!(&named, Named::File(path) if is_wide(&folder_around(path)));
        let warning = "the registry or a file that it names lies in your home or above it, and that folder is not opened \
                       for it: when the file is replaced, a server that runs must be restarted; put it into a folder of \
                       its own";
        named(file).any(is_in_home).then(|| warning.to_owned()).into_iter().collect()
    }

    /// The entries of a registry that the rules do not cover.
    ///
    /// # Errors
    /// What belongs to no entry and is not covered, beside the problems of the entries.
    pub fn cover(&self, file: &ConfigFile) -> Result<OutOfReach, Diagnostics> {
        let mut entries = OutOfReach::new();
        for (key, tool) in &file.config.tools {
            let needed = named_by(file, tool).chain(secrets_of(file, tool));
            let lacking = needed.filter_map(|(named, place)| Some((self.missing(&named)?, place)));
            // Each once.
            let lacking: BTreeMap<NotCovered, Range<usize>> = lacking.collect();
            let problems: Vec<_> =
                lacking.iter().map(|(lacks, place)| lacks.at(file, place.clone())).collect();
            if !problems.is_empty() {
                entries.insert(key.get_ref().clone(), Diagnostics(problems));
            }
        }
        let written = written(file).chain([file.state()]);
        let written = written.map(|folder| Named::Folder(folder, Access::ReadWrite));
        let lacking = self.lacking(for_all(file).chain(written));
        if lacking.is_empty() {
            return Ok(entries);
        }
        let of_all =
            lacking.iter().map(|lacks| Diagnostic::without_place(lacks.message(), Some(HINT.into())));
        Err(Diagnostics(of_all.chain(entries.into_values().flat_map(|problems| problems.0)).collect()))
    }

    /// Whether the rules cover the file of a registry and its lock.
    ///
    /// # Errors
    /// What they do not cover. The file then cannot be read, and it is not known what it takes away.
    pub fn cover_registry(&self, path: &Path) -> Result<(), Diagnostics> {
        let lacking = self.lacking(own_files(path).into_iter().map(Named::File));
        if lacking.is_empty() {
            return Ok(());
        }
        let problem = |lacks: &NotCovered| {
            let message = format!("{}; {UNREAD}", lacks.message());
            Diagnostic::without_place(message, Some(HINT.into()))
        };
        Err(Diagnostics(lacking.iter().map(problem).collect()))
    }

    fn lacking(&self, named: impl Iterator<Item = Named>) -> BTreeSet<NotCovered> {
        named.filter_map(|named| self.missing(&named)).collect()
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
        (!is_covered).then_some(NotCovered { path: target, reach })
    }
}

/// What to do about something that is not covered.
const HINT: &str =
    "restart the server, or take the change back; a server with `host.confine = \"off\"` is not confined";

/// What holds while a registry's file is out of reach.
const UNREAD: &str = "the registry cannot be read, so everything that was served stays in force until the restart, also tools, \
                      grants and tokens that it no longer names";

impl Rule {
    fn of(path: PathBuf, reach: Reach) -> Option<Rule> {
        let inode = inode(&path)?;
        Some(Rule { path, reach, inode })
    }
}

impl NotCovered {
    fn message(&self) -> String {
        let NotCovered { path, reach } = self;
        let path = path.display();
        let needs = match reach {
            Reach::Change => format!("files in `{path}` are to be changed"),
            Reach::ReadFiles | Reach::Read | Reach::Execute => format!("`{path}` is to be read"),
        };
        format!("restart needed: {needs}, and this process was confined to other folders when it started")
    }

    fn at(&self, file: &ConfigFile, place: Range<usize>) -> Diagnostic {
        file.error(place, self.message(), "named here", Some(HINT.into()))
    }
}

/// The places whose rules cover what a registry names: of a file the folder around it, and the folder around the file that
/// it leads to. Of a folder the same, so that another one may take its place; a right to change things is not given
/// around it, where the registry or a shell's settings may be. A folder that is wide is not opened for what is in it.
fn around(named: &Named) -> Vec<(PathBuf, Reach)> {
    let path = named.path();
    let target = path.canonicalize().ok();
    let beside = target.as_deref().map(folder_around);
    let parents = [Some(folder_around(path)), beside].into_iter().flatten().filter(|path| !is_wide(path));
    let reach = match named {
        Named::Folder(_, Access::ReadWrite) => Reach::Change,
        // The file itself is covered where the folder around it is not.
        Named::File(_) | Named::Folder(_, Access::Read) => Reach::Read,
    };
    let parents: Vec<_> = parents.map(|path| (path, Reach::Read)).collect();
    parents.into_iter().chain(target.map(|target| (target, reach))).collect()
}

/// The folders of files that a server writes: of the lock, if it says that changes are accepted, which are written into it when
/// they are served; and of the checkpoints that are exported to a file.
fn written(file: &ConfigFile) -> impl Iterator<Item = PathBuf> {
    let lock = Lock::read(file).ok().filter(|lock| lock.pin() == Pin::Accept);
    let lock = lock.map(|lock| folder_of(lock.path()).to_owned());
    let checkpoints = file.checkpoint_file().map(|path| folder_of(&path).to_owned());
    lock.into_iter().chain(checkpoints)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The existing folder around a path.
fn folder_around(path: &Path) -> PathBuf {
    existing(folder_of(path)).unwrap_or_else(|| folder_of(path).to_owned())
}

/// The user's home and the folders above it: what lies in one of these does not open all of it.
fn is_wide(path: &Path) -> bool {
    let home = std::env::home_dir().and_then(|home| home.canonicalize().ok());
    path.parent().is_none() || home.is_some_and(|home| home.starts_with(path))
}

/// The nearest folder that exists, since what a registry names may come later.
pub(super) fn existing(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().find_map(|folder| {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        folder.canonicalize().ok()
    })
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
}
