//! Converts JSON to component values: the second gate of the inner door, total and typed.
//!
//! Owns the JSON form of each type; reports every violation, not only the first. Must not know schemas or constraints.
//! For a new type: a row in `Lowering::value`. The schema accepts whatever this module accepts. This module is stricter
//! only where a schema cannot express the difference (each case has its test below):
//!
//! 1. `precision`: a 64-bit integer that was written as a float beyond ±(2^53−1), or that a JSON parser
//!    rounded since no 64 bits hold it (−9223372036854775809);
//! 2. `range`: a decimal string that no 64 bits hold, and a number that overflows `f32`;
//! 3. `contentEncoding`: a string that is not strict base64 of the standard alphabet;
//! 4. `uniqueKeys`: a map that has a key twice.

mod hint;
mod scalar;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Val;
use super::lift::lift;
use super::path::snake;
use super::phrase::expected;
use super::schema::{case, cases};
use super::ty::{Field, Ty};
use airlock_types::code::Code;
use airlock_types::place::Place;
use airlock_types::shorten::shorten;
use airlock_types::violation::Violation;
use airlock_types::words::{GOT_CHARS_MAX, did_you_mean, got, list, pair};

/// Number of violations collected for one call. A model cannot use more at once.
const MOST_VIOLATIONS: usize = 20;

/// Characters of the longest phrase for an expected type. A type can be large, its description is not.
const EXPECTED_CHARS_MAX: usize = 200;

/// Lowers the arguments of a call to the parameters, in declared order.
///
/// # Errors
/// The violations, at most 20.
pub fn lower(params: &[Field], args: Map<String, Value>) -> Result<Vec<Val>, Vec<Violation>> {
    let mut lowering = Lowering { found: vec![], most: MOST_VIOLATIONS };
    match lowering.fields(&Place::Root, params, args) {
        Some(vals) if lowering.found.is_empty() => Ok(vals),
        _ => Err(lowering.found),
    }
}

/// Lowers those arguments that are given, each by itself. Returns the parameters and their values, and the violations, at
/// most 20. For a call that is refused already: what is wrong with its other arguments.
pub(crate) fn lower_given(
    params: &[Field],
    mut args: Map<String, Value>,
) -> ((Vec<Field>, Vec<Val>), Vec<Violation>) {
    let mut lowering = Lowering { found: vec![], most: MOST_VIOLATIONS };
    let given = params.iter().filter_map(|param| {
        let key = snake(&param.name);
        let value = args.remove(&*key)?;
        let val = lowering.value(&Place::Root.key(&key), &param.ty, value)?;
        Some((param.clone(), val))
    });
    (given.unzip(), lowering.found)
}

/// Lowers a single value, such as a fixed result.
///
/// # Errors
/// The violations, at most 20.
pub fn lower_value(ty: &Ty, value: Value) -> Result<Val, Vec<Violation>> {
    let mut lowering = Lowering { found: vec![], most: MOST_VIOLATIONS };
    match lowering.value(&Place::Root, ty, value) {
        Some(val) if lowering.found.is_empty() => Ok(val),
        _ => Err(lowering.found),
    }
}

/// Whether a value can be lowered. It makes no hints, because hints call it: they would recurse.
fn fits(ty: &Ty, value: Value) -> bool {
    let mut trial = Lowering { found: vec![], most: 1 };
    trial.value(&Place::Root, ty, value).is_some() && trial.found.is_empty()
}

/// One pass over the arguments. Its methods return `None` after a violation and go on with the siblings, so that one
/// pass finds all.
struct Lowering {
    found: Vec<Violation>,
    /// Number of violations that ends the pass. A trial ends at the first.
    most: usize,
}

