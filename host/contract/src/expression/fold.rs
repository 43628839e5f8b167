//! Folds of a list to one value: sums, extremes, averages, and values that repeat.
//!
//! Integers are added exactly, and an overflow has no value. Floats are added with compensation (Neumaier), so that
//! small amounts are not lost beside large ones. Must not know the tree. To add a fold: a variant, and an arm of
//! [`fold`].

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::datum::Datum;
use super::meter::{BYTES_A_STEP, Meter, Trouble};
use crate::number::whole;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    Average,
    /// The values without their repetitions, each where it is first.
    Distinct,
    Max,
    Min,
    Sum,
}

/// The value of a fold. `None` if it has none: an average or extreme of nothing, or an overflow.
pub(super) fn fold<'v>(
    fold: Fold,
    items: &[Datum<'v>],
    meter: &mut Meter,
) -> Result<Option<Datum<'v>>, Trouble> {
    Ok(match fold {
        Fold::Average => Total::of(items).and_then(|total| total.average(items.len())),
        Fold::Distinct => Some(Datum::List(distinct(items, meter)?)),
        Fold::Max => extreme(items, Ordering::Greater, meter)?,
        Fold::Min => extreme(items, Ordering::Less, meter)?,
        Fold::Sum => Total::of(items).and_then(Total::sum),
    })
}

/// The first two items that are equal, by their positions.
pub(super) fn first_repeat(
    items: &[Datum<'_>],
    meter: &mut Meter,
) -> Result<Option<(usize, usize)>, Trouble> {
    let mut seen = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        if let Some(key) = Key::of(item, meter)?
            && let Some(first) = seen.insert(key, at)
        {
            return Ok(Some((first, at)));
        }
    }
    Ok(None)
}

fn distinct<'v>(items: &[Datum<'v>], meter: &mut Meter) -> Result<Rc<[Datum<'v>]>, Trouble> {
    let (mut seen, mut kept) = (BTreeMap::new(), Vec::new());
    for item in items {
        if Key::of(item, meter)?.is_none_or(|key| seen.insert(key, ()).is_none()) {
            kept.push(item.clone());
        }
    }
    Ok(kept.into())
}

fn extreme<'v>(
    items: &[Datum<'v>],
    wanted: Ordering,
    meter: &mut Meter,
) -> Result<Option<Datum<'v>>, Trouble> {
    let Some(mut best) = items.first() else { return Ok(None) };
    for item in items {
        // NaN has no order, and a list with one has no extreme.
        let Some(order) = item.order(best, meter)? else { return Ok(None) };
        if order == wanted {
            best = item;
        }
    }
    Ok(Some(best.clone()))
}

/// The exact sum of the integers of a list, and the compensated one of its floats.
#[derive(Default)]
struct Total {
    ints: i128,
    floats: Option<Neumaier>,
}

impl Total {
    fn of(items: &[Datum<'_>]) -> Option<Total> {
        let mut total = Total::default();
        for item in items {
            match item {
                Datum::Int(n) => total.ints = total.ints.checked_add(*n)?,
                Datum::Float(n) => total.floats.get_or_insert_default().add(*n),
                _ => return None,
            }
        }
        Some(total)
    }

    #[expect(clippy::cast_precision_loss, reason = "a sum with a float is a float")]
    fn sum<'v>(self) -> Option<Datum<'v>> {
        let Some(mut floats) = self.floats else { return Some(Datum::Int(self.ints)) };
        floats.add(self.ints as f64);
        Some(Datum::Float(floats.total()))
    }

    #[expect(clippy::cast_precision_loss, reason = "an average is a float, unless it is whole")]
    fn average<'v>(self, count: usize) -> Option<Datum<'v>> {
        let of = i128::try_from(count).ok().filter(|of| *of > 0)?;
        Some(match self.sum()? {
            Datum::Int(sum) if sum % of == 0 => Datum::Int(sum / of),
            // The quotient by itself, so that a large sum does not lose its remainder.
            Datum::Int(sum) => Datum::Float((sum / of) as f64 + (sum % of) as f64 / of as f64),
            Datum::Float(sum) => Datum::Float(sum / of as f64),
            _ => return None,
        })
    }
}

/// A sum of floats, with the low-order parts that it lost.
#[derive(Default)]
struct Neumaier {
    sum: f64,
    lost: f64,
}

impl Neumaier {
    fn add(&mut self, n: f64) {
        let sum = self.sum + n;
        self.lost += if self.sum.abs() >= n.abs() { (self.sum - sum) + n } else { (n - sum) + self.sum };
        self.sum = sum;
    }

    fn total(&self) -> f64 {
        // What was lost beside an infinity is NaN.
        if self.sum.is_finite() { self.sum + self.lost } else { self.sum }
    }
}

/// A scalar that is looked up. Equal values have equal keys.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key<'d> {
    Null,
    Bool(bool),
    Int(i128),
    Float(u64),
    Text(&'d str),
    Date(NaiveDate),
    Moment(DateTime<Utc>),
    Span(TimeDelta),
}

impl Key<'_> {
    /// The key of a value. `None` for NaN, which repeats nothing. The text is charged once: the few comparisons of a
    /// search take less than one step of an evaluation.
    fn of<'d>(datum: &'d Datum<'_>, meter: &mut Meter) -> Result<Option<Key<'d>>, Trouble> {
        meter.spend(1 + datum.text().map_or(0, |text| text.len() as u64 / BYTES_A_STEP))?;
        Ok(match datum {
            Datum::Null => Some(Key::Null),
            Datum::Bool(value) => Some(Key::Bool(*value)),
            Datum::Int(n) => Some(Key::Int(*n)),
            // A float and an integer of one value are equal.
            Datum::Float(n) => match whole(*n).filter(|_| n.fract() == 0.0) {
                Some(n) => Some(Key::Int(n)),
                None => (!n.is_nan()).then(|| Key::Float(n.to_bits())),
            },
            Datum::Text(text) => Some(Key::Text(text)),
            Datum::Made(text) => Some(Key::Text(text)),
            Datum::Date(day) => Some(Key::Date(*day)),
            Datum::Moment(at) => Some(Key::Moment(*at)),
            Datum::Span(span) => Some(Key::Span(*span)),
            Datum::Val(_) | Datum::List(_) => {
                return Err(Trouble::Other("a record or a list is not a key".into()));
            }
        })
    }
}
