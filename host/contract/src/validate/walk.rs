//! Explains a rejection: walks schema and arguments together, in order, until enough faults are found.
//!
//! Owns the bound on the cost of an explanation. A general validator collects the errors of every branch of every
//! choice before the first can be read, so the library only answers yes or no. Here a choice is decided by its tag or
//! by the JSON type before a branch is tried, and trying a branch counts its faults without writing them. Each pair of
//! a value and a subschema is visited at most once for each choice around it, and at most [`VIOLATIONS_MAX`] faults are
//! written. Schemas are not recursive (`foreign` refuses that), so the recursion ends with the schema.

use serde_json::{Map, Value};

use super::fault::{Fault, Reader, Says};
use super::object::Shape;
use super::parts::Parts;
use super::{VIOLATIONS_MAX, leaf, mend, wording};
use airlock_types::code::Code;
use airlock_types::place::Place;
use airlock_types::words::got;

/// One walk over a value. It collects faults, or only counts them (`faults` is `None`).
pub(super) struct Walk<'s> {
    pub(super) reader: Reader<'s>,
    pub(super) parts: &'s Parts,
    /// Faults so far, at most `max`.
    found: usize,
    max: usize,
    faults: Option<Vec<Fault>>,
}

/// The faults of a value, in the order of the walk; at most [`VIOLATIONS_MAX`].
pub(super) fn faults(root: &Value, parts: &Parts, value: &Value) -> Vec<Fault> {
    let mut walk =
        Walk { reader: Reader { root }, parts, found: 0, max: VIOLATIONS_MAX, faults: Some(Vec::new()) };
    walk.visit(root, value, &Place::Root);
    walk.faults.unwrap_or_default()
}

impl<'s> Walk<'s> {
    /// Number of faults that a value has under a schema, counted up to `max`.
    pub(super) fn count(&self, schema: &'s Value, value: &Value, max: usize) -> usize {
        let Walk { reader, parts, .. } = *self;
        let mut walk = Walk { reader, parts, found: 0, max, faults: None };
        walk.visit(schema, value, &Place::Root);
        walk.found
    }

    fn fits(&self, schema: &'s Value, value: &Value) -> bool {
        self.count(schema, value, 1) == 0
    }

    /// Number of faults at which the count of one branch may stop. A walk that only counts never needs more than it has
    /// left.
    pub(super) fn enough(&self) -> usize {
        if self.faults.is_some() { VIOLATIONS_MAX } else { self.max - self.found }
    }

    /// Adds faults that were already counted. Returns whether this walk only counts; otherwise nothing is added, and
    /// the caller has to write the faults.
    pub(super) fn add(&mut self, count: usize) -> bool {
        if self.faults.is_none() {
            self.found = self.max.min(self.found + count);
        }
        self.faults.is_none()
    }

    fn is_full(&self) -> bool {
        self.found >= self.max
    }

