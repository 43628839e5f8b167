//! Detects a list, text or map that is too short or too long.

use serde::{Deserialize, Serialize};

use super::Check;
use super::scalar::{doubt, length, sized};
use crate::ty::FunctionTy;

/// Inclusive bounds of a length: items of a list, characters of a text, entries of a map.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Path of the value whose length is checked.
    pub field: String,
    /// Smallest length. Unbounded if absent.
    pub min: Option<u64>,
    /// Largest length. Unbounded if absent.
    pub max: Option<u64>,
}

pub(super) fn compile(settings: &Settings, function: &FunctionTy) -> Result<Check, String> {
    let path = sized(&settings.field, function)?;
    let (min, max) = (settings.min.unwrap_or(0), settings.max.unwrap_or(u64::MAX));
    // An empty range would reject every result, and a rule without bounds none.
    if min > max || (settings.min.is_none() && settings.max.is_none()) {
        return Err("give `min`, `max` or both, in order".into());
    }
    if min == 0 && settings.max.is_none() {
        return Err(
            "every length is at least 0, so that the check finds nothing; give `max`, or a `min` above 0"
                .into(),
        );
    }
    let bounds = match (settings.min, settings.max) {
        (Some(min), None) => format!("a length of at least {min}"),
        (None, Some(max)) => format!("a length of at most {max}"),
        (Some(_), Some(_)) | (None, None) => format!("a length from {min} to {max}"),
    };
    Ok(Box::new(move |context| {
        let lengths =
            path.select(context.result).into_iter().filter_map(|(at, val)| Some((at, length(val)?)));
        let bad = lengths.filter(|(_, n)| !(min..=max).contains(n));
        bad.map(|(at, n)| doubt(at, bounds.clone(), n.to_string())).collect()
    }))
}
