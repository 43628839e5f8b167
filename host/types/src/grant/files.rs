//! `files`: folders of the host.
//!
//! The pure part: what is requested and granted, and how the two meet. Owns the defaults of a grant's bounds. The host
//! functions are the engine's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::written::quoted;
use super::{GrantProblem, IMPLIED, Missing};
use crate::difference::Difference;
use crate::effect::Effect;

/// The name in registries, contracts, records and replies.
pub const NAME: &str = "files";

/// Bytes that one call writes when a grant does not say: a report or a table, and no dump. A call receives as much from
/// other hosts.
pub const BYTES_MAX: u64 = 8 << 20;

/// Files, folders and links that one call creates when a grant does not say: a result with its parts, and no tree.
pub const FILES_MAX: u32 = 32;

/// Size of one file when a grant does not say: what one call can write. Without it, a file that every call appends to
/// would grow without end.
pub const FILE_BYTES_MAX: u64 = BYTES_MAX;

/// A request for a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesRequest {
    /// The guest's path of the folder.
    pub path: String,
    /// How it is to be used.
    #[serde(default)]
    pub access: Access,
    /// Why the tool needs it.
    pub reason: String,
    /// Whether the tool runs without it.
    #[serde(default)]
    pub optional: bool,
}

/// How a folder may be used; ordered, the lesser first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Reading only.
    #[default]
    Read,
    /// Reading, and changing everything beneath the folder.
    ReadWrite,
}

impl Access {
    /// The access as contracts and registries spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Access::Read => "read",
            Access::ReadWrite => "read-write",
        }
    }
}

/// A folder of the host's, shown to a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesGrant {
    /// The host's folder; a relative one is relative to the registry's file.
    pub host: PathBuf,
    /// The guest's path of the folder.
    pub guest: String,
    /// How it may be used.
    #[serde(default)]
    pub access: Access,
    /// Most bytes that one call writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_max: Option<u64>,
    /// Most files, folders and links that one call creates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_max: Option<u32>,
    /// Largest size of one file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_bytes_max: Option<u64>,
}

/// The bounds of what one call changes beneath a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the grant")]
pub struct WriteBounds {
    pub bytes_max: u64,
    pub files_max: u32,
    pub file_bytes_max: u64,
}

impl FilesGrant {
    /// The bounds of changes beneath the folder; `None` where it may only be read.
    pub fn bounds(&self) -> Option<WriteBounds> {
        let FilesGrant { host: _, guest: _, access, bytes_max, files_max, file_bytes_max } = self;
        (*access == Access::ReadWrite).then(|| WriteBounds {
            bytes_max: bytes_max.unwrap_or(BYTES_MAX),
            files_max: files_max.unwrap_or(FILES_MAX),
            file_bytes_max: file_bytes_max.unwrap_or(FILE_BYTES_MAX),
        })
    }

    /// The same grant for reading only.
    #[must_use]
    pub fn reading(self) -> FilesGrant {
        // Bounds go with the right that they bound.
        let FilesGrant { host, guest, access: _, bytes_max: _, files_max: _, file_bytes_max: _ } = self;
        FilesGrant {
            host,
            guest,
            access: Access::Read,
            bytes_max: None,
            files_max: None,
            file_bytes_max: None,
        }
    }

    /// The first bound that the grant sets.
    fn first_bound(&self) -> Option<&'static str> {
        let set = [
            ("bytes_max", self.bytes_max.is_some()),
            ("files_max", self.files_max.is_some()),
            ("file_bytes_max", self.file_bytes_max.is_some()),
        ];
        set.into_iter().find_map(|(name, is_set)| is_set.then_some(name))
    }

    /// What is wrong with the grant on every machine. The file system is not asked.
    pub(super) fn problem(&self) -> Option<GrantProblem> {
        let guest = &self.guest;
        let problem = |message: String, hint| Some(GrantProblem { message, hint });
        // A guest's paths are absolute, and `..` could name a folder above the grant.
        if !guest.starts_with('/') || guest.contains("..") {
            return problem(format!("`{guest}` is not an absolute path of a guest"), "write `/data`");
        }
        if guest.contains(char::is_control) {
            let message =
                format!("`{}` has control characters, and no guest can write it", guest.escape_debug());
            return problem(message, "write `/data`");
        }
        if let (Access::Read, Some(bound)) = (self.access, self.first_bound()) {
            let message = format!("the grant of `{guest}` has `{bound}` and is for reading only");
            return problem(message, "write `access = \"read-write\"`, or leave the bounds out");
        }
        if self.bytes_max == Some(0) || self.file_bytes_max == Some(0) {
            let message = format!("the grant of `{guest}` lets no byte be written");
            return problem(message, "write at least 1, or leave `access` out for reading only");
        }
        None
    }

    /// Whether it lies within a request, as the same folder or one below it.
    fn lies_in(&self, request: &FilesRequest) -> bool {
        below(&request.path, &self.guest).is_some()
    }

    /// Whether it gives what a request asks for.
    fn serves(&self, request: &FilesRequest) -> bool {
        self.lies_in(request) && self.access >= request.access
    }
}

/// The path of a guest that two grants have, of which only one would be found.
pub(super) fn twice(grants: &[FilesGrant]) -> Option<GrantProblem> {
    let mut seen = BTreeSet::new();
    let grant = grants.iter().find(|grant| !seen.insert(normal(&grant.guest)))?;
    let message = format!("two folders are granted as `{}`", grant.guest);
    Some(GrantProblem { message, hint: "give each folder a `guest` path of its own" })
}

