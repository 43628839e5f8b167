//! Kinds: the types of an expression's parts, as far as operators distinguish them.

use std::fmt;

use super::bounds::{Places, UTF8_BYTES_MAX};
use super::calendar::Form;
use crate::path::{Path, Segment, snake};
use crate::ty::{Case, Ty};

/// The kind of a value. Numbers of all widths are one kind, because operators mix them.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    /// A string, with its largest size in bytes where the contract bounds it.
    Text(Option<u64>),
    /// A string that the contract declares as a date, or as a date and time.
    Dated(Form),
    /// A string with one of these values.
    Enum(Vec<String>),
    Bytes,
    /// A date or a point in time that was read or computed.
    Time(Form),
    /// The time between two of them.
    Span,
    /// A list, with its length where the type fixes or bounds it.
    List(Box<Kind>, Option<u64>),
    Tuple(Vec<Kind>),
    Record(Vec<(String, Kind)>),
    /// A map of keys to values, with its largest length where the contract bounds it.
    Map(Box<Kind>, Box<Kind>, Option<u64>),
    /// A value that may be null.
    Option(Box<Kind>),
    /// The kind of the items of an empty list. Compatible with every kind.
    Any,
}

impl Kind {
    pub(super) fn of(ty: &Ty) -> Kind {
        match ty {
            Ty::Bool => Kind::Bool,
            Ty::S8 | Ty::U8 | Ty::S16 | Ty::U16 | Ty::S32 | Ty::U32 => Kind::Number,
            Ty::S64 | Ty::U64 | Ty::F32 | Ty::F64 => Kind::Number,
            Ty::Char => Kind::Text(Some(UTF8_BYTES_MAX)),
            Ty::String => Kind::Text(None),
            // Bytes have a size and no items: comparing them with a list of numbers is refused.
            Ty::List(item) if **item == Ty::U8 => Kind::Bytes,
            Ty::List(item) => Kind::List(Box::new(Kind::of(item)), None),
            Ty::FixedList(item, len) => Kind::List(Box::new(Kind::of(item)), Some(u64::from(*len))),
            Ty::Map(key, value) => Kind::Map(Box::new(Kind::of(key)), Box::new(Kind::of(value)), None),
            Ty::Record(fields) => Kind::Record(
                fields.iter().map(|field| (snake(&field.name).into_owned(), Kind::of(&field.ty))).collect(),
            ),
            Ty::Tuple(items) => Kind::Tuple(items.iter().map(Kind::of).collect()),
            Ty::Variant(cases) => tagged(cases.iter().map(|Case { name, ty }| (name.clone(), ty.as_ref()))),
            Ty::Result(ok, err) => {
                tagged([("ok".to_owned(), ok.as_deref()), ("err".to_owned(), err.as_deref())].into_iter())
            }
            Ty::Enum(names) => Kind::Enum(names.clone()),
            Ty::Option(inner) => Kind::Option(Box::new(Kind::of(inner))),
            // A list of strings, as agents see it, of at most as many items as there are names.
            Ty::Flags(names) => Kind::List(Box::new(Kind::Enum(names.clone())), Some(names.len() as u64)),
        }
    }

    /// Number of kinds inside this one, itself included.
    pub(super) fn parts(&self) -> usize {
        match self {
            Kind::Null | Kind::Bool | Kind::Number | Kind::Text(_) | Kind::Bytes | Kind::Any => 1,
            Kind::Dated(_) | Kind::Time(_) | Kind::Span => 1,
            Kind::Enum(names) => 1 + names.len(),
            Kind::List(item, _) | Kind::Option(item) => 1 + item.parts(),
            Kind::Map(key, value, _) => 1 + key.parts() + value.parts(),
            Kind::Tuple(items) => 1 + items.iter().map(Kind::parts).sum::<usize>(),
            Kind::Record(fields) => 1 + fields.iter().map(|(_, kind)| kind.parts()).sum::<usize>(),
        }
    }

