//! Detects items that do not add up to their total.

use serde::{Deserialize, Serialize};

use super::Check;
use super::scalar::{doubt, number, numeric};
use crate::ty::FunctionTy;

/// The paths of the numbers to add and of their total, and the greatest allowed difference. The tolerance is 0
/// by default.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub items: String,
    pub total: String,
    #[serde(default)]
    pub tolerance: f64,
}

pub(super) fn compile(settings: &Settings, function: &FunctionTy) -> Result<Check, String> {
    let (items, total) = (numeric(&settings.items, function)?, numeric(&settings.total, function)?);
    let tolerance = settings.tolerance;
    Ok(Box::new(move |context| {
        let sum: f64 = items.select(context.result).into_iter().filter_map(|(_, val)| number(val)).sum();
        let totals =
            total.select(context.result).into_iter().filter_map(|(at, val)| Some((at, number(val)?)));
        // `abs() > tolerance` is false for NaN, so NaN is tested by itself.
        let off = totals.filter(|(_, n)| (n - sum).is_nan() || (n - sum).abs() > tolerance);
        off.map(|(at, n)| doubt(at, format!("the sum {sum}"), n.to_string())).collect()
    }))
}