/// The rest of a guest's path below another one, without slashes around it. `None` for one that is not below.
pub(super) fn below<'p>(folder: &str, path: &'p str) -> Option<&'p str> {
    // `/data/` and `/data` are the same folder. The rest must be empty or begin with `/`, or `/data` would have
    // `/database` below it.
    let rest = path.trim_end_matches('/').strip_prefix(folder.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_start_matches('/'))
}

/// A guest's path as it is compared: without empty parts, dots, and a slash at its end.
pub fn normal(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    format!("/{}", parts.join("/"))
}

/// Whether both are the path of one folder.
pub fn is_same(one: &str, other: &str) -> bool {
    one == other || normal(one) == normal(other)
}

/// Whether an entry for this folder and access admits a use.
pub(super) fn admits((folder, given): (&str, Access), (access, path): (Access, &str)) -> bool {
    // A path with dots may lead anywhere.
    let is_plain = path.split('/').all(|part| part != "..");
    is_plain && access <= given && below(folder, path).is_some()
}

/// A plain component does not say which folders it wants, so it requests those that are granted.
pub(super) fn implied(grants: &[FilesGrant]) -> Vec<FilesRequest> {
    let request = |grant: &FilesGrant| FilesRequest {
        path: grant.guest.clone(),
        access: grant.access,
        reason: IMPLIED.into(),
        optional: true,
    };
    grants.iter().map(request).collect()
}

/// ∩: the grants that lie within a request, each with the lesser access of the two.
pub(super) fn effective(requests: &[FilesRequest], grants: &[FilesGrant]) -> Vec<FilesGrant> {
    // A grant is used whole or not at all. One above the requested folder is left out, as it would show folders that
    // the author did not ask for.
    let shared = |grant: &FilesGrant| {
        let asked = requests.iter().filter(|request| grant.lies_in(request)).map(|request| request.access);
        let access = asked.max()?.min(grant.access);
        Some(if access == grant.access { grant.clone() } else { grant.clone().reading() })
    };
    grants.iter().filter_map(shared).collect()
}

/// The strongest effect that a list of folders makes possible.
pub fn effect(effective: &[FilesGrant]) -> Effect {
    match effective.iter().map(|grant| grant.access).max() {
        Some(Access::ReadWrite) => Effect::Write,
        Some(Access::Read) => Effect::Read,
        None => Effect::Pure,
    }
}

/// The guest's paths of folders that are granted for writing and that a contract asks to read only.
pub fn narrowed<'g>(grants: &'g [FilesGrant], effective: &'g [FilesGrant]) -> impl Iterator<Item = &'g str> {
    let is_narrowed = |grant: &&FilesGrant| {
        let same = |kept: &&FilesGrant| (&kept.host, &kept.guest) == (&grant.host, &grant.guest);
        effective.iter().find(same).is_some_and(|kept| kept.access < grant.access)
    };
    grants.iter().filter(is_narrowed).map(|grant| grant.guest.as_str())
}

/// The requests that no effective grant serves.
pub(super) fn missing(requests: &[FilesRequest], effective: &[FilesGrant]) -> Vec<Missing> {
    let unserved = |request: &&FilesRequest| !effective.iter().any(|grant| grant.serves(request));
    let missing = |request: &FilesRequest| Missing {
        capability: NAME.into(),
        asked: format!("{} ({})", request.path, request.access.as_str()),
        reason: request.reason.clone(),
        grant: line(request),
        optional: request.optional,
    };
    requests.iter().filter(unserved).map(missing).collect()
}

/// The setting that grants a request, without what has a default.
fn line(FilesRequest { path, access, reason: _, optional: _ }: &FilesRequest) -> String {
    let access = match access {
        Access::Read => "",
        Access::ReadWrite => ", access = \"read-write\"",
    };
    format!("grants.{NAME} = [{{ host = \"…\", guest = {}{access} }}]", quoted(path))
}

/// What differs between two lists of requests, by path.
pub(super) fn differences(old: &[FilesRequest], new: &[FilesRequest]) -> Vec<Difference> {
    let (Some(old_paths), Some(new_paths)) = (by_path(old), by_path(new)) else {
        // A folder is requested twice. Which of the two requests counts is undefined, so any change is wider.
        return Difference::of(&[NAME], &old, &new, true).into_iter().collect();
    };
    let paths: BTreeSet<&str> = old_paths.keys().chain(new_paths.keys()).copied().collect();
    let change = |path| one_path(path, old_paths.get(path).copied(), new_paths.get(path).copied());
    paths.into_iter().flat_map(change).collect()
}

fn by_path(requests: &[FilesRequest]) -> Option<BTreeMap<&str, &FilesRequest>> {
    let map: BTreeMap<_, _> = requests.iter().map(|request| (request.path.as_str(), request)).collect();
    // A shorter map means that a path occurs twice.
    (map.len() == requests.len()).then_some(map)
}

fn one_path(path: &str, old: Option<&FilesRequest>, new: Option<&FilesRequest>) -> Vec<Difference> {
    let (Some(old), Some(new)) = (old, new) else {
        return Difference::of(&[NAME, path], &old, &new, new.is_some()).into_iter().collect();
    };
    let FilesRequest { path: _, access, reason, optional } = old;
    let parts = [
        Difference::of(&[NAME, path, "access"], access, &new.access, new.access > *access),
        Difference::of(&[NAME, path, "optional"], optional, &new.optional, new.optional),
        // Another reason permits nothing more.
        Difference::of(&[NAME, path, "reason"], reason, &new.reason, false),
    ];
    parts.into_iter().flatten().collect()
}
