//! The walk over two answers.

use std::collections::BTreeMap;

use crate::number::Number;
use crate::path::snake;
use crate::ty::Ty;
use serde_json::{Map, Value};

use super::{Comparator, Compared, DIFFERENCES_MAX, difference};

/// Compares two answers, and collects what differs.
pub(super) struct Walk<'c> {
    by_place: &'c BTreeMap<String, Comparator>,
    by_type: &'c BTreeMap<String, Comparator>,
    compared: Compared,
}

/// A place, with the numbers of items and without.
#[derive(Clone, Default)]
struct Place {
    at: String,
    pattern: String,
}

impl Place {
    fn field(&self, name: &str) -> Place {
        let joined = |text: &str| if text.is_empty() { name.to_owned() } else { format!("{text}.{name}") };
        Place { at: joined(&self.at), pattern: joined(&self.pattern) }
    }

    fn item(&self, which: &str) -> Place {
        Place { at: format!("{}[{which}]", self.at), pattern: format!("{}[]", self.pattern) }
    }
}

impl<'c> Walk<'c> {
    pub(super) fn new(
        by_place: &'c BTreeMap<String, Comparator>,
        by_type: &'c BTreeMap<String, Comparator>,
    ) -> Walk<'c> {
        Walk { by_place, by_type, compared: Compared::default() }
    }

    pub(super) fn done(self) -> Compared {
        self.compared
    }

    /// What a function returned. The payload of an `ok` is the answer, and places begin there.
    pub(super) fn answer(&mut self, ty: Option<&Ty>, was: &Value, is: &Value) {
        let tag = |value: &Value| value.get("tag").cloned();
        let (Some(Ty::Result(ok, err)), true) = (ty, tag(was) == tag(is)) else {
            return self.compare(&Place::default(), ty, was, is);
        };
        let is_ok = tag(was).is_some_and(|tag| tag == "ok");
        let (place, ty) = if is_ok { (Place::default(), ok) } else { (Place::default().field("err"), err) };
        let val = |value: &Value| value.get("val").cloned().unwrap_or_default();
        self.compare(&place, ty.as_deref(), &val(was), &val(is));
    }

    fn compare(&mut self, place: &Place, ty: Option<&Ty>, was: &Value, is: &Value) {
        let ty = ty.map(|ty| ty.as_option().unwrap_or(ty));
        let is_near = |most: f64| match (number(was), number(is)) {
            (Some(was), Some(is)) => was.distance(is) <= Number::Float(most),
            _ => false,
        };
        match self.comparator(place, ty) {
            Comparator::Ignore => self.compared.ignored += 1,
            // Also where a value is no number: `NaN` and the infinities.
            _ if was == is => {}
            Comparator::Exact => self.inside(place, ty, was, is),
            Comparator::Absolute { within } if is_near(within) => {}
            Comparator::Relative { within } if is_near(within * greater(was, is)) => {}
            Comparator::Absolute { .. } | Comparator::Relative { .. } => self.differs(place, was, is),
            Comparator::Set => self.sets(place, was, is),
            Comparator::Keyed { key } => self.keyed(place, (ty, &key), was, is),
        }
    }

    fn comparator(&self, place: &Place, ty: Option<&Ty>) -> Comparator {
        let by_type = || self.by_type.get(&ty?.to_string());
        let found = self.by_place.get(&place.pattern);
        // Types are written out, which costs more than most comparisons: only where one is looked for.
        match found.or_else(|| if self.by_type.is_empty() { None } else { by_type() }) {
            Some(comparator) => comparator.clone(),
            None if matches!(ty, Some(Ty::Flags(_))) => Comparator::Set,
            None => Comparator::Exact,
        }
    }

    /// Two values that are not equal as a whole: the places in them.
    fn inside(&mut self, place: &Place, ty: Option<&Ty>, was: &Value, is: &Value) {
        match (was, is) {
            (Value::Object(was), Value::Object(is)) => self.objects(place, ty, was, is),
            (Value::Array(was), Value::Array(is)) => {
                if was.len() != is.len() {
                    self.note(place, &format!("{} items", was.len()), &format!("{} items", is.len()));
                }
                for (at, (was, is)) in was.iter().zip(is).enumerate() {
                    self.compare(&place.item(&at.to_string()), item_ty(ty, at), was, is);
                }
            }
            _ => self.differs(place, was, is),
        }
    }

    fn objects(&mut self, place: &Place, ty: Option<&Ty>, was: &Map<String, Value>, is: &Map<String, Value>) {
        for (name, one) in was {
            let at = place.field(name);
            match is.get(name) {
                Some(other) => self.compare(&at, field_ty(ty, name, one, was), one, other),
                None => self.note(&at, &one.to_string(), "nothing"),
            }
        }
        for (name, other) in is.iter().filter(|(name, _)| !was.contains_key(*name)) {
            self.note(&place.field(name), "nothing", &other.to_string());
        }
    }

    fn sets(&mut self, place: &Place, was: &Value, is: &Value) {
        let (Some(was), Some(is)) = (was.as_array(), is.as_array()) else {
            return self.differs(place, was, is);
        };
        let mut counts: BTreeMap<String, i64> = BTreeMap::new();
        was.iter().for_each(|item| *counts.entry(item.to_string()).or_default() += 1);
        is.iter().for_each(|item| *counts.entry(item.to_string()).or_default() -= 1);
        for (item, count) in counts.iter().filter(|(_, count)| **count != 0) {
            let (was, is) = if *count > 0 { (item.as_str(), "nothing") } else { ("nothing", item.as_str()) };
            self.note(&place.item(""), was, is);
        }
    }

    fn keyed(&mut self, place: &Place, (ty, key): (Option<&Ty>, &str), was: &Value, is: &Value) {
        let (Some(was), Some(is)) = (by_key(was, key), by_key(is, key)) else {
            // Without keys, or with one twice, records cannot be told apart.
            return self.inside(place, ty, was, is);
        };
        for (name, one) in &was {
            match is.get(name) {
                Some(other) => self.compare(&place.item(name), item_ty(ty, 0), one, other),
                None => self.note(&place.item(name), &one.to_string(), "nothing"),
            }
        }
        for (name, other) in is.iter().filter(|(name, _)| !was.contains_key(*name)) {
            self.note(&place.item(name), "nothing", &other.to_string());
        }
    }

    fn differs(&mut self, place: &Place, was: &Value, is: &Value) {
        self.note(place, &was.to_string(), &is.to_string());
    }

    fn note(&mut self, place: &Place, was: &str, is: &str) {
        if self.compared.differences.len() < DIFFERENCES_MAX {
            self.compared.differences.push(difference(&place.at, &place.pattern, was, is));
        } else {
            self.compared.more += 1;
        }
    }
}

