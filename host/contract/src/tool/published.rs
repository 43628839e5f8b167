//! Calls of a tool whose contract publishes another form of its arguments or its result than that of their types.
//!
//! Owns where the form is applied: arguments after the schema accepted them and before the codec, results once they are
//! lifted. Everything between sees plain JSON, so that canonical arguments do not depend on the spelling.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Contract, ContractError, Keywords, holding};
use crate::manifest::Part;
use crate::path::Path;
use crate::published::place::steps;
use crate::published::{Doubt, Form, Found, JSON, PlacedDefault, Published, publish};
use crate::ty::{Field, Ty};
use crate::validate::Validator;
use crate::{lower, schema};
use airlock_types::code::Code;
use airlock_types::finding::{Finding, Verdict};
use airlock_types::hold::HoldRule;
use airlock_types::place::{self, Place};
use airlock_types::shorten::shorten;
use airlock_types::violation::Violation;

/// Characters of the bound that a value breaks, in an error.
const BOUND_CHARS_MAX: usize = 60;

/// Turns the schema of the arguments into that of their published form, and holds its defaults against it.
pub(super) fn arguments(
    form: &Form,
    schema: &mut Value,
    params: &[Field],
    constraints: &Keywords,
) -> Result<(), ContractError> {
    let mut defaults = Vec::new();
    publish(form, schema, &Path::default(), &mut defaults);
    defaults.into_iter().try_for_each(|PlacedDefault { at, value, plain, schema }| {
        let ty = at.resolve_params(params).ok();
        let holds = Validator::new(&schema)
            .map_err(|err| err.to_string())
            .and_then(|validator| holds(&validator, &value, ty.map(|ty| (ty, plain)), (&at, constraints)));
        holds.map_err(|why| ContractError::Keyword {
            path: at.to_string(),
            part: Part::Args(at),
            reason: format!("the `default` is not valid: {why}"),
        })
    })
}

/// Whether a value that an author wrote for a place passes the gates of a call there: the schema, the codec, and the constraints on
/// 64-bit integers. The last two are for its plain form and type, where they are known.
pub(super) fn holds(
    validator: &Validator,
    value: &Value,
    plain: Option<(&Ty, Value)>,
    (at, constraints): (&Path, &Keywords),
) -> Result<(), String> {
    let expected = |violations: &[Violation]| {
        violations.first().map(|Violation { path, expected, got, .. }| {
            let at = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
            format!("{at}expected {expected}, got {got}")
        })
    };
    expected(&validator.violations(value)).map_or(Ok(()), Err)?;
    let Some((ty, plain)) = plain else { return Ok(()) };
    let val = lower::lower_value(ty, plain).map_err(|found| expected(&found).unwrap_or_default())?;
    let within = constraints.iter().filter_map(|(path, keywords)| Some((path.inside(at)?, keywords)));
    for (path, keywords) in within {
        let broken = path.select(&val).into_iter().find_map(|(_, val)| schema::broken(keywords, val));
        if let Some((keyword, bound)) = broken {
            return Err(format!("expected {keyword} {}", shorten(&bound.to_string(), BOUND_CHARS_MAX)));
        }
    }
    Ok(())
}

impl Contract {
    /// Arguments as published, in plain JSON.
    pub(super) fn plain(&self, args: Map<String, Value>, found: &mut Found) -> Map<String, Value> {
        match &self.published.args {
            Some(form) => form.plain_args(args, found),
            None => args,
        }
    }

    /// Violations at plain places, at those of what the caller wrote.
    pub(super) fn spelled(&self, written: &Value, violations: Vec<Violation>) -> Vec<Violation> {
        let Some(form) = &self.published.args else { return violations };
        violations.into_iter().map(|violation| published_violation(form, written, violation)).collect()
    }

    /// Rules that hold a call, in the words of what is published.
    pub(super) fn published_holds(&self, held: Vec<HoldRule>) -> Vec<HoldRule> {
        let Some(form) = &self.published.args else { return held };
        held.into_iter().map(|rule| holding::published(form, rule)).collect()
    }

    /// The violations of published arguments, with the hint for a field that an open record has under the name of WIT.
    pub(super) fn hinted(&self, violations: Vec<Violation>, args: &Value) -> Vec<Violation> {
        let Some(form) = &self.published.args else { return violations };
        let hinted = |violation: Violation| {
            let of_place = || form.misnamed(args, &steps(&violation.path));
            let missing = violation.code == Code::ArgsMissing && violation.hint.is_none();
            match missing.then(of_place).flatten() {
                Some(name) => Violation { hint: Some(format!("`{name}` is not its name here")), ..violation },
                None => violation,
            }
        };
        violations.into_iter().map(hinted).collect()
    }

    /// Arguments in plain JSON, such as those on record, as a caller would write them.
    pub fn published_args(&self, args: Map<String, Value>) -> Map<String, Value> {
        match &self.published.args {
            Some(form) => form.published_args(args),
            None => args,
        }
    }

    /// A lifted result as it is published, and what of it is not what the contract says.
    pub fn published_result(&self, mut result: Value) -> (Value, Vec<Finding>) {
        let Some(form) = &self.published.result else { return (result, Vec::new()) };
        let mut found = Found::default();
        form.outward(&mut result, &Place::Root, &mut found);
        let finding = |Doubt { path, expected, got }| Finding {
            kind: JSON.to_owned(),
            verdict: Verdict::Reject,
            path,
            expected,
            got,
        };
        (result, found.doubts.into_iter().map(finding).collect())
    }

    /// A published result in plain JSON, from which it can be lowered.
    pub fn plain_result(&self, mut result: Value) -> Value {
        let found = &mut Found::default();
        self.published.result.iter().for_each(|form| form.inward(&mut result, &Place::Root, found));
        result
    }

    /// The units of numbers, by their places: `args.weight`, `result.rows[].price`.
    pub fn units(&self) -> BTreeMap<String, String> {
        let named = |side: &str, units: &BTreeMap<Path, String>| {
            let of = |(path, unit): (&Path, &String)| {
                let path = path.to_string();
                let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
                (format!("{side}{dot}{path}"), unit.clone())
            };
            units.iter().map(of).collect::<Vec<_>>()
        };
        let Published { args_units, result_units, .. } = &self.published;
        named("args", args_units).into_iter().chain(named("result", result_units)).collect()
    }

    /// A finding about a result, at the place of the published one.
    pub fn published_finding(&self, finding: Finding, result: Option<&Value>) -> Finding {
        let Published { args, result: form, .. } = &self.published;
        let said = |text: String| {
            let text = args.as_ref().map_or(text.clone(), |form| form.published_text("args", &text));
            form.as_ref().map_or(text.clone(), |form| form.published_text("result", &text))
        };
        if args.is_none() && form.is_none() {
            return finding;
        }
        let Finding { kind, verdict, path, expected, got } = finding;
        let path = match (form, result) {
            (Some(form), Some(result)) => place::path(&form.published_place(result, &steps(&path))),
            _ => path,
        };
        Finding { kind, verdict, path, expected: said(expected), got: said(got) }
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
    let said = |text: &str| form.published_text("args", text);
    let (expected, got) = (said(&violation.expected), said(&violation.got));
    Violation { path: place::path(&at), pointer: place::pointer(&at), expected, got, ..violation }
}
