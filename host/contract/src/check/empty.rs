//! Nothing where something is expected; whether that is a doubt is declared.

use serde::{Deserialize, Serialize};

use super::Check;
use super::scalar::{doubt, length, list};
use crate::ty::FunctionTy;
use airlock_types::finding::Verdict;

/// What an empty list, text or map means.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What may be empty.
    pub field: String,
    /// What it means.
    pub is: Means,
}

/// What emptiness means.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Means {
    /// An answer like any other.
    Ok,
    /// Delivered with a flag.
    Suspect,
    /// Not an answer.
    Error,
}

pub(super) fn compile(settings: &Settings, function: &FunctionTy) -> Result<Check, String> {
    let path = list(&settings.field, function)?;
    let verdict = match settings.is {
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