/// A number, also one that JSON has as text because it is large.
fn number(value: &Value) -> Option<Number> {
    let int = |text: &str| text.parse().ok().map(Number::Int);
    let whole = |n: &serde_json::Number| n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from));
    let float = |text: &str| text.parse().ok().map(Number::Float).filter(|number| number.is_finite());
    match value {
        Value::Number(n) => whole(n).map(Number::Int).or_else(|| n.as_f64().map(Number::Float)),
        Value::String(text) => int(text).or_else(|| float(text)),
        _ => None,
    }
}

fn greater(was: &Value, is: &Value) -> f64 {
    let size = |value| number(value).map_or(0.0, |number| number.float().abs());
    size(was).max(size(is))
}

fn item_ty(ty: Option<&Ty>, at: usize) -> Option<&Ty> {
    match ty? {
        Ty::List(item) | Ty::FixedList(item, _) => Some(item),
        Ty::Tuple(parts) => parts.get(at),
        _ => None,
    }
}

/// The type of a member of an object: a field of a record, or the payload of a case.
fn field_ty<'t>(ty: Option<&'t Ty>, name: &str, value: &Value, whole: &Map<String, Value>) -> Option<&'t Ty> {
    let tag = || whole.get("tag").and_then(Value::as_str);
    match ty? {
        Ty::Record(fields) => fields.iter().find(|field| snake(&field.name) == name).map(|field| &field.ty),
        Ty::Variant(cases) if name == "val" => {
            cases.iter().find(|case| Some(case.name.as_str()) == tag())?.ty.as_ref()
        }
        Ty::Result(ok, err) if name == "val" => if tag()? == "ok" { ok } else { err }.as_deref(),
        Ty::Option(inner) if name == "some" && !value.is_null() => Some(inner),
        _ => None,
    }
}

/// The items of a list by their keys. None if one has no key, or two have the same.
fn by_key<'v>(list: &'v Value, key: &str) -> Option<BTreeMap<String, &'v Value>> {
    let mut found = BTreeMap::new();
    for item in list.as_array()? {
        let name = match item.get(key)? {
            Value::String(name) => name.clone(),
            other => other.to_string(),
        };
        if found.insert(name, item).is_some() {
            return None;
        }
    }
    Some(found)
}