    /// This kind without the kinds inside it.
    pub(super) fn outline(&self) -> Kind {
        match self {
            Kind::Enum(_) => Kind::Enum(Vec::new()),
            Kind::Tuple(_) => Kind::Tuple(Vec::new()),
            Kind::Record(_) => Kind::Record(Vec::new()),
            Kind::List(_, len) => Kind::List(Box::new(Kind::Any), *len),
            Kind::Map(_, _, len) => Kind::Map(Box::new(Kind::Any), Box::new(Kind::Any), *len),
            Kind::Option(inner) => Kind::Option(Box::new(inner.outline())),
            Kind::Null | Kind::Bool | Kind::Number | Kind::Text(_) | Kind::Bytes | Kind::Any => self.clone(),
            Kind::Dated(_) | Kind::Time(_) | Kind::Span => self.clone(),
        }
    }

    /// This kind with the bounds of the contract for this place and all places inside it.
    pub(super) fn bounded(self, at: &Path, bounds: &Places) -> Kind {
        let inside = |kind: Kind, segment: Segment| kind.bounded(&at.then(segment), bounds);
        match self {
            Kind::Text(bytes) => match bounds.form(at) {
                Some(form) => Kind::Dated(form),
                None => Kind::Text(shorter(bytes, bounds.text_bytes_max(at))),
            },
            Kind::List(item, len) => {
                let len = shorter(len, bounds.items_max(at));
                Kind::List(Box::new(inside(*item, Segment::Items)), len)
            }
            Kind::Map(key, value, len) => Kind::Map(key, value, shorter(len, bounds.items_max(at))),
            Kind::Record(fields) => {
                let field = |(name, kind): (String, Kind)| {
                    let kind = inside(kind, Segment::Field(name.clone()));
                    (name, kind)
                };
                Kind::Record(fields.into_iter().map(field).collect())
            }
            // A path looks through options.
            Kind::Option(inner) => Kind::Option(Box::new(inner.bounded(at, bounds))),
            // No path leads into these.
            kind @ (Kind::Null | Kind::Bool | Kind::Number | Kind::Enum(_) | Kind::Bytes) => kind,
            kind @ (Kind::Tuple(_) | Kind::Any) => kind,
            kind @ (Kind::Dated(_) | Kind::Time(_) | Kind::Span) => kind,
        }
    }

    /// The largest size of a string in bytes, where it is bounded.
    fn text_bytes(&self) -> Option<u64> {
        match self {
            Kind::Text(bytes) => *bytes,
            Kind::Enum(names) => names.iter().map(|name| name.len() as u64).max(),
            _ => None,
        }
    }

