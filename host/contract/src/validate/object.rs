//! Finds missing and unknown keys of one object together: an unknown key near a missing one is a misnamed one.
//!
//! Owns which keys are missing, unknown or misnamed. Must not know other faults.

use serde_json::{Map, Value};

use super::fault::{Advice, Fault, Fix, Mend, Reader, Says, below};
use super::wording;
use airlock_types::code::Code;
use airlock_types::place::Step;
use airlock_types::shorten::shorten;
use airlock_types::words::{Likeness, Match, doubles, nearest_match, one_line, pair, quoted};

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
        // A key that is present cannot be the one that was meant. An unknown key that stands for it all the same is a
        // second value for one name.
        let (present, optional): (Vec<&str>, Vec<&str>) =
            self.known().partition(|name| self.present.contains_key(*name));
        let optional: Vec<&str> = optional.into_iter().filter(|name| !self.missing.contains(name)).collect();
        // Among all names, free ones first: `Lines` means a free `lines`, and not the `line` that is present.
        let names = [&self.missing[..], &optional[..], &present[..]].concat();
        let second = |key: &str| {
            let found = nearest_match(key, names.iter().copied()).filter(|found| found.likeness.is_sure());
            found.filter(|found| present.contains(&found.name))
        };
        let (seconds, others): (Vec<&str>, Vec<&str>) =
            self.unknown.iter().partition(|key| second(key).is_some());
        // All others at once: each known name is meant by one of them at most. Names of missing keys stand first, so
        // that they win among equally near ones.
        let meant = pair(&others, &[&self.missing[..], &optional[..]].concat());
        let seconds = seconds.iter().filter_map(|key| Some(twice(within, key, second(key)?.name)));
        let names = self.known_names();
        let unknown = others.iter().zip(&meant).zip(doubles(&others)).map(|((key, meant), double)| {
            match (meant, double) {
                (Some(meant), _) => self.misnamed(within, key, meant),
                // One of the other unknown keys may have taken the name that it stands for.
                (None, Some(double)) => twice(within, key, double),
                (None, None) => unknown(within, key, names.as_deref()),
            }
        });
        let unknown: Vec<Fault> = seconds.chain(unknown).collect();
        // A misspelled key is one fault, not an unknown and a missing one.
        self.missing.retain(|name| !meant.iter().flatten().any(|meant| meant.name == *name));
        let missing = self.missing.iter().map(|key| self.missing(reader, within, key));
        unknown.into_iter().chain(missing).collect()
    }

    fn misnamed(&self, within: &[Step], key: &str, meant: &Match<'_>) -> Fault {
        let is_missing = self.missing.contains(&meant.name);
        let state = if is_missing { "required, missing" } else { "optional" };
        let asks = format!("did you mean `{}` ({state})?", meant.name);
        // An abbreviation of a key that has to be given is hardly another key. Of an optional one it may be.
        let is_sure = meant.likeness.is_sure() || (is_missing && meant.likeness == Likeness::Abbreviation);
        let advice = if is_sure && meant.is_sole {
            let (from, to) = (key.to_owned(), meant.name.to_owned());
            Advice::Mend(Mend::named(Fix::Rename { within: within.to_vec(), from, to }, asks))
        } else {
            Advice::Note(asks)
        };
        refused(within, key, format!("`{}`", meant.name), advice)
    }

    /// The text of the names that the schema lists, if it lists any.
    fn known_names(&self) -> Option<String> {
        let known: Vec<&str> = self.known().collect();
        (!known.is_empty()).then(|| wording::names(&known))
    }

    fn known(&self) -> impl Iterator<Item = &'s str> + use<'s> {
        self.properties.into_iter().flatten().map(|(name, _)| name.as_str())
    }

    fn missing(&self, reader: &Reader<'s>, within: &[Step], key: &str) -> Fault {
        let property = self.properties.and_then(|properties| properties.get(key));
        let expected =
            property.map_or_else(|| "a value".to_owned(), |schema| wording::phrase(reader, schema));
        let says = Says { code: Code::ArgsMissing, keyword: "required", expected, got: "nothing".into() };
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

/// A key that stands for no name. `names` are those that are known.
fn unknown(within: &[Step], key: &str, names: Option<&str>) -> Fault {
    let shown = one_line(key, 50).replace('`', "'");
    let (expected, removes) = match names {
        None => ("no keys".to_owned(), format!("remove `{shown}`: there is nothing to give")),
        Some(names) => {
            (format!("one of {names}"), format!("remove `{shown}`; known: {}", shorten(names, 100)))
        }
    };
    let fix = Fix::Remove { within: within.to_vec(), key: key.to_owned() };
    refused(within, key, expected, Advice::Mend(Mend::named(fix, removes)))
}

/// A second value for one name: which of them is right, only the caller knows.
fn twice(within: &[Step], key: &str, other: &str) -> Fault {
    let asks = format!("it means the same as `{}`: send one of them", one_line(other, 50).replace('`', "'"));
    refused(within, key, "each name once".to_owned(), Advice::Note(asks))
}

fn refused(within: &[Step], key: &str, expected: String, advice: Advice) -> Fault {
    let got = format!("key {}", quoted(&one_line(key, 50)));
    let says = Says { code: Code::ArgsUnknown, keyword: "additionalProperties", expected, got };
    Fault::new(below(within, key), says, Some(advice))
}
