//! `custom.NAME`: the capabilities that a program which embeds the host adds, each by its name.
//!
//! They have a table of their own, so that a misspelled built-in name stays an error of the file that has it, and a
//! capability that is built in later cannot take the name of one that a program added. Must not know which names are
//! registered: the engine refuses a grant of any other.

use std::collections::{BTreeMap, BTreeSet};

use super::Missing;
use super::flag::{Flag, Request};
use crate::difference::Difference;

/// The table's name in registries and contracts.
pub const TABLE: &str = "custom";

/// Requests by name.
pub type CustomRequests = BTreeMap<String, Request>;

/// Whether each is granted, by name.
pub type CustomGrants = BTreeMap<String, bool>;

/// What a component without a contract requests: those that its imports name and that are granted.
pub(super) fn implied(imports: impl Fn(&str) -> bool, grants: &CustomGrants) -> CustomRequests {
    let imported = grants.iter().filter(|(name, granted)| **granted && imports(name));
    imported.map(|(name, _)| (name.clone(), Request::implied())).collect()
}

/// ∩: the names that are both requested and granted.
pub(super) fn effective(requests: &CustomRequests, grants: &CustomGrants) -> BTreeSet<String> {
    // A name without an entry is denied, like one with `false`.
    requests.keys().filter(|name| grants.get(*name).copied().unwrap_or(false)).cloned().collect()
}

/// The requests that are not granted.
pub(super) fn missing(requests: &CustomRequests, effective: &BTreeSet<String>) -> Vec<Missing> {
    let missing = |(name, request): (&String, &Request)| {
        Flag(&[TABLE, name]).missing(Some(request), effective.contains(name))
    };
    requests.iter().filter_map(missing).collect()
}

/// What differs between two tables of requests, by name.
pub(super) fn differences(old: &CustomRequests, new: &CustomRequests) -> Vec<Difference> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let change = |name: &String| Flag(&[TABLE, name]).differences(old.get(name), new.get(name));
    names.into_iter().flat_map(change).collect()
}
