//! Detects an empty value. The rule declares whether that is acceptable.

use serde::{Deserialize, Serialize};

use super::Check;
use super::scalar::{doubt, length, sized};
use crate::ty::FunctionTy;
use airlock_types::finding::Verdict;

/// The meaning of an empty list, text or map.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Path of the value that can be empty.
    pub field: String,
    /// Meaning of emptiness, which decides the verdict.
    pub is: Means,
}

/// How to treat an empty value.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Means {
    /// A valid answer; no finding.
    Ok,
    /// Delivered with a finding.
    Suspect,
    /// Rejected.
    Error,
}

pub(super) fn compile(settings: &Settings, function: &FunctionTy) -> Result<Check, String> {
    let path = sized(&settings.field, function)?;
    let verdict = match settings.is {
        // Declared and without effect: a reviewer sees that the author considered an empty answer.
        Means::Ok => return Ok(Box::new(|_| super::Doubts::default())),
        Means::Suspect => Verdict::Suspect,
        Means::Error => Verdict::Reject,
    };
    Ok(Box::new(move |context| {
        let found = path.select(context.result).into_iter().filter(|(_, val)| length(val) == Some(0));
        let empty = found.map(|(at, _)| doubt(at, "at least one", "none"));
        empty.map(|doubt| super::Doubt { verdict: Some(verdict), ..doubt }).collect()
    }))
}
