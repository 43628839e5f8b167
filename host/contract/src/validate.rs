//! The first gate of the inner door: arguments against the tool's schema, every fault at once.
//!
//! Owns the compiled schema, which says yes or no, and the walk that explains a no within bounds. Must not know the
//! types behind the schema: the codec is the second gate, and stricter. To word another keyword: a line in `wording`;
//! another mend: `mend`; a keyword that is one comparison: `leaf`.

mod choice;
mod fault;
mod leaf;
mod mend;
mod object;
mod parts;
mod walk;
mod wording;

use serde_json::Value;

pub use super::foreign::SchemaError;
use super::{foreign, pattern};
use airlock_types::shorten::{clean, is_within, shorten};
use airlock_types::violation::Violation;
use fault::{Fault, Fix};
use parts::Parts;

/// Number of violations collected for one call.
pub const VIOLATIONS_MAX: usize = 20;

/// Longer arguments are not corrected: the correction would not fit into an error's text.
const CORRECTED_BYTES_MAX: usize = 4096;

/// How often fixes are applied again: a mended value may show a fault that the first one hid.
const FIX_ROUNDS: usize = 3;

/// A schema, compiled once when its tool is loaded.
#[derive(Debug)]
pub struct Validator {
    compiled: jsonschema::Validator,
    /// On the heap, where [`Parts`] find it.
    schema: Box<Value>,
    parts: Parts,
    unknown_formats: Vec<String>,
    cost: usize,
}

fn options<'r>() -> jsonschema::ValidationOptions<'r> {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .with_pattern_options(pattern::options())
        .should_validate_formats(true)
        .offline()
}

impl Validator {
    /// Compiles a schema that is within the bounds of [`foreign`].
    pub fn new(schema: &Value) -> Result<Validator, SchemaError> {
        let foreign::Inspected { unknown_formats, cost } = foreign::inspect(schema)?;
        let malformed = |error: &jsonschema::ValidationError<'_>| {
            SchemaError::Malformed(shorten(&clean(&error.to_string()), 200))
        };
        let compiled = options().build(schema).map_err(|error| malformed(&error))?;
        let schema = Box::new(schema.clone());
        let parts = Parts::of(&schema).map_err(|error| malformed(&error))?;
        Ok(Validator { compiled, schema, parts, unknown_formats, cost })
    }

    /// The schema as it was given.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// Formats that the schema names and nothing checks.
    pub fn unknown_formats(&self) -> &[String] {
        &self.unknown_formats
    }

    /// Steps that a check takes for each value, at most.
    pub fn cost(&self) -> usize {
        self.cost
    }

    /// Whether the arguments are valid.
    pub fn is_valid(&self, args: &Value) -> bool {
        self.compiled.is_valid(args)
    }

    /// Every fault of the arguments, of all kinds, ordered by place; at most [`VIOLATIONS_MAX`].
    pub fn violations(&self, args: &Value) -> Vec<Violation> {
        self.faults(args).into_iter().map(|fault| fault.violation).collect()
    }

    /// The arguments with misnamed keys renamed and lossless coercions made, if they are short and that makes them
    /// valid.
    pub fn corrected(&self, args: &Value) -> Option<Value> {
        if !is_within(args, CORRECTED_BYTES_MAX) {
            return None;
        }
        let mut args = args.clone();
        for _ in 0..FIX_ROUNDS {
            let faults = self.faults(&args);
            if faults.is_empty() {
                return Some(args);
            }
            let fixes: Option<Vec<Fix>> = faults.into_iter().map(|fault| fault.fix).collect();
            fixes?.iter().for_each(|fix| fix.apply(&mut args));
        }
        self.is_valid(&args).then_some(args)
    }

    fn faults(&self, args: &Value) -> Vec<Fault> {
        if self.is_valid(args) {
            return vec![];
        }
        let mut faults = walk::faults(&self.schema, &self.parts, args);
        if faults.is_empty() {
            // What was rejected is never answered without a reason, however odd a foreign schema is.
            faults.push(Fault::unexplained(args));
        }
        faults.sort_by(|a, b| {
            a.steps.cmp(&b.steps).then_with(|| a.violation.keyword.cmp(&b.violation.keyword))
        });
        faults.dedup_by(|a, b| a.violation == b.violation);
        faults.truncate(VIOLATIONS_MAX);
        faults
    }
}

#[cfg(test)]
mod tests;
