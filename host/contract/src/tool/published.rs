//! Calls of a tool whose contract publishes another form of its arguments or its result than that of their types.
//!
//! Owns where the form is applied: arguments after the schema accepted them and before the codec, results once they are
//! lifted. Everything between sees plain JSON, so that canonical arguments do not depend on the spelling.

use serde_json::{Map, Value};

use super::{Contract, ContractError, Moment, ValidArgs};
use crate::path::Path;
use crate::published::place::steps;
use crate::published::{Form, PlacedDefault, publish};
use crate::ty::Field;
use crate::validate::Validator;
use crate::{lower, schema};
use airlock_types::finding::Finding;
use airlock_types::place;
use airlock_types::violation::Violation;

/// Turns the schema of the arguments into that of their published form, and holds its defaults against it.
pub(super) fn arguments(form: &Form, schema: &mut Value, params: &[Field]) -> Result<(), ContractError> {
    let mut defaults = Vec::new();
    publish(form, schema, &Path::default(), &mut defaults);
    schema::share(schema);
    defaults.into_iter().try_for_each(|default| {
        let path = default.at.to_string();
        holds(default, params).map_err(|why| ContractError::Keyword {
            path,
            reason: format!("the `default` is not valid: {why}"),
        })
    })
}

/// Whether a default passes both gates at its place.
fn holds(default: PlacedDefault, params: &[Field]) -> Result<(), String> {
    let PlacedDefault { at, value, plain, schema } = default;
    let validator = Validator::new(&schema).map_err(|err| err.to_string())?;
    let mut violations = validator.violations(&value);
    if let (true, Ok(ty)) = (violations.is_empty(), at.resolve_params(params)) {
        violations = lower::lower_value(ty, plain).err().unwrap_or_default();
    }
    let expected = |violation: &Violation| format!("expected {}, got {}", violation.expected, violation.got);
    violations.first().map_or(Ok(()), |violation| Err(expected(violation)))
}

impl Contract {
    /// Lowers arguments that are valid as published.
    pub(super) fn lowered_as(
        &self,
        form: &Form,
        args: Map<String, Value>,
        moment: Option<Moment<'_>>,
    ) -> Result<ValidArgs, Vec<Violation>> {
        // Kept for the places of violations, which are those of the caller.
        let written = Value::Object(args.clone());
        let plain = form.plain_args(args);
        let spelled = |violation| published_violation(form, &written, violation);
        self.lowered(plain.args, moment).map_err(|violations| violations.into_iter().map(spelled).collect())
    }

    /// Arguments in plain JSON, such as those on record, as a caller would write them.
    pub fn published_args(&self, args: Map<String, Value>) -> Map<String, Value> {
        match &self.published.args {
            Some(form) => form.published_args(args),
            None => args,
        }
    }

    /// A lifted result, as it is published.
    pub fn published_result(&self, mut result: Value) -> Value {
        self.published.result.iter().for_each(|form| form.outward(&mut result));
        result
    }

    /// A published result in plain JSON, from which it can be lowered.
    pub fn plain_result(&self, mut result: Value) -> Value {
        self.published.result.iter().for_each(|form| form.inward(&mut result));
        result
    }

    /// A finding about a result, at the place of the published one.
    pub fn published_finding(&self, finding: Finding, result: Option<&Value>) -> Finding {
        let (Some(form), Some(result)) = (&self.published.result, result) else { return finding };
        Finding { path: place::path(&form.published_place(result, &steps(&finding.path))), ..finding }
    }

    /// The form of the arguments, where they are published in another one than that of their types.
    pub fn args_form(&self) -> Option<&Form> {
        self.published.args.as_ref()
    }

    /// The same for the result.
    pub fn result_form(&self) -> Option<&Form> {
        self.published.result.as_ref()
    }
}

fn published_violation(form: &Form, written: &Value, violation: Violation) -> Violation {
    let at = form.published_place(written, &steps(&violation.path));
    Violation { path: place::path(&at), pointer: place::pointer(&at), ..violation }
}