impl Lowering {
    fn value(&mut self, at: &Place, ty: &Ty, value: Value) -> Option<Val> {
        if self.full() {
            return None;
        }
        match ty {
            Ty::Bool | Ty::Char | Ty::String | Ty::F32 | Ty::F64 => self.scalar(at, ty, value),
            Ty::S8 | Ty::U8 | Ty::S16 | Ty::U16 | Ty::S32 | Ty::U32 | Ty::S64 | Ty::U64 => {
                self.scalar(at, ty, value)
            }
            Ty::Enum(_) => self.scalar(at, ty, value),
            // Before `List`: a list of bytes is base64 text or `{"utf8": …}` in JSON, not an array.
            Ty::List(item) if **item == Ty::U8 => self.scalar(at, ty, value),
            Ty::List(item) => {
                let values = self.array(at, ty, value)?;
                self.items(at, item, values).map(Val::List)
            }
            Ty::FixedList(item, len) => {
                let values = self.exactly(at, ty, *len as usize, value)?;
                self.items(at, item, values).map(Val::FixedLengthList)
            }
            Ty::Map(key, item) => self.map(at, ty, [key, item], value),
            Ty::Record(fields) => {
                let given = self.object(at, ty, value)?;
                // Component values have the names of WIT, JSON has them in snake_case.
                let names = fields.iter().map(|field| field.name.clone());
                self.fields(at, fields, given).map(|vals| Val::Record(names.zip(vals).collect()))
            }
            Ty::Tuple(parts) => self.tuple(at, ty, parts, value),
            Ty::Variant(_) => self.case(at, ty, value).map(|(tag, val)| Val::Variant(tag, val)),
            Ty::Result(..) => self.case(at, ty, value).map(|(tag, val)| match tag.as_str() {
                "ok" => Val::Result(Ok(val)),
                _ => Val::Result(Err(val)),
            }),
            Ty::Option(inner) => self.option(at, ty, inner, value),
            Ty::Flags(names) => self.flags(at, ty, names, value),
        }
    }

    fn scalar(&mut self, at: &Place, ty: &Ty, value: Value) -> Option<Val> {
        match scalar::lower(ty, value) {
            Ok(val) => Some(val),
            Err((keyword, value)) => self.wrong(at, keyword, ty, &value),
        }
    }

    fn array(&mut self, at: &Place, ty: &Ty, value: Value) -> Option<Vec<Value>> {
        if let Value::Array(values) = value { Some(values) } else { self.wrong(at, "type", ty, &value) }
    }

    fn object(&mut self, at: &Place, ty: &Ty, value: Value) -> Option<Map<String, Value>> {
        if let Value::Object(map) = value { Some(map) } else { self.wrong(at, "type", ty, &value) }
    }

    fn exactly(&mut self, at: &Place, ty: &Ty, len: usize, value: Value) -> Option<Vec<Value>> {
        let values = self.array(at, ty, value)?;
        if values.len() == len {
            return Some(values);
        }
        let keyword = if values.len() < len { "minItems" } else { "maxItems" };
        self.wrong(at, keyword, ty, &Value::Array(values))
    }

    fn items(&mut self, at: &Place, ty: &Ty, values: Vec<Value>) -> Option<Vec<Val>> {
        let count = values.len();
        // `flatten` skips failed items, so that the later ones are checked, too.
        let lowered = values.into_iter().enumerate().map(|(i, value)| self.value(&at.index(i), ty, value));
        let vals: Vec<_> = lowered.flatten().collect();
        (vals.len() == count).then_some(vals)
    }

    fn tuple(&mut self, at: &Place, ty: &Ty, parts: &[Ty], value: Value) -> Option<Val> {
        let values = self.exactly(at, ty, parts.len(), value)?;
        let each = parts.iter().zip(values).enumerate();
        let vals: Vec<_> = each.filter_map(|(i, (ty, value))| self.value(&at.index(i), ty, value)).collect();
        (vals.len() == parts.len()).then_some(Val::Tuple(vals))
    }

    fn map(&mut self, at: &Place, ty: &Ty, [key, item]: [&Ty; 2], value: Value) -> Option<Val> {
        let values = self.array(at, ty, value)?;
        let count = values.len();
        let (mut keys, mut entries) = (BTreeSet::new(), Vec::with_capacity(count));
        for (i, value) in values.into_iter().enumerate() {
            let at = at.index(i);
            let Some(entry) = self.entry(&at, ty, [key, item], value) else { continue };
            // Equal keys may be spelled differently (7 and "7"), so their canonical form is compared.
            let text = lift(key, &entry.0).map(|key| key.to_string()).unwrap_or_default();
            if keys.contains(&text) {
                let expected = "keys that occur once".to_owned();
                self.fault::<()>(&at.key("key"), Code::ArgsType, "uniqueKeys", expected, text, None);
            } else {
                keys.insert(text);
                entries.push(entry);
            }
        }
        (entries.len() == count).then_some(Val::Map(entries))
    }

