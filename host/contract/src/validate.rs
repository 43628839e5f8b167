//! The first gate of the inner door: validates arguments against the tool's schema and reports every fault at once.
//!
//! Owns the compiled schema, which decides, and the walk that explains a rejection within bounds. Must not know the
//! types behind the schema: the codec is the second gate, and stricter. To word another keyword: a line in `wording`;
//! another mend: `mend`; a keyword that is one comparison: `leaf`.

mod choice;
mod fault;
mod leaf;
mod mend;
mod object;
mod parts;
mod refuse;
mod text;
mod walk;
mod wording;
mod wrap;

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::compact::Compact;
pub use super::foreign::SchemaError;
use super::{foreign, pattern};
use airlock_types::shorten::{clean, shorten};
use airlock_types::violation::Violation;
use fault::Fault;
use foreign::Inspected;
use parts::Parts;

/// Number of violations collected for one call.
pub const VIOLATIONS_MAX: usize = 20;

/// A schema that compiles. Compiled it takes several times the memory, so a validator can rest until
/// it is needed.
#[derive(Debug)]
pub struct Validator {
    /// Empty while the validator rests.
    compiled: OnceLock<Option<Compiled>>,
    /// Shared with the contract.
    schema: Arc<Compact>,
    /// Empty until it is needed, for a schema that is known to be within the bounds.
    inspected: OnceLock<Inspected>,
}

#[derive(Debug)]
struct Compiled {
    whole: jsonschema::Validator,
    parts: Parts,
    /// Never moved: [`Parts`] finds operands by their addresses.
    schema: Box<Value>,
}

impl Compiled {
    fn of(schema: Value) -> Result<Compiled, SchemaError> {
        // Before it is compiled: the parts hold addresses inside.
        let schema = Box::new(schema);
        // The text of the error quotes the schema, which an untrusted author wrote.
        let malformed = |error: &jsonschema::ValidationError<'_>| {
            SchemaError::Malformed(shorten(&clean(&error.to_string()), 200))
        };
        let whole = options().build(&schema).map_err(|error| malformed(&error))?;
        let parts = Parts::of(&schema).map_err(|error| malformed(&error))?;
        Ok(Compiled { whole, parts, schema })
    }
}

fn options<'r>() -> jsonschema::ValidationOptions<'r> {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .with_pattern_options(pattern::options())
        // Draft 2020-12 makes `format` an annotation, which no validator has to check.
        .should_validate_formats(true)
        // This crate does no I/O: a reference out of the schema fails and is never fetched.
        .offline()
}

impl Validator {
    /// Compiles a schema.
    ///
    /// # Errors
    /// When the schema exceeds a bound of [`foreign`], or is malformed.
    pub fn new(schema: &Value) -> Result<Validator, SchemaError> {
        // First, because only a schema within these bounds is safe to hand to the library: a recursive one, for
        // example, makes the cost of a check depend on the arguments.
        let inspected = OnceLock::from(foreign::inspect(schema)?);
        let compiled = OnceLock::from(Some(Compiled::of(schema.clone())?));
        Ok(Validator { compiled, schema: Arc::new(schema.into()), inspected })
    }

    /// The validator of a schema that compiled before, at rest. If it does not after all, it accepts nothing.
    pub(crate) fn known(schema: &Value) -> Validator {
        Validator { compiled: OnceLock::new(), schema: Arc::new(schema.into()), inspected: OnceLock::new() }
    }

    fn inspected(&self) -> &Inspected {
        self.inspected.get_or_init(|| {
            let unknown = Inspected { unknown_formats: Vec::new(), cost: usize::MAX };
            foreign::inspect(&self.schema()).unwrap_or(unknown)
        })
    }

    /// Gives back the memory of the compiled schema until it is needed.
    pub(crate) fn rest(&mut self) {
        self.compiled = OnceLock::new();
    }

    /// `None` for a schema that does not compile. There is none: it did when the validator was made, or before.
    fn compiled(&self) -> Option<&Compiled> {
        // Within the bounds first: only then it is safe to hand to the library.
        let is_bounded = || self.inspected().cost < usize::MAX;
        self.compiled
            .get_or_init(|| is_bounded().then(|| Compiled::of(self.schema()).ok()).flatten())
            .as_ref()
    }

    /// The schema as it was given, to keep it once.
    pub(crate) fn shared(&self) -> &Arc<Compact> {
        &self.schema
    }

    /// The schema as it was given.
    pub fn schema(&self) -> Value {
        (&*self.schema).into()
    }

    /// The values of `format` in the schema that are unknown and therefore not checked.
    pub fn unknown_formats(&self) -> &[String] {
        &self.inspected().unknown_formats
    }

    /// Largest number of steps that the check of one value takes.
    pub fn cost(&self) -> usize {
        self.inspected().cost
    }

    /// Whether the arguments are valid.
    pub fn is_valid(&self, args: &Value) -> bool {
        self.compiled().is_some_and(|compiled| compiled.whole.is_valid(args))
    }

    /// Every fault of the arguments, of all kinds, ordered by place; at most [`VIOLATIONS_MAX`].
    pub fn violations(&self, args: &Value) -> Vec<Violation> {
        self.refused(args).map_or_else(Vec::new, |(violations, _)| violations)
    }

    /// As [`Validator::violations`], and the arguments with every mend applied, if that makes them valid: misnamed keys
    /// renamed, unknown ones removed, values in the form that was asked for. `None` for valid arguments.
    pub fn refused(&self, args: &Value) -> Option<(Vec<Violation>, Option<Value>)> {
        // Almost every call is valid, and the yes or no is the cheap part.
        (!self.is_valid(args)).then(|| refuse::refuse(self, args))
    }

    /// The faults of arguments that are not valid, one for each place.
    fn faults(&self, args: &Value) -> Vec<Fault> {
        let mut faults = Vec::new();
        if let Some(Compiled { schema, parts, whole: _ }) = self.compiled() {
            if let Some(wrapped) = wrap::fault(schema, args) {
                return vec![wrapped];
            }
            faults = walk::faults(schema, parts, args);
        }
        if faults.is_empty() {
            // The walk may not know a keyword of a foreign schema. A rejection must still have a reason.
            faults.push(Fault::unexplained(args));
        }
        faults.sort_by(|a, b| {
            a.steps.cmp(&b.steps).then_with(|| a.violation.keyword.cmp(&b.violation.keyword))
        });
        // Sorting put the faults of one place side by side. A caller has one thing to do there.
        let mut places: Vec<Fault> = Vec::new();
        for fault in faults {
            match places.last_mut() {
                Some(last) if last.steps == fault.steps => last.join(fault),
                _ => places.push(fault),
            }
        }
        places
    }
}

#[cfg(test)]
mod tests;
