//! Detects a probably truncated list: it has exactly as many rows as fit on a page.

use serde::{Deserialize, Serialize};

use super::Check;
use super::scalar::{argument, arguments, doubt, is_number, length, sized};
use crate::number::Number;
use crate::path::Path;
use crate::ty::FunctionTy;

/// The list, and its page size as a constant or as an argument.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub list: String,
    pub limit: Option<u64>,
    pub limit_arg: Option<String>,
}

pub(super) fn compile(settings: &Settings, function: &FunctionTy) -> Result<Check, String> {
    let rows = sized(&settings.list, function)?;
    let arg = settings.limit_arg.as_deref().map(|text| argument(text, function)).transpose()?;
    // Exactly one of the two: with both, a reader could not tell which applies.
    if arg.is_some() == settings.limit.is_some() || arg.as_ref().is_some_and(|(_, ty)| !is_number(ty)) {
        return Err("give `limit`, or `limit_arg` with a number".into());
    }
    if settings.limit == Some(0) {
        return Err("`limit` is the number of rows of a page, at least 1".into());
    }
    let int = |n: u64| Number::Int(n.into());
    let (constant, arg) = (settings.limit.map(int), arg.map(|(path, _)| path));
    Ok(Box::new(move |context| {
        let args = arguments(context);
        let given = |path: &Path| path.select(&args).first().and_then(|(_, val)| Number::of(val));
        let given = arg.as_ref().and_then(given);
        // The caller did not give the limit, so nothing is known of a page.
        let Some(limit) = constant.or(given) else { return super::Doubts::default() };
        let full =
            rows.select(context.result).into_iter().filter(|(_, val)| length(val).map(int) == Some(limit));
        full.map(|(at, _)| doubt(at, "fewer rows than a page", format!("exactly {limit}"))).collect()
    }))
}
