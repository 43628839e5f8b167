//! What a tool requests, is granted and has used, by capability.
//!
//! Grants are shown as a registry writes them, by the one printer that there is. Must not know how a capability is written.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Uses;
use crate::registry::Tool;
use airlock_types::grant::Entries;

/// One capability of a tool.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// The capability.
    pub name: String,
    /// What the author requests, one line each.
    pub requested: Vec<String>,
    /// What is in force: requested and granted.
    pub granted: Vec<String>,
    /// What also passes for a while, by a grant of `report`, with its end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<String>,
    /// What was used of it, one line each, with how often. Of variables nothing is seen.
    pub used: Vec<String>,
    /// Attempts that reached for it and were denied.
    pub denied: u64,
}

/// The capabilities that a tool requests, is granted, or has reached for.
pub(super) fn of(tool: &Tool, uses: &Uses) -> Vec<Asked> {
    let of_use = uses.of(&tool.name);
    let (requested, granted) = (tool.requests.entries(), tool.allowance.effective().as_grants().entries());
    let mut tried = Entries::new();
    if let Some((grants, until)) = &tool.source.tried {
        tried = grants.entries();
        tried.values_mut().flatten().for_each(|line| line.push_str(&format!(" until {until}")));
    }
    let named = [&requested, &granted, &tried].into_iter().flat_map(Entries::keys).cloned();
    let names: BTreeSet<String> = named.chain(of_use.names()).collect();
    let lines = |of: &Entries, name: &str| of.get(name).cloned().unwrap_or_default();
    let asked = |name: String| Asked {
        requested: lines(&requested, &name),
        granted: lines(&granted, &name),
        tried: lines(&tried, &name),
        used: of_use.lines(&name),
        denied: of_use.denied(&name),
        name,
    };
    names.into_iter().map(asked).collect()
}