    /// Adds a fault. `write` runs only in a walk that collects faults, because texts and hints are the expensive part.
    pub(super) fn fault(&mut self, write: impl FnOnce(&Walk<'s>) -> Fault) {
        if self.is_full() {
            return;
        }
        self.found += 1;
        let fault = self.faults.is_some().then(|| write(self));
        self.faults.iter_mut().for_each(|faults| faults.extend(fault.clone()));
    }

    pub(super) fn visit(&mut self, schema: &'s Value, value: &Value, at: &Place<'_>) {
        if self.is_full() {
            return;
        }
        match schema {
            Value::Object(keywords) => self.keywords(schema, keywords, value, at),
            Value::Bool(false) => self.broken(schema, "falseSchema", value, at),
            _ => {}
        }
    }

    fn keywords(
        &mut self,
        schema: &'s Value,
        keywords: &'s Map<String, Value>,
        value: &Value,
        at: &Place<'_>,
    ) {
        if let Value::Object(object) = value {
            // Keys first: a misnamed key is the fault that explains the others.
            self.keys(keywords, object, at);
        }
        let before = self.found;
        for (keyword, operand) in keywords {
            if self.is_full() {
                return;
            }
            let holds = leaf::holds(keyword, operand, value);
            match holds.or_else(|| self.applies(keyword, operand, keywords, value, at)) {
                Some(false) => self.broken(schema, keyword, value, at),
                Some(true) => {}
                // `unevaluated…` judges the whole value again. If its parts already have faults, its rejection only
                // repeats them.
                None if keyword.starts_with("unevaluated") && self.found > before => {}
                None if self.parts.hold(operand, value) => {}
                None => self.broken(schema, keyword, value, at),
            }
        }
    }

    /// Handles keywords that apply schemas to the value or to its parts; the faults are added on the way. `None` for a
    /// keyword that is not handled here.
    fn applies(
        &mut self,
        keyword: &str,
        operand: &'s Value,
        siblings: &'s Map<String, Value>,
        value: &Value,
        at: &Place<'_>,
    ) -> Option<bool> {
        match (keyword, operand) {
            ("$ref", Value::String(reference)) => {
                let target = self.reader.target(reference)?;
                self.visit(target, value, at);
            }
            ("properties", Value::Object(properties)) => {
                for (name, part) in value.as_object().into_iter().flatten() {
                    if let Some(schema) = properties.get(name) {
                        self.property(schema, name, part, siblings, at);
                    }
                }
            }
            ("prefixItems", Value::Array(schemas)) => {
                let items = value.as_array().into_iter().flatten();
                items.zip(schemas).enumerate().for_each(|(i, (item, schema))| {
                    self.visit(schema, item, &at.index(i));
                });
            }
            ("items", schema) => {
                // `items` is for the items behind those of `prefixItems`.
                let fixed = siblings.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
                for (i, item) in value.as_array().into_iter().flatten().enumerate().skip(fixed) {
                    if self.is_full() {
                        break;
                    }
                    self.visit(schema, item, &at.index(i));
                }
            }
            ("allOf", Value::Array(schemas)) => {
                schemas.iter().for_each(|schema| self.visit(schema, value, at));
            }
            ("anyOf" | "oneOf", Value::Array(_)) => self.choice(keyword, operand, value, at),
            ("if", condition) => {
                // The condition is not a requirement: that it fails is no fault, and only its branch is explained.
                let branch = if self.fits(condition, value) { "then" } else { "else" };
                if let Some(schema) = siblings.get(branch) {
                    self.visit(schema, value, at);
                }
            }
            _ => return None,
        }
        Some(true)
    }

    /// Visits one property. Models write null or an empty text for "not given". The faults of such a value get the
    /// advice to leave it out, or to give a value.
    fn property(
        &mut self,
        schema: &'s Value,
        name: &str,
        value: &Value,
        siblings: &Map<String, Value>,
        within: &Place<'_>,
    ) {
        let before = self.faults.as_ref().map_or(0, Vec::len);
        self.visit(schema, value, &within.key(name));
        if !(value.is_null() || value == "") {
            return;
        }
        for fault in self.faults.iter_mut().flatten().skip(before) {
            fault.leave_out(name, is_required(siblings, name));
        }
    }

    /// Reports missing and unknown keys, and visits the values of keys that the schema does not list.
    fn keys(&mut self, keywords: &'s Map<String, Value>, object: &Map<String, Value>, at: &Place<'_>) {
        let shape = Shape::of(keywords, object, self.max - self.found);
        if let Some(schema) = shape.others {
            for (name, part) in object.iter().filter(|(name, _)| !shape.knows(name)) {
                self.visit(schema, part, &at.key(name));
            }
        }
        if !self.add(shape.len()) && shape.len() > 0 {
            let faults = shape.faults(&self.reader, &at.steps());
            faults.into_iter().for_each(|fault| self.fault(|_| fault));
        }
    }

    fn broken(&mut self, schema: &'s Value, keyword: &str, value: &Value, at: &Place<'_>) {
        self.fault(|walk| {
            let steps = at.steps();
            let advice = mend::of(walk, schema, value, &steps);
            let code =
                if matches!(keyword, "type" | "falseSchema") { Code::ArgsType } else { Code::ArgsConstraint };
            let expected = wording::expected(&walk.reader, schema, keyword);
            Fault::new(steps, Says { code, keyword, expected, got: got(value) }, advice)
        });
    }
}

fn is_required(schema: &Map<String, Value>, name: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|names| names.iter().any(|required| required == name))
}