    fn entry(&mut self, at: &Place, ty: &Ty, [key, item]: [&Ty; 2], value: Value) -> Option<(Val, Val)> {
        let mut given = self.object(at, ty, value)?;
        let key = self.member(at, "key", key, &mut given);
        let item = self.member(at, "value", item, &mut given);
        self.unknown(at, &given, &["key".into(), "value".into()], vec![]);
        key.zip(item)
    }

    /// A member of a closed object that is not a record: of a map entry, or of a case. A missing `option` is none.
    fn member(&mut self, at: &Place, name: &str, ty: &Ty, given: &mut Map<String, Value>) -> Option<Val> {
        match given.remove(name) {
            Some(value) => self.value(&at.key(name), ty, value),
            None if ty.as_option().is_some() => Some(Val::Option(None)),
            None => self.missing(at, name, ty),
        }
    }

    fn fields(&mut self, at: &Place, fields: &[Field], mut given: Map<String, Value>) -> Option<Vec<Val>> {
        let mut vals = Vec::with_capacity(fields.len());
        let mut missing = vec![];
        for field in fields {
            let key = snake(&field.name);
            let val = match given.remove(&*key) {
                Some(value) => self.value(&at.key(&key), &field.ty, value),
                None if field.ty.as_option().is_some() => Some(Val::Option(None)),
                None => {
                    missing.push((key.into_owned(), &field.ty));
                    None
                }
            };
            vals.extend(val);
        }
        if !given.is_empty() || !missing.is_empty() {
            // Only made for a fault: the usual call has neither unknown nor missing keys.
            let known: Vec<_> = fields.iter().map(|field| snake(&field.name).into_owned()).collect();
            self.unknown(at, &given, &known, missing);
        }
        (vals.len() == fields.len()).then_some(vals)
    }

    /// Lowers a tagged object: returns its tag and its payload, where the case has one.
    fn case(&mut self, at: &Place, ty: &Ty, value: Value) -> Option<(String, Option<Box<Val>>)> {
        let mut given = self.object(at, ty, value)?;
        let (tag, payload) = self.tag(&at.key("tag"), ty, given.remove("tag"))?;
        let val = match payload {
            Some(ty) => Some(Box::new(self.member(at, "val", ty, &mut given)?)),
            None => None,
        };
        if !given.is_empty() {
            let known: &[_] = if val.is_some() { &["tag".into(), "val".into()] } else { &["tag".into()] };
            self.unknown(at, &given, known, vec![]);
        }
        Some((tag, val))
    }

