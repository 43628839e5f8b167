//! Detects items that are not in the declared order.

use serde::{Deserialize, Serialize};

use super::Check;
use super::scalar::{doubt, field, shown};
use crate::Val;
use crate::number::Number;
use crate::ty::FunctionTy;

/// The list and its order. By default ascending, and equal neighbors pass.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Path of the list.
    pub list: String,
    /// Path of the sort key in an item. Empty for the item itself.
    #[serde(default)]
    pub by: String,
    /// Order of the keys. Default: ascending.
    #[serde(default)]
    pub direction: Direction,
    /// Whether equal neighbors are a finding. Default: no.
    #[serde(default)]
    pub strict: bool,
}

/// The direction of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Smallest first.
    #[default]
    Ascending,
    /// Largest first.
    Descending,
}

pub(super) fn compile(settings: &Settings, function: &FunctionTy) -> Result<Check, String> {
    let dot = if settings.by.is_empty() { "" } else { "." };
    let place = format!("{}[]{dot}{}", settings.list, settings.by);
    let (path, ty) = field(&place, function)?;
    // Decided at load, so that no pair of a result is without an order, except for NaN.
    if !super::scalar::is_number(ty) && *ty != crate::ty::Ty::String {
        return Err(format!("`{place}` has no order, it is `{ty}`"));
    }
    let (descending, strict) = (settings.direction == Direction::Descending, settings.strict);
    Ok(Box::new(move |context| {
        let found = path.select(context.result);
        let wrong = found.windows(2).filter(|two| {
            let (a, b) = if descending { (two[1].1, two[0].1) } else { (two[0].1, two[1].1) };
            // NaN has no order, so it is a finding.
            !compare(a, b).is_some_and(|order| order.is_lt() || (order.is_eq() && !strict))
        });
        let way = match (descending, strict) {
            (false, false) => "at least",
            (false, true) => "more than",
            (true, false) => "at most",
            (true, true) => "less than",
        };
        wrong
            .map(|two| doubt(two[1].0.clone(), format!("{way} {}", shown(two[0].1)), shown(two[1].1)))
            .collect()
    }))
}

fn compare(a: &Val, b: &Val) -> Option<std::cmp::Ordering> {
    if let (Val::String(a), Val::String(b)) = (a, b) {
        Some(a.cmp(b))
    } else {
        Number::of(a)?.partial_cmp(&Number::of(b)?)
    }
}
