//! Finds missing and unknown keys of one object together: an unknown key near a missing one is a misnamed one.
//!
//! Owns which keys are missing, unknown or misnamed. Must not know other faults.

use serde_json::{Map, Value};

use super::fault::{Fault, Fix, Reader, Says};
use super::wording;
use airlock_types::code::Code;
use airlock_types::place::Step;
use airlock_types::shorten::shorten;
use airlock_types::words::{nearest, one_line, quoted};

/// The keys of one object, compared with those of its schema.
pub(super) struct Shape<'s, 'v> {
    properties: Option<&'s Map<String, Value>>,
    /// The schema of keys that are not listed: `additionalProperties`, unless it only rejects them.
    pub(super) others: Option<&'s Value>,
    present: &'v Map<String, Value>,
    missing: Vec<&'s str>,
    unknown: Vec<&'v str>,
}

impl<'s, 'v> Shape<'s, 'v> {
    /// Compares the keys. At most `max` missing and `max` unknown keys are collected.
    pub(super) fn of(schema: &'s Map<String, Value>, present: &'v Map<String, Value>, max: usize) -> Self {
        let properties = schema.get("properties").and_then(Value::as_object);
        // With `patternProperties`, the compiled keyword decides which keys are known: see `parts`.
        let others = schema.get("additionalProperties").filter(|_| !schema.contains_key("patternProperties"));
        let missing = required(schema, present).filter(|name| !present.contains_key(*name));
        let mut shape =
            Shape { properties, others, present, missing: missing.take(max).collect(), unknown: vec![] };
        // A key can be both in `required` and in a list of `dependentRequired`.
        shape.missing.dedup();
        if others == Some(&Value::Bool(false)) {
            let unknown = present.keys().map(String::as_str).filter(|name| !shape.knows(name));
            shape.unknown = unknown.take(max).collect();
            // The unknown keys are faults already: their values are not checked against `false` as well.
            shape.others = None;
        }
        shape
    }

    /// Whether the schema lists the key.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.properties.is_some_and(|properties| properties.contains_key(key))
    }

    pub(super) fn len(&self) -> usize {
        self.missing.len() + self.unknown.len()
    }

    pub(super) fn faults(mut self, reader: &Reader<'s>, within: &[Step]) -> Vec<Fault> {
        // Unknown keys first: each that matches a missing key takes it out of the list, so one typing error is one
        // fault.
        let unknown = std::mem::take(&mut self.unknown);
        let mut faults: Vec<Fault> = unknown.into_iter().map(|key| self.misnamed(within, key)).collect();
        faults.extend(self.missing.iter().map(|key| self.missing(reader, within, key)));
        faults
    }

    fn misnamed(&mut self, within: &[Step], key: &str) -> Fault {
        if let Some(name) = nearest(key, self.missing.iter().copied()) {
            self.missing.retain(|missing| *missing != name);
            return unknown(within, key, Some((name, "required, missing")), &[]);
        }
        // An optional key that is also present cannot be the one that was meant.
        let is_free = |name: &&str| !self.present.contains_key(*name) && !self.missing.contains(name);
        match nearest(key, self.known().filter(is_free)) {
            Some(name) => unknown(within, key, Some((name, "optional")), &[]),
            None => unknown(within, key, None, &self.known().collect::<Vec<_>>()),
        }
    }

    fn known(&self) -> impl Iterator<Item = &'s str> + use<'s> {
        self.properties.into_iter().flatten().map(|(name, _)| name.as_str())
    }

    fn missing(&self, reader: &Reader<'s>, within: &[Step], key: &str) -> Fault {
        let property = self.properties.and_then(|properties| properties.get(key));
        let expected =
            property.map_or_else(|| "a value".to_owned(), |schema| wording::phrase(reader, schema));
        let says = Says {
            code: Code::ArgsMissing,
            keyword: "required",
            expected,
            got: "nothing".into(),
            hint: None,
        };
        Fault::new(below(within, key), says, None)
    }
}

/// The keys that an object must have: those of `required`, and those of `dependentRequired` for each key that is
/// present.
fn required<'s>(
    schema: &'s Map<String, Value>,
    present: &Map<String, Value>,
) -> impl Iterator<Item = &'s str> {
    let always = schema.get("required").into_iter();
    let dependent = schema.get("dependentRequired").and_then(Value::as_object).into_iter().flatten();
    let because = dependent.filter(|(name, _)| present.contains_key(*name)).map(|(_, names)| names);
    let lists = always.chain(because).filter_map(Value::as_array);
    lists.flatten().filter_map(Value::as_str)
}

fn unknown(within: &[Step], key: &str, meant: Option<(&str, &str)>, known: &[&str]) -> Fault {
    let fix =
        meant.map(|(to, _)| Fix::Rename { within: within.to_vec(), from: key.to_owned(), to: to.to_owned() });
    let (expected, hint) = match meant {
        Some((name, state)) => (format!("`{name}`"), format!("did you mean `{name}` ({state})?")),
        None if known.is_empty() => {
            ("no keys".to_owned(), "leave it out: there is nothing to give".to_owned())
        }
        None => {
            let known = wording::names(known);
            (format!("one of {known}"), format!("known: {}", shorten(&known, 100)))
        }
    };
    let got = format!("key {}", quoted(&one_line(key, 50)));
    let says =
        Says { code: Code::ArgsUnknown, keyword: "additionalProperties", expected, got, hint: Some(hint) };
    Fault::new(below(within, key), says, fix)
}

fn below(within: &[Step], key: &str) -> Vec<Step> {
    within.iter().cloned().chain([Step::Key(key.to_owned())]).collect()
}