    /// Checks the tag. Returns it with the payload type of its case.
    fn tag<'t>(&mut self, at: &Place, ty: &'t Ty, tag: Option<Value>) -> Option<(String, Option<&'t Ty>)> {
        let names = || cases(ty).into_iter().map(|(name, _)| name);
        let expected = || format!("one of {}", list(names()));
        let Some(tag) = tag else {
            return self.fault(at, Code::ArgsMissing, "required", expected(), "nothing".into(), None);
        };
        let Value::String(tag) = tag else {
            return self.fault(at, Code::ArgsType, "type", expected(), got(&tag), None);
        };
        if let Some(payload) = case(ty, &tag) {
            return Some((tag, payload));
        }
        let hint = did_you_mean(&tag, names());
        self.fault(at, Code::ArgsType, "enum", expected(), got(&Value::String(tag)), hint)
    }

    fn option(&mut self, at: &Place, ty: &Ty, inner: &Ty, value: Value) -> Option<Val> {
        if value.is_null() {
            return Some(Val::Option(None));
        }
        if inner.as_option().is_none() {
            return self.value(at, inner, value).map(|val| Val::Option(Some(Box::new(val))));
        }
        let mut given = self.object(at, ty, value)?;
        let val = match given.remove("some") {
            Some(value) => self.value(&at.key("some"), inner, value),
            None => self.missing(at, "some", inner),
        };
        self.unknown(at, &given, &["some".into()], vec![]);
        val.map(|val| Val::Option(Some(Box::new(val))))
    }

    fn flags(&mut self, at: &Place, ty: &Ty, names: &[String], value: Value) -> Option<Val> {
        let values = self.array(at, ty, value)?;
        let mut set = BTreeSet::new();
        let before = self.found.len();
        for (i, value) in values.into_iter().enumerate() {
            match value.as_str().and_then(|given| names.iter().position(|name| name == given)) {
                Some(place) => {
                    set.insert(place);
                }
                None => self.not_a_flag(&at.index(i), names, &value),
            }
        }
        let set = set.into_iter().map(|place| names[place].clone()).collect();
        // `found` does not grow once the pass is full, so the count alone does not prove that every name was known.
        (self.found.len() == before && !self.full()).then_some(Val::Flags(set))
    }

    fn not_a_flag(&mut self, at: &Place, names: &[String], value: &Value) {
        let one = Ty::Enum(names.to_vec());
        let keyword = if value.is_string() { "enum" } else { "type" };
        self.wrong::<()>(at, keyword, &one, value);
    }

    fn missing<T>(&mut self, at: &Place, name: &str, ty: &Ty) -> Option<T> {
        self.fault(&at.key(name), Code::ArgsMissing, "required", expected(ty), "nothing".into(), None)
    }

    /// Reports unknown and missing keys together. An unknown key near a missing one is a misspelling of it, and is
    /// reported once.
    fn unknown(
        &mut self,
        at: &Place,
        given: &Map<String, Value>,
        known: &[String],
        mut missing: Vec<(String, &Ty)>,
    ) {
        // Keys that are missing stand first: among equally near names they are meant.
        let is_missing = |key: &str| missing.iter().any(|(name, _)| name == key);
        let names: Vec<&str> = given.keys().map(String::as_str).collect();
        let mut free: Vec<&str> = known.iter().map(String::as_str).collect();
        free.sort_by_key(|key| !is_missing(key));
        let meant = pair(&names, &free);
        for ((name, value), meant) in given.iter().zip(&meant) {
            let hint = meant.as_ref().map(|meant| {
                let state = if is_missing(meant.name) { " (required, missing)" } else { "" };
                format!("did you mean `{}`{state}?", meant.name)
            });
            let expected = match known {
                [] => "no arguments".to_owned(),
                known => format!("only {}", list(known.iter().map(String::as_str))),
            };
            let keyword = "additionalProperties";
            self.fault::<()>(&at.key(name), Code::ArgsUnknown, keyword, expected, got(value), hint);
        }
        missing.retain(|(name, _)| !meant.iter().flatten().any(|meant| meant.name == name));
        for (name, ty) in missing {
            self.missing::<()>(at, &name, ty);
        }
    }

    fn wrong<T>(&mut self, at: &Place, keyword: &'static str, ty: &Ty, value: &Value) -> Option<T> {
        // A trial (`fits`) has `most` 1 and is itself part of a hint.
        let hint = if self.most > 1 { hint::hint(ty, keyword, value) } else { None };
        self.fault(at, Code::ArgsType, keyword, expected(ty), got(value), hint)
    }

    fn full(&self) -> bool {
        self.found.len() >= self.most
    }

    fn fault<T>(
        &mut self,
        at: &Place,
        code: Code,
        keyword: &str,
        expected: String,
        got: String,
        hint: Option<String>,
    ) -> Option<T> {
        if !self.full() {
            let (path, pointer) = (at.path(), at.pointer());
            let (keyword, got) = (keyword.to_owned(), shorten(&got, GOT_CHARS_MAX));
            let expected = shorten(&expected, EXPECTED_CHARS_MAX);
            self.found.push(Violation { code, path, pointer, keyword, expected, got, hint });
        }
        None
    }
}

#[cfg(test)]
mod tests;
