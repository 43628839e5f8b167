//! Values during evaluation: scalars by value, everything larger by reference to the component value.

use std::cmp::Ordering;
use std::rc::Rc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::meter::{BYTES_A_STEP, Meter, Trouble};
use crate::Val;
use crate::number::{int_to_float, shortest};
use crate::path::snake;

/// A value during evaluation. Cheap to clone: macros clone every item.
#[derive(Clone, Debug)]
pub(super) enum Datum<'v> {
    Null,
    Bool(bool),
    /// An integer of any width, and the result of integer arithmetic.
    Int(i128),
    Float(f64),
    Text(&'v str),
    /// A string that the expression computed.
    Made(Rc<str>),
    Date(NaiveDate),
    /// A point in time.
    Moment(DateTime<Utc>),
    /// The time between two dates or points in time.
    Span(TimeDelta),
    /// A record, list, tuple, map, variant, result or flags.
    Val(&'v Val),
    /// A list that the expression computed.
    List(Rc<[Datum<'v>]>),
}

impl<'v> Datum<'v> {
    /// The datum of a component value. Options are looked through.
    pub(super) fn of(val: &'v Val) -> Datum<'v> {
        match val {
            Val::Bool(value) => Datum::Bool(*value),
            Val::S8(n) => Datum::Int(i128::from(*n)),
            Val::U8(n) => Datum::Int(i128::from(*n)),
            Val::S16(n) => Datum::Int(i128::from(*n)),
            Val::U16(n) => Datum::Int(i128::from(*n)),
            Val::S32(n) => Datum::Int(i128::from(*n)),
            Val::U32(n) => Datum::Int(i128::from(*n)),
            Val::S64(n) => Datum::Int(i128::from(*n)),
            Val::U64(n) => Datum::Int(i128::from(*n)),
            // Agents see an `f32` in its own digits, and a contract's author writes the same: `0.1`.
            Val::Float32(n) => Datum::Float(shortest(*n)),
            Val::Float64(n) => Datum::Float(*n),
            Val::Char(c) => Datum::Made(c.encode_utf8(&mut [0; 4]).to_owned().into()),
            Val::String(text) | Val::Enum(text) => Datum::Text(text),
            Val::Option(None) => Datum::Null,
            Val::Option(Some(inner)) => Datum::of(inner),
            other => Datum::Val(other),
        }
    }

    /// The string, or `None` for other values.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Datum::Text(text) => Some(text),
            Datum::Made(text) => Some(text),
            _ => None,
        }
    }

    /// A field of a record, or `tag` and `val` of a variant or result.
    pub(super) fn field(&self, name: &str) -> Option<Datum<'v>> {
        let Datum::Val(val) = self else { return None };
        match val {
            // Names in expressions are snake_case, those of values are as written in WIT.
            Val::Record(fields) => {
                fields.iter().find(|(field, _)| snake(field) == name).map(|(_, val)| Datum::of(val))
            }
            _ => self.tagged().map(|(tag, payload)| if name == "tag" { Datum::Text(tag) } else { payload }),
        }
    }

    /// The case and payload of a variant or result.
    fn tagged(&self) -> Option<(&'v str, Datum<'v>)> {
        let Datum::Val(val) = self else { return None };
        let payload = |val: &'v Option<Box<Val>>| val.as_deref().map_or(Datum::Null, Datum::of);
        match val {
            Val::Variant(tag, val) => Some((tag, payload(val))),
            Val::Result(Ok(val)) => Some(("ok", payload(val))),
            Val::Result(Err(val)) => Some(("err", payload(val))),
            _ => None,
        }
    }

    /// The item at an index of a list, or the key at an index of a map.
    pub(super) fn item(&self, at: usize) -> Option<Datum<'v>> {
        match self {
            Datum::List(items) => items.get(at).cloned(),
            Datum::Val(Val::List(items) | Val::FixedLengthList(items) | Val::Tuple(items)) => {
                items.get(at).map(Datum::of)
            }
            Datum::Val(Val::Flags(names)) => names.get(at).map(|name| Datum::Text(name)),
            Datum::Val(Val::Map(entries)) => entries.get(at).map(|(key, _)| Datum::of(key)),
            _ => None,
        }
    }

    /// Number of items or entries. `None` for values without any.
    pub(super) fn items(&self) -> Option<usize> {
        match self {
            Datum::List(items) => Some(items.len()),
            Datum::Val(Val::List(items) | Val::FixedLengthList(items) | Val::Tuple(items)) => {
                Some(items.len())
            }
            Datum::Val(Val::Flags(names)) => Some(names.len()),
            Datum::Val(Val::Map(entries)) => Some(entries.len()),
            _ => None,
        }
    }

    /// Number of characters, items or entries: the result of `size()`.
    pub(super) fn size(&self) -> Option<usize> {
        // Characters and not bytes, as in CEL and JSON Schema.
        self.text().map(|text| text.chars().count()).or_else(|| self.items())
    }

    /// The value of a map's key. Of entries with the same key the last one counts, as in
    /// [`lift`](crate::lift::lift).
    pub(super) fn entry(&self, key: &Datum<'_>, meter: &mut Meter) -> Result<Option<Datum<'v>>, Trouble> {
        let Datum::Val(Val::Map(entries)) = self else { return Ok(None) };
        for (other, value) in entries.iter().rev() {
            if Datum::of(other).equals(key, meter)? {
                return Ok(Some(Datum::of(value)));
            }
        }
        Ok(None)
    }

    /// Whether both values are equal. Numbers of different widths are equal if their values are.
    pub(super) fn equals(&self, other: &Datum<'_>, meter: &mut Meter) -> Result<bool, Trouble> {
        // Counted before the work, so that a long comparison stops at the bound.
        meter.part()?;
        // Strings of different lengths are unequal without being read, and cost nothing to compare.
        if let (Some(a), Some(b)) = (self.text(), other.text())
            && a.len() != b.len()
        {
            return Ok(false);
        }
        match (self, other) {
            (Datum::Null, Datum::Null) => Ok(true),
            (Datum::Bool(a), Datum::Bool(b)) => Ok(a == b),
            (Datum::Val(Val::Record(a)), Datum::Val(Val::Record(b))) => {
                let same = |meter: &mut Meter, (a, b): (&(String, Val), &(String, Val))| {
                    Ok(a.0 == b.0 && Datum::of(&a.1).equals(&Datum::of(&b.1), meter)?)
                };
                Ok(a.len() == b.len() && all(a.iter().zip(b), |pair| same(meter, pair))?)
            }
            (Datum::Val(Val::Map(a)), Datum::Val(Val::Map(_))) => {
                let same = |meter: &mut Meter, key: &Val| {
                    let key = Datum::of(key);
                    let (Some(a), Some(b)) = (self.entry(&key, meter)?, other.entry(&key, meter)?) else {
                        return Ok(false);
                    };
                    a.equals(&b, meter)
                };
                Ok(self.items() == other.items() && all(a.iter(), |(key, _)| same(meter, key))?)
            }
            _ => self.equals_in_parts(other, meter),
        }
    }

    fn equals_in_parts(&self, other: &Datum<'_>, meter: &mut Meter) -> Result<bool, Trouble> {
        if let (Some(a), Some(b)) = (self.tagged(), other.tagged()) {
            return Ok(a.0 == b.0 && a.1.equals(&b.1, meter)?);
        }
        let (Some(count), Some(other_count)) = (self.items(), other.items()) else {
            return Ok(self.order(other, meter)? == Some(Ordering::Equal));
        };
        let same = |meter: &mut Meter, at| match (self.item(at), other.item(at)) {
            (Some(a), Some(b)) => a.equals(&b, meter),
            _ => Ok(false),
        };
        Ok(count == other_count && all(0..count, |at| same(meter, at))?)
    }

    /// The order of both values. `None` for NaN and for values that have no order.
    pub(super) fn order(&self, other: &Datum<'_>, meter: &mut Meter) -> Result<Option<Ordering>, Trouble> {
        if let (Some(a), Some(b)) = (self.text(), other.text()) {
            meter.spend(a.len().min(b.len()) as u64 / BYTES_A_STEP)?;
            return Ok(Some(a.cmp(b)));
        }
        Ok(match (self, other) {
            (Datum::Int(a), Datum::Int(b)) => Some(a.cmp(b)),
            (Datum::Float(a), Datum::Float(b)) => a.partial_cmp(b),
            (Datum::Date(a), Datum::Date(b)) => Some(a.cmp(b)),
            (Datum::Moment(a), Datum::Moment(b)) => Some(a.cmp(b)),
            (Datum::Span(a), Datum::Span(b)) => Some(a.cmp(b)),
            (Datum::Int(a), Datum::Float(b)) => int_to_float(*a, *b),
            (Datum::Float(a), Datum::Int(b)) => int_to_float(*b, *a).map(Ordering::reverse),
            _ => None,
        })
    }
}

/// Like [`Iterator::all`], for a test that can fail.
fn all<T>(
    items: impl Iterator<Item = T>,
    mut test: impl FnMut(T) -> Result<bool, Trouble>,
) -> Result<bool, Trouble> {
    for item in items {
        if !test(item)? {
            return Ok(false);
        }
    }
    Ok(true)
}
