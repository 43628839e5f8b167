//! Items that are not in the declared order.

use serde::{Deserialize, Serialize};

use super::Check;
use super::scalar::{doubt, field, number, shown};
use crate::Val;
use crate::ty::FunctionTy;

/// Which values are in which order: ascending, and equal neighbors pass, unless said otherwise.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The list.
    pub list: String,
    /// What its items are ordered by; the items themselves where it is left out.
    #[serde(default)]
    pub by: String,
    /// Which way.
    #[serde(default)]
    pub direction: Direction,
    /// Whether neighbors must differ.
    #[serde(default)]
    pub strict: bool,
}

/// Which way a list is ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The smallest first.
    #[default]
    Ascending,
    /// The largest first.
    Descending,
}

pub(super) fn compile(settings: &Settings, function: &FunctionTy) -> Result<Check, String> {
    let dot = if settings.by.is_empty() { "" } else { "." };
    let place = format!("{}[]{dot}{}", settings.list, settings.by);
    let (path, ty) = field(&place, function)?;
    if !super::scalar::is_number(ty) && *ty != crate::ty::Ty::String {
        return Err(format!("`{place}` has no order, it is `{ty}`"));
    }
    let (descending, strict) = (settings.direction == Direction::Descending, settings.strict);
    Ok(Box::new(move |context| {
        let found = path.select(context.result);
        let wrong = found.windows(2).filter(|two| {
            let (a, b) = if descending { (two[1].1, two[0].1) } else { (two[0].1, two[1].1) };
            !compare(a, b).is_some_and(|order| order.is_lt() || (order.is_eq() && !strict))
        });
        let way = if descending { "at most" } else { "at least" };
        wrong
            .map(|two| doubt(two[1].0.clone(), format!("{way} {}", shown(two[0].1)), shown(two[1].1)))
            .collect()
    }))
}

fn compare(a: &Val, b: &Val) -> Option<std::cmp::Ordering> {
    if let (Val::String(a), Val::String(b)) = (a, b) {
        Some(a.cmp(b))
    } else {
        number(a)?.partial_cmp(&number(b)?)
    }
}
