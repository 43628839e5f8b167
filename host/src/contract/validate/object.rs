//! Missing and unknown keys of one object, read together: an unknown one near a missing one is a misnamed one.
//!
//! Owns the nearness of names. Must not know other faults.

use serde_json::Value;

use super::fault::{Fault, Fix, Reader, Says};
use super::wording;
use crate::call::code::Code;
use crate::contract::place::{Step, quoted};
use crate::contract::shorten::{clean, shorten};

/// What is wrong with the keys of one object.
#[derive(Default)]
pub(super) struct Shape<'s> {
    pub(super) schema: Option<&'s Value>,
    /// Keys that are there, known or not.
    pub(super) present: Vec<String>,
    pub(super) missing: Vec<String>,
    pub(super) unknown: Vec<String>,
}

impl<'s> Shape<'s> {
    pub(super) fn faults(mut self, reader: &Reader<'s>, within: &[Step]) -> Vec<Fault> {
        let unknown = std::mem::take(&mut self.unknown);
        let mut faults: Vec<Fault> = unknown.iter().map(|key| self.misnamed(within, key)).collect();
        faults.extend(self.missing.iter().map(|key| self.missing(reader, within, key)));
        faults
    }

    fn misnamed(&mut self, within: &[Step], key: &str) -> Fault {
        if let Some(name) = nearest(key, &self.missing).cloned() {
            self.missing.retain(|missing| *missing != name);
            return unknown(within, key, Some((&name, "required, missing")), vec![]);
        }
        let free = self.known().filter(|name| !self.present.contains(name) && !self.missing.contains(name));
        let free: Vec<String> = free.collect();
        match nearest(key, &free) {
            Some(name) => unknown(within, key, Some((name, "optional")), vec![]),
            None => unknown(within, key, None, self.known().collect()),
        }
    }

    fn known(&self) -> impl Iterator<Item = String> {
        let properties = self.schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
        properties.into_iter().flat_map(|properties| properties.keys().cloned())
    }

    fn missing(&self, reader: &Reader<'s>, within: &[Step], key: &str) -> Fault {
        let property = self.schema.and_then(|schema| schema.get("properties")?.get(key));
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

fn unknown(within: &[Step], key: &str, meant: Option<(&str, &str)>, known: Vec<String>) -> Fault {
    let fix =
        meant.map(|(to, _)| Fix::Rename { within: within.to_vec(), from: key.to_owned(), to: to.to_owned() });
    let (expected, hint) = match meant {
        Some((name, state)) => (format!("`{name}`"), format!("did you mean `{name}` ({state})?")),
        None if known.is_empty() => {
            ("no keys".to_owned(), "leave it out: there is nothing to give".to_owned())
        }
        None => {
            (format!("one of {}", known.join(", ")), format!("known: {}", shorten(&known.join(", "), 100)))
        }
    };
    let got = format!("key {}", quoted(&shorten(&clean(key), 50)));
    let says =
        Says { code: Code::ArgsUnknown, keyword: "additionalProperties", expected, got, hint: Some(hint) };
    Fault::new(below(within, key), says, fix)
}

fn below(within: &[Step], key: &str) -> Vec<Step> {
    within.iter().cloned().chain([Step::Key(key.to_owned())]).collect()
}

/// The name that was probably meant, if one is near.
pub(super) fn nearest<'n>(name: &str, names: &'n [String]) -> Option<&'n String> {
    let near =
        names.iter().map(|known| (nearness(name, known), known)).filter(|(nearness, _)| *nearness > 0.0);
    near.max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1))).map(|(_, known)| known)
}

/// Names longer than this are nobody's slip, and comparing them would cost.
const NAME_BYTES_MAX: usize = 100;

fn nearness(a: &str, b: &str) -> f64 {
    if a.len().max(b.len()) > NAME_BYTES_MAX {
        return 0.0;
    }
    let (a, b) = (words(a), words(b));
    if a.concat() == b.concat() {
        return 1.0;
    }
    if a.iter().all(|word| b.contains(word)) || b.iter().all(|word| a.contains(word)) {
        return 0.95;
    }
    if a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| abbreviates(a, b) || abbreviates(b, a)) {
        return 0.94;
    }
    let (a, b) = (a.join("_"), b.join("_"));
    let alike = strsim::jaro_winkler(&a, &b);
    let slip = a.len() > 3 && strsim::damerau_levenshtein(&a, &b) == 1;
    if alike >= 0.88 || slip { alike.min(0.93) } else { 0.0 }
}

/// `dept` for `departure`; a word is its own abbreviation.
fn abbreviates(short: &str, long: &str) -> bool {
    let mut rest = long.chars();
    let in_order = short.chars().all(|c| rest.any(|other| other == c));
    short == long || (short.len() >= 3 && short.chars().next() == long.chars().next() && in_order)
}

/// `maxItems`, `max-items`, `Max Items` → `max`, `items`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_small = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && after_small) {
            words.push(String::new());
        }
        after_small = c.is_lowercase() || c.is_numeric();
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    if words.is_empty() { vec![name.to_owned()] } else { words }
}
