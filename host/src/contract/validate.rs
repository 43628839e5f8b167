//! The first gate of the inner door: arguments against the tool's schema, every fault at once.
//!
//! Owns the compiled schema and the reading of its complaints. Must not know the types behind the schema: the
//! codec is the second gate, and stricter. To word another keyword: a line in `wording`; another mend: `mend`.

mod choice;
mod fault;
mod mend;
mod object;
mod wording;

use serde_json::Value;

pub use super::foreign::SchemaError;
use super::shorten::{clean, shorten};
use super::violation::Violation;
use super::{foreign, pattern};
use fault::{Fault, Fix, Reader};

/// So many faults are collected of one call, at most.
pub const VIOLATIONS_MAX: usize = 20;

/// How often fixes are applied again: a mended value may show a fault that the first one hid.
const FIX_ROUNDS: usize = 3;

/// A schema, compiled once when its tool is loaded.
#[derive(Debug)]
pub struct Validator {
    compiled: jsonschema::Validator,
    schema: Value,
    unknown_formats: Vec<String>,
}

impl Validator {
    /// Compiles a schema that is within the bounds of [`foreign`].
    pub fn new(schema: &Value) -> Result<Validator, SchemaError> {
        let unknown_formats = foreign::inspect(schema)?;
        let compiled = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .with_pattern_options(pattern::options())
            .should_validate_formats(true)
            .offline()
            .build(schema)
            .map_err(|error| SchemaError::Malformed(shorten(&clean(&error.to_string()), 200)))?;
        Ok(Validator { compiled, schema: schema.clone(), unknown_formats })
    }

    /// The schema as it was given.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// Formats that the schema names and nothing checks.
    pub fn unknown_formats(&self) -> &[String] {
        &self.unknown_formats
    }

    /// Whether the arguments are valid.
    pub fn is_valid(&self, args: &Value) -> bool {
        self.compiled.is_valid(args)
    }

    /// Every fault of the arguments, of all kinds, ordered by place; at most [`VIOLATIONS_MAX`].
    pub fn violations(&self, args: &Value) -> Vec<Violation> {
        self.faults(args).into_iter().map(|fault| fault.violation).collect()
    }

    /// The arguments with misnamed keys renamed and lossless coercions made, if that makes them valid.
    pub fn corrected(&self, args: &Value) -> Option<Value> {
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
        let errors: Vec<_> = self.compiled.iter_errors(args).collect();
        let mut faults = Reader { root: &self.schema }.faults(&errors);
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
