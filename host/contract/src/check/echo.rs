//! Detects an answer to a different question: a result field that must repeat an argument does not.

use serde::{Deserialize, Serialize};

use super::scalar::{argument, arguments, doubt, field, number, shown};
use super::{Check, Doubts};
use crate::ty::FunctionTy;

/// Pairs a result field with the argument that it must repeat. Paths are over the result and over the
/// arguments.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub field: String,
    pub arg: String,
}

pub(super) fn compile(settings: &Settings, function: &FunctionTy) -> Result<Check, String> {
    let ((path, a), (arg, b)) = (field(&settings.field, function)?, argument(&settings.arg, function)?);
    // Numbers of different widths compare by value. Other types must be equal, or the check could never pass.
    if a != b && !(super::scalar::is_number(a) && super::scalar::is_number(b)) {
        return Err(format!("`{a}` cannot repeat `{b}`"));
    }
    Ok(Box::new(move |context| {
        let args = arguments(context);
        // An argument that was not given asks for nothing, so every answer to it is accepted.
        let Some((_, asked)) = arg.select(&args).into_iter().next() else { return Doubts::default() };
        let other = |val| val != asked && number(val).is_none_or(|n| number(asked) != Some(n));
        let found = path.select(context.result).into_iter().filter(|(_, val)| other(*val));
        found.map(|(at, val)| doubt(at, shown(asked), shown(val))).collect()
    }))
}
