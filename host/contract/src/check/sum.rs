//! Detects items that do not add up to their total.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::Check;
use super::scalar::{doubt, numeric};
use crate::number::Number;
use crate::ty::FunctionTy;

/// The paths of the numbers to add and of their total, and the greatest allowed difference. The tolerance is 0
/// by default.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub items: String,
    pub total: String,
    #[serde(default = "none")]
    pub tolerance: Number,
}

// A float, as locks of older versions have it.
fn none() -> Number {
    Number::Float(0.0)
}

pub(super) fn compile(settings: &Settings, function: &FunctionTy) -> Result<Check, String> {
    let (items, total) = (numeric(&settings.items, function)?.0, numeric(&settings.total, function)?.0);
    let tolerance = settings.tolerance;
    // No difference is greater than NaN or an infinity, and each one is greater than a negative number.
    if !tolerance.is_finite() || tolerance < Number::Int(0) {
        return Err(format!("`tolerance` is {tolerance}; it must be a finite number of at least 0"));
    }
    Ok(Box::new(move |context| {
        let items = items.select(context.result).into_iter().filter_map(|(_, val)| Number::of(val));
        let sum = items.fold(Number::Int(0), Number::plus);
        let totals =
            total.select(context.result).into_iter().filter_map(|(at, val)| Some((at, Number::of(val)?)));
        // A distance that is NaN is within no tolerance.
        let off = totals.filter(|(_, n)| n.distance(sum).partial_cmp(&tolerance).is_none_or(Ordering::is_gt));
        off.map(|(at, n)| doubt(at, format!("the sum {sum}"), n.to_string())).collect()
    }))
}
