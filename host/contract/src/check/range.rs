//! Detects a number outside its bounds. The finding names a probable unit error by a factor of 1000 or 100.

use serde::{Deserialize, Serialize};

use super::Check;
use super::scalar::{doubt, number, numeric, shown};
use crate::ty::FunctionTy;

/// Inclusive bounds of a number.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Path of the numbers.
    pub field: String,
    /// Smallest value. Unbounded if absent.
    pub min: Option<f64>,
    /// Largest value. Unbounded if absent.
    pub max: Option<f64>,
}

pub(super) fn compile(settings: &Settings, function: &FunctionTy) -> Result<Check, String> {
    let path = numeric(&settings.field, function)?;
    let (min, max) = (settings.min.unwrap_or(f64::NEG_INFINITY), settings.max.unwrap_or(f64::INFINITY));
    if min.is_nan() || max.is_nan() || min > max || (settings.min.is_none() && settings.max.is_none()) {
        return Err("give `min`, `max` or both, in order".into());
    }
    Ok(Box::new(move |context| {
        // NaN is not outside: `finite` reports it.
        let outside = |n: f64| n < min || n > max;
        let numbers =
            path.select(context.result).into_iter().filter_map(|(at, val)| Some((at, val, number(val)?)));
        let bad = numbers.filter(|(_, _, n)| outside(*n));
        bad.map(|(at, val, n)| doubt(at, format!("{}{}", bounds(min, max), unit(n, min, max)), shown(val)))
            .collect()
    }))
}

/// The bounds in words; one that is not set is not named.
fn bounds(min: f64, max: f64) -> String {
    match (min.is_finite(), max.is_finite()) {
        (false, _) => format!("at most {max}"),
        (_, false) => format!("at least {min}"),
        (true, true) => format!("{min} to {max}"),
    }
}

/// Names the factor that would move the number into its bounds. Empty if no factor does.
fn unit(n: f64, min: f64, max: f64) -> &'static str {
    // Without a second bound almost any factor would, which says nothing.
    if !min.is_finite() || !max.is_finite() {
        return "";
    }
    let fits = |n: f64| n.is_finite() && n != 0.0 && n >= min && n <= max;
    match () {
        () if n.abs() > max && fits(n / 100.0) => " (a hundred times too large?)",
        () if n.abs() > max && fits(n / 1_000.0) => " (a thousand times too large?)",
        () if fits(n * 100.0) => " (a hundred times too small?)",
        () if fits(n * 1_000.0) => " (a thousand times too small?)",
        () => "",
    }
}
