//! `files`: folders of the host, read-only.
//!
//! The pure part: what is requested and granted, and how the two meet. The host functions are the engine's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{GrantProblem, IMPLIED, Missing};
use crate::difference::Difference;

/// The name in registries, contracts, records and replies.
pub const NAME: &str = "files";

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

/// How a folder may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Reading only.
    #[default]
    Read,
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
}

impl FilesGrant {
    /// What is wrong with the grant on every machine. The file system is not asked.
    pub(super) fn problem(&self) -> Option<GrantProblem> {
        // A guest's paths are absolute, and `..` could name a folder above the grant.
        let is_path = self.guest.starts_with('/') && !self.guest.contains("..");
        (!is_path).then(|| GrantProblem {
            message: format!("`{}` is not an absolute path of a guest", self.guest),
            hint: "write `/data`",
        })
    }

    /// ⊆: whether it lies within a request, as the same folder or one below it.
    fn is_within(&self, request: &FilesRequest) -> bool {
        // `/data/` and `/data` are the same folder. The rest must be empty or begin with `/`, or a request for
        // `/data` would admit a grant of `/database`.
        let asked = request.path.trim_end_matches('/');
        let rest = self.guest.trim_end_matches('/').strip_prefix(asked);
        request.access == self.access && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
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

/// ∩: the grants that lie within a request.
pub(super) fn effective(requests: &[FilesRequest], grants: &[FilesGrant]) -> Vec<FilesGrant> {
    // A grant is used whole or not at all. One above the requested folder is left out, as it would show folders that
    // the author did not ask for.
    let requested = |grant: &&FilesGrant| requests.iter().any(|request| grant.is_within(request));
    grants.iter().filter(requested).cloned().collect()
}

/// The requests that no effective grant serves.
pub(super) fn missing(requests: &[FilesRequest], effective: &[FilesGrant]) -> Vec<Missing> {
    let unserved = |request: &&FilesRequest| !effective.iter().any(|grant| grant.is_within(request));
    let missing = |request: &FilesRequest| Missing {
        capability: NAME.into(),
        asked: format!("{} (read)", request.path),
        reason: request.reason.clone(),
        grant: format!("grants.{NAME} = [{{ host = \"…\", guest = \"{}\" }}]", request.path),
        optional: request.optional,
    };
    requests.iter().filter(unserved).map(missing).collect()
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
        // Kinds of access have no order, so any change of them counts as wider.
        Difference::of(&[NAME, path, "access"], access, &new.access, true),
        Difference::of(&[NAME, path, "optional"], optional, &new.optional, new.optional),
        // Another reason permits nothing more.
        Difference::of(&[NAME, path, "reason"], reason, &new.reason, false),
    ];
    parts.into_iter().flatten().collect()
}