    /// This kind without its options.
    pub(super) fn some(&self) -> &Kind {
        if let Kind::Option(inner) = self { inner.some() } else { self }
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self, Kind::Text(_) | Kind::Enum(_) | Kind::Dated(_))
    }

    /// What it stands for, if it is a date or a point in time, or a string that is declared as one.
    pub(super) fn form(&self) -> Option<Form> {
        match self.some() {
            Kind::Dated(form) | Kind::Time(form) => Some(*form),
            _ => None,
        }
    }

    /// Whether values of the kind have an order.
    pub(super) fn is_ordered(&self) -> bool {
        matches!(self, Kind::Number | Kind::Time(_) | Kind::Span) || self.is_text()
    }

    /// Whether values of the kind can be looked up, as keys are.
    pub(super) fn is_key(&self) -> bool {
        matches!(self, Kind::Null | Kind::Bool | Kind::Any) || self.is_ordered()
    }

    pub(super) fn is_scalar(&self) -> bool {
        matches!(self, Kind::Bool | Kind::Number) || self.is_text()
    }

    /// Whether values of both kinds can be compared for equality.
    pub(super) fn comparable(&self, other: &Kind) -> bool {
        match (self.some(), other.some()) {
            (Kind::Any | Kind::Null, _) | (_, Kind::Any | Kind::Null) => true,
            // An enum compares with any string. Literals that are no case of it are refused by `known_cases`.
            (a, b) if a.is_text() && b.is_text() => true,
            (Kind::List(a, _), Kind::List(b, _)) => a.comparable(b),
            (Kind::Tuple(a), Kind::Tuple(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.comparable(b))
            }
            (Kind::Record(a), Kind::Record(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && a.1.comparable(&b.1))
            }
            (Kind::Map(ak, av, _), Kind::Map(bk, bv, _)) => ak.comparable(bk) && av.comparable(bv),
            (a, b) => a == b,
        }
    }

    /// The kind of a value that has one of both kinds. `None` where the kinds do not mix.
    pub(super) fn join(&self, other: &Kind) -> Option<Kind> {
        match (self, other) {
            (a, b) if a == b => Some(a.clone()),
            (Kind::Any, kind) | (kind, Kind::Any) => Some(kind.clone()),
            (Kind::Null, kind) | (kind, Kind::Null) => Some(Kind::Option(Box::new(kind.some().clone()))),
            (Kind::Option(_), _) | (_, Kind::Option(_)) => {
                self.some().join(other.some()).map(|inner| Kind::Option(Box::new(inner)))
            }
            (a, b) if a.is_text() && b.is_text() => Some(Kind::Text(longer(a.text_bytes(), b.text_bytes()))),
            (Kind::List(a, n), Kind::List(b, m)) => {
                a.join(b).map(|item| Kind::List(Box::new(item), longer(*n, *m)))
            }
            _ => None,
        }
    }

    /// The kind of the items that a macro visits, with their number where the type fixes or bounds it. A map's
    /// items are its keys.
    pub(super) fn items(&self) -> Option<(Kind, Option<u64>)> {
        match self.some() {
            Kind::List(item, len) => Some(((**item).clone(), *len)),
            Kind::Map(key, _, len) => Some(((**key).clone(), *len)),
            Kind::Tuple(items) => {
                let item = items.iter().try_fold(Kind::Any, |all, item| all.join(item))?;
                Some((item, Some(items.len() as u64)))
            }
            _ => None,
        }
    }
}

/// The larger of two bounds, for a value that has either kind. Unknown if one of them is.
fn longer(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.zip(b).map(|(a, b)| a.max(b))
}

/// The smaller of the known bounds, for a value that has both.
fn shorter(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.into_iter().chain(b).min()
}

/// The kind of a variant or result: a record of `tag` and `val`. `val` exists if all payloads have one kind,
/// because the checker does not follow tests of `tag`.
fn tagged<'t>(cases: impl Iterator<Item = (String, Option<&'t Ty>)>) -> Kind {
    let (names, payloads): (Vec<String>, Vec<Option<Kind>>) =
        cases.map(|(name, ty)| (name, ty.map(Kind::of))).unzip();
    let mut fields = vec![("tag".to_owned(), Kind::Enum(names))];
    let mut payloads = payloads.into_iter().flatten();
    if let Some(first) = payloads.next()
        && payloads.all(|other| other == first)
    {
        fields.push(("val".to_owned(), Kind::Option(Box::new(first))));
    }
    Kind::Record(fields)
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Null => f.write_str("null"),
            Kind::Bool => f.write_str("a truth value"),
            Kind::Number => f.write_str("a number"),
            Kind::Text(_) | Kind::Enum(_) => f.write_str("a string"),
            Kind::Dated(form) | Kind::Time(form) => form.fmt(f),
            Kind::Span => f.write_str("a time span"),
            Kind::Bytes => f.write_str("bytes"),
            Kind::List(..) => f.write_str("a list"),
            Kind::Tuple(_) => f.write_str("a tuple"),
            Kind::Record(_) => f.write_str("a record"),
            Kind::Map(..) => f.write_str("a map"),
            Kind::Option(inner) => write!(f, "{inner}, or null"),
            Kind::Any => f.write_str("anything"),
        }
    }
}
