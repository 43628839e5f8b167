//! `config` and `env`: named values that the operator writes into the registry.
//!
//! The pure part of both: they differ in the interface through which a tool reads them, and in the keys that can be
//! written. The host functions are the engine's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{GrantProblem, IMPLIED, Missing, written};
use crate::difference::Difference;

/// The name of values that are read through `wasi:config`.
pub const CONFIG: &str = "config";

/// The name of values that are read as variables of the environment.
pub const ENV: &str = "env";

/// Most bytes of the keys and values of one grant. A guest gets a copy of all of them at once; what is larger belongs
/// into a file.
const BYTES_MAX: usize = 64 << 10;

/// Values by key.
pub type Values = BTreeMap<String, String>;

/// A request for one value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueRequest {
    /// Its key.
    pub key: String,
    /// What the tool does with it.
    pub reason: String,
    /// Whether the tool runs without it.
    #[serde(default)]
    pub optional: bool,
}

/// Whether nothing is granted.
pub(super) fn is_empty(values: &Arc<Values>) -> bool {
    values.is_empty()
}

/// What is wrong with a grant on every machine.
pub(super) fn problem(name: &str, values: &Values) -> Option<GrantProblem> {
    let bytes: usize = values.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > BYTES_MAX {
        let message =
            format!("`grants.{name}` has {bytes} bytes of keys and values, at most {BYTES_MAX} are possible");
        return Some(GrantProblem { message, hint: "put what is large into a file, and grant its folder" });
    }
    // The environment of a process is a list of `KEY=value` that end in a zero byte, which libraries rely on. A zero byte
    // in a configuration ends the text for a guest that is written in C.
    let is_key = |key: &str| !key.is_empty() && !key.contains('\0') && (name != ENV || !key.contains('='));
    let (key, _) = values.iter().find(|(key, value)| !is_key(key) || value.contains('\0'))?;
    let key_shown = key.escape_debug();
    let (what, hint) = match (is_key(key), name) {
        (true, _) => ("with a zero byte in its value", "write the value without `\\u0000`"),
        (false, ENV) => ("which cannot be one", "write a name without `=`, such as `TZ`"),
        (false, _) => ("which cannot be one", "write a key, without `\\u0000`"),
    };
    Some(GrantProblem { message: format!("`grants.{name}` has the key `{key_shown}`, {what}"), hint })
}

/// A plain component does not say which values it reads, so it requests those that are granted.
pub(super) fn implied(grants: &Values) -> Vec<ValueRequest> {
    let request = |key: &String| ValueRequest { key: key.clone(), reason: IMPLIED.into(), optional: true };
    grants.keys().map(request).collect()
}

/// ∩: the granted values whose keys are requested.
pub(super) fn effective(requests: &[ValueRequest], grants: &Values) -> Arc<Values> {
    let asked = requests.iter().filter_map(|request| grants.get_key_value(&request.key));
    Arc::new(asked.map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// The requests that are not granted.
pub(super) fn missing(name: &str, requests: &[ValueRequest], effective: &Values) -> Vec<Missing> {
    let lacking = requests.iter().filter(|request| !effective.contains_key(&request.key));
    let missing = lacking.map(|request| Missing {
        capability: name.into(),
        asked: format!("{name} `{}`", request.key),
        reason: request.reason.clone(),
        grant: format!("grants.{name} = {{ {} = \"…\" }}", written::key(&request.key)),
        optional: request.optional,
    });
    missing.collect()
}

/// What differs between two lists of requests, by key.
pub(super) fn differences(name: &str, old: &[ValueRequest], new: &[ValueRequest]) -> Vec<Difference> {
    let (Some(old_keys), Some(new_keys)) = (by_key(old), by_key(new)) else {
        // A key is requested twice, so which two requests to compare is undefined.
        return Difference::of(&[name], &old, &new, true).into_iter().collect();
    };
    let keys: BTreeSet<&str> = old_keys.keys().chain(new_keys.keys()).copied().collect();
    let change = |key: &str| one(name, key, old_keys.get(key).copied(), new_keys.get(key).copied());
    keys.into_iter().flat_map(change).collect()
}

fn by_key(requests: &[ValueRequest]) -> Option<BTreeMap<&str, &ValueRequest>> {
    let map: BTreeMap<_, _> = requests.iter().map(|request| (request.key.as_str(), request)).collect();
    (map.len() == requests.len()).then_some(map)
}

fn one(name: &str, key: &str, old: Option<&ValueRequest>, new: Option<&ValueRequest>) -> Vec<Difference> {
    let (Some(old), Some(new)) = (old, new) else {
        return Difference::of(&[name, key], &old, &new, new.is_some()).into_iter().collect();
    };
    let ValueRequest { key: _, reason, optional } = old;
    let parts = [
        Difference::of(&[name, key, "optional"], optional, &new.optional, new.optional),
        // Another reason permits nothing more.
        Difference::of(&[name, key, "reason"], reason, &new.reason, false),
    ];
    parts.into_iter().flatten().collect()
}
