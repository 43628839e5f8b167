//! Detects rows that share a key.

use serde::{Deserialize, Serialize};

use super::Check;
use super::scalar::{doubt, field, list, shown};
use crate::path::Path;
use crate::ty::FunctionTy;

/// The list of rows, and the fields that together form its key.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub list: String,
    pub key: Vec<String>,
}

pub(super) fn compile(settings: &Settings, function: &FunctionTy) -> Result<Check, String> {
    let over = list(&settings.list, function)?;
    if settings.key.is_empty() {
        return Err("give at least one `key`".into());
    }
    // Each key is resolved at load, so that a missing field is an error of the contract and not a finding.
    for key in &settings.key {
        field(&format!("{}[].{key}", settings.list), function)?;
    }
    let rows = Path::parse(&format!("{over}[]")).map_err(|error| error.to_string())?;
    let keys = settings.key.iter().map(|key| Path::parse(key)).collect::<Result<Vec<_>, _>>();
    let keys = keys.map_err(|error| error.to_string())?;
    Ok(Box::new(move |context| {
        let mut seen = std::collections::BTreeSet::new();
        let of = |row| {
            // A key that is `none` selects nothing. Two such rows still share a key.
            keys.iter().map(|key| format!("{:?}", key.select(row))).collect::<Vec<_>>()
        };
        let twice = rows.select(context.result).into_iter().filter(|(_, row)| !seen.insert(of(row)));
        let key =
            |row| keys.iter().flat_map(|key| key.select(row)).map(|(_, val)| shown(val)).collect::<Vec<_>>();
        twice.map(|(at, row)| doubt(at, "a key of its own", key(row).join(", "))).collect()
    }))
}
