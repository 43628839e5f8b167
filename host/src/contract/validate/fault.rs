//! From a validator's complaint to a fault: its place, its words, and how to mend it.
//!
//! Owns the reading of one error. Must not print an error's own text: it repeats whole values.

use std::collections::BTreeMap;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

use super::object::Shape;
use super::{VIOLATIONS_MAX, mend, wording};
use crate::call::code::Code;
use crate::contract::place::{self, Step};
use crate::contract::violation::Violation;

/// A violation, and the mend in a form that can be applied.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) violation: Violation,
    pub(super) steps: Vec<Step>,
    pub(super) fix: Option<Fix>,
}

/// A change of the arguments that loses nothing.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fix {
    Rename { within: Vec<Step>, from: String, to: String },
    Replace { at: Vec<Step>, with: Value },
    Remove { within: Vec<Step>, key: String },
}

impl Fix {
    pub(super) fn apply(&self, args: &mut Value) {
        match self {
            Fix::Replace { at, with } => {
                if let Some(value) = find(args, at) {
                    *value = with.clone();
                }
            }
            Fix::Remove { within, key } => {
                find(args, within).and_then(Value::as_object_mut).map(|object| object.remove(key));
            }
            Fix::Rename { within, from, to } => {
                if let Some(object) = find(args, within).and_then(Value::as_object_mut)
                    && let Some(value) = object.remove(from)
                {
                    object.entry(to.clone()).or_insert(value);
                }
            }
        }
    }
}

fn find<'v>(args: &'v mut Value, steps: &[Step]) -> Option<&'v mut Value> {
    steps.iter().try_fold(args, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(index),
    })
}

/// What a fault says, before it is written down.
pub(super) struct Says<'a> {
    pub(super) code: Code,
    pub(super) keyword: &'a str,
    pub(super) expected: String,
    pub(super) got: String,
    pub(super) hint: Option<String>,
}

impl Fault {
    pub(super) fn new(steps: Vec<Step>, says: Says<'_>, fix: Option<Fix>) -> Fault {
        let violation = Violation {
            code: says.code,
            path: place::path(&steps),
            pointer: place::pointer(&steps),
            keyword: says.keyword.to_owned(),
            expected: says.expected,
            got: says.got,
            hint: says.hint,
        };
        Fault { violation, steps, fix }
    }

    /// For arguments that are invalid for a reason that no error tells.
    pub(super) fn unexplained(args: &Value) -> Fault {
        let expected = "arguments that satisfy the input schema".to_owned();
        let got = wording::got(args);
        Fault::new(vec![], Says { code: Code::ArgsType, keyword: "schema", expected, got, hint: None }, None)
    }
}

/// Reads errors with the schema at hand.
pub(super) struct Reader<'s> {
    pub(super) root: &'s Value,
}

impl<'s> Reader<'s> {
    /// The faults behind errors; those of one object's keys are read together.
    pub(super) fn faults(&self, errors: &[ValidationError<'_>]) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut shapes: BTreeMap<Vec<Step>, Shape<'s>> = BTreeMap::new();
        for error in errors {
            let kind = error.kind();
            if let Kind::Required { property } = kind {
                let missing = property.as_str().unwrap_or_default().to_owned();
                self.shape(&mut shapes, error).missing.push(missing);
            } else if let Kind::AdditionalProperties { unexpected } = kind {
                let unexpected = unexpected.iter().take(VIOLATIONS_MAX).cloned();
                self.shape(&mut shapes, error).unknown.extend(unexpected);
            } else {
                faults.extend(self.fault(error, kind));
            }
            if faults.len() + shapes.len() > VIOLATIONS_MAX {
                break;
            }
        }
        faults.extend(shapes.into_iter().flat_map(|(steps, shape)| shape.faults(self, &steps)));
        faults
    }

    fn shape<'m>(
        &self,
        shapes: &'m mut BTreeMap<Vec<Step>, Shape<'s>>,
        error: &ValidationError<'_>,
    ) -> &'m mut Shape<'s> {
        let present = || error.instance().as_object().into_iter().flat_map(|o| o.keys().take(100).cloned());
        let new = || Shape { schema: self.owner(error), present: present().collect(), ..Shape::default() };
        shapes.entry(steps(error)).or_insert_with(new)
    }

    fn fault(&self, error: &ValidationError<'_>, kind: &Kind) -> Vec<Fault> {
        if let Kind::AnyOf { context } | Kind::OneOfNotValid { context } = kind {
            return self.choice(error, context);
        }
        vec![self.plain(error, kind.keyword())]
    }

    fn plain(&self, error: &ValidationError<'_>, keyword: &str) -> Fault {
        let (steps, value) = (steps(error), error.instance().as_ref());
        let schema = self.owner(error).unwrap_or(&Value::Null);
        let mend = self.leave_out(error, &steps).or_else(|| mend::of(self, schema, value, &steps));
        let (hint, fix) = mend.unzip();
        let code =
            if matches!(keyword, "type" | "falseSchema") { Code::ArgsType } else { Code::ArgsConstraint };
        let expected = wording::expected(self, schema, keyword);
        Fault::new(steps, Says { code, keyword, expected, got: wording::got(value), hint }, fix.flatten())
    }

    /// An optional argument that may not be null is left out instead.
    fn leave_out(&self, error: &ValidationError<'_>, steps: &[Step]) -> Option<(String, Option<Fix>)> {
        let (Some(Step::Key(key)), true) = (steps.last(), error.instance().is_null()) else { return None };
        let property = parent(error.schema_path().as_str())?;
        let object = self.root.pointer(parent(property).and_then(|p| p.strip_suffix("/properties"))?)?;
        let required = object.get("required").and_then(Value::as_array);
        if required.is_some_and(|names| names.iter().any(|name| name == key)) {
            return Some(("give a value: it is required".to_owned(), None));
        }
        let within = steps[..steps.len() - 1].to_vec();
        Some(("leave it out: it is optional".to_owned(), Some(Fix::Remove { within, key: key.clone() })))
    }

    /// The schema that the broken keyword stands in.
    pub(super) fn owner(&self, error: &ValidationError<'_>) -> Option<&'s Value> {
        self.root.pointer(parent(error.schema_path().as_str())?)
    }

    /// The schema, local references followed.
    pub(super) fn resolve(&self, schema: &'s Value) -> &'s Value {
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
        reference.and_then(|pointer| self.root.pointer(pointer)).map_or(schema, |target| self.resolve(target))
    }
}

fn parent(pointer: &str) -> Option<&str> {
    pointer.rfind('/').map(|end| &pointer[..end])
}

/// Where an error is, in the arguments.
pub(super) fn steps(error: &ValidationError<'_>) -> Vec<Step> {
    let segments = error.instance_path().into_iter();
    segments
        .map(|segment| match segment {
            jsonschema::paths::LocationSegment::Property(key) => Step::Key(key.into_owned()),
            jsonschema::paths::LocationSegment::Index(index) => Step::Index(index),
        })
        .collect()
}
