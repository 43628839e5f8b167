//! Detects a number outside its bounds. The finding names a probable unit error by a factor of 1000 or 100.

use serde::{Deserialize, Serialize};

use super::Check;
use super::scalar::{doubt, numeric, shown};
use crate::number::{Number, shortest, whole};
use crate::phrase;
use crate::ty::{FunctionTy, Ty};

/// Inclusive bounds of a number.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Path of the numbers.
    pub field: String,
    /// Smallest value. Unbounded if absent.
    pub min: Option<Number>,
    /// Largest value. Unbounded if absent.
    pub max: Option<Number>,
}

pub(super) fn compile(settings: &Settings, function: &FunctionTy) -> Result<Check, String> {
    let (path, ty) = numeric(&settings.field, function)?;
    let (min, max) = (settings.min, settings.max);
    decides(min, max, ty)?;
    Ok(Box::new(move |context| {
        // NaN is within no bounds: the verdict of this check is for it, too, and not that of `finite` alone.
        let is_nan = |n: Number| matches!(n, Number::Float(n) if n.is_nan());
        let outside =
            |n: Number| is_nan(n) || min.is_some_and(|min| n < min) || max.is_some_and(|max| n > max);
        let numbers = path.select(context.result).into_iter();
        let bad =
            numbers.filter_map(|(at, val)| Number::of(val).filter(|n| outside(*n)).map(|n| (at, val, n)));
        bad.map(|(at, val, n)| doubt(at, format!("{}{}", bounds(min, max), unit(n, min, max)), shown(val)))
            .collect()
    }))
}

/// Refuses bounds that let every value of the type pass, or none.
fn decides(min: Option<Number>, max: Option<Number>, ty: &Ty) -> Result<(), String> {
    if min.into_iter().chain(max).any(|bound| !bound.is_finite()) {
        return Err("`min` and `max` are finite numbers; leave out the one that is not needed".into());
    }
    if min.zip(max).is_some_and(|(min, max)| min > max) || (min.is_none() && max.is_none()) {
        return Err("give `min`, `max` or both, in order".into());
    }
    let (least, most, is_whole) = values(ty);
    let round = |n: Number, to: fn(f64) -> f64| match n {
        // Of an integer type only the integers between the bounds count.
        Number::Float(n) if is_whole => whole(to(n)).map_or(Number::Float(n), Number::Int),
        n => n,
    };
    let lowest = min.map(|min| round(min, f64::ceil)).filter(|min| *min > least).unwrap_or(least);
    let highest = max.map(|max| round(max, f64::floor)).filter(|max| *max < most).unwrap_or(most);
    let of = match most {
        Number::Int(_) => format!("`{ty}` has {least} to {most}"),
        Number::Float(most) => format!("`{ty}` has -{most:e} to {most:e}"),
    };
    if lowest > highest {
        return Err(format!("no value is {}, so that every result has a finding: {of}", bounds(min, max)));
    }
    if lowest == least && highest == most {
        return Err(format!("every value is {}, so that the check finds nothing: {of}", bounds(min, max)));
    }
    Ok(())
}

/// The least and the greatest finite value of a type of numbers, and whether its values are integers.
fn values(ty: &Ty) -> (Number, Number, bool) {
    if let Some((least, most)) = phrase::bounds(ty) {
        return (Number::Int(least.into()), Number::Int(most.into()), true);
    }
    let most = if *ty == Ty::F32 { shortest(f32::MAX) } else { f64::MAX };
    (Number::Float(-most), Number::Float(most), false)
}

/// The bounds in words; one that is not set is not named.
fn bounds(min: Option<Number>, max: Option<Number>) -> String {
    match (min, max) {
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => "any number".to_owned(),
    }
}

/// Names the factor that would move the number into its bounds. Empty if no factor does.
fn unit(n: Number, min: Option<Number>, max: Option<Number>) -> &'static str {
    // Without a second bound almost any factor would, which says nothing.
    let Some((min, max)) = min.zip(max) else { return "" };
    // Rounded: this only words the finding.
    let (n, min, max) = (n.float(), min.float(), max.float());
    let fits = |n: f64| n.is_finite() && n != 0.0 && n >= min && n <= max;
    match () {
        () if n.abs() > max && fits(n / 100.0) => " (a hundred times too large?)",
        () if n.abs() > max && fits(n / 1_000.0) => " (a thousand times too large?)",
        () if fits(n * 100.0) => " (a hundred times too small?)",
        () if fits(n * 1_000.0) => " (a thousand times too small?)",
        () => "",
    }
}
