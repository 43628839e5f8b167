//! Places: the published spelling of one that a gate or a check names, and back.
//!
//! Which case a place leads into is only known with the value, so that the published spelling needs it.

use serde_json::Value;

use super::{Case, Form};
use crate::path::Segment;
use airlock_types::place::Step;

/// The steps of a place that is written code-like: `rows[2].change_pct`.
pub(crate) fn steps(path: &str) -> Vec<Step> {
    let parts = path.split(['.', '[']).map(|part| part.trim_end_matches(']'));
    let step =
        |part: &str| part.parse().map_or_else(|_| Step::Key(part.trim_matches('"').to_owned()), Step::Index);
    parts.filter(|part| !part.is_empty()).map(step).collect()
}

impl Form {
    /// The published name of a step of a path, where it has one, and the form behind it.
    pub(crate) fn step(&self, step: &Segment) -> (Option<&str>, Option<&Form>) {
        match (self, step) {
            (Form::Record(fields), Segment::Field(name)) => match fields.by_name(name) {
                Some(field) => (Some(&field.key), field.form.as_ref()),
                None => (None, None),
            },
            (Form::Items(item), Segment::Items) => (None, Some(item)),
            // A case is no member of the value.
            (Form::Record(_) | Form::Items(_) | Form::Some(_) | Form::Cases(_), _) => (None, None),
        }
    }

    /// The published place of a plain one, in this published value.
    pub(crate) fn published_place(&self, value: &Value, place: &[Step]) -> Vec<Step> {
        let Some((step, rest)) = place.split_first() else { return Vec::new() };
        let (step, form) = match (self, step) {
            (Form::Record(fields), Step::Key(name)) => match fields.by_name(name) {
                Some(field) => (Step::Key(field.key.clone()), field.form.as_ref()),
                None => (step.clone(), None),
            },
            (Form::Items(item), Step::Index(_)) => (step.clone(), Some(&**item)),
            (Form::Some(inner), Step::Key(_)) => (step.clone(), Some(&**inner)),
            (Form::Cases(cases), Step::Key(name)) if name == "val" => (step.clone(), of_tag(cases, value)),
            _ => return place.to_vec(),
        };
        let inside = match &step {
            Step::Key(key) => value.get(key),
            Step::Index(at) => value.get(at),
        };
        let rest = match (form, inside) {
            (Some(form), Some(value)) => form.published_place(value, rest),
            _ => rest.to_vec(),
        };
        [vec![step], rest].concat()
    }

    /// The plain place of a published one, up to the first case: what is inside of one stays as it was spelled.
    pub(crate) fn plain_place(&self, place: &[String]) -> Vec<String> {
        let Some((step, rest)) = place.split_first() else { return Vec::new() };
        let (step, form) = match self {
            Form::Record(fields) => match fields.by_key(step) {
                Some(field) => (field.name.clone(), field.form.as_ref()),
                None => (step.clone(), None),
            },
            Form::Items(inner) | Form::Some(inner) => (step.clone(), Some(&**inner)),
            Form::Cases(_) => return place.to_vec(),
        };
        let rest = form.map_or_else(|| rest.to_vec(), |form| form.plain_place(rest));
        [vec![step], rest].concat()
    }
}

/// The form of the payload of the case that a published value has.
fn of_tag<'f>(cases: &'f [Case], value: &Value) -> Option<&'f Form> {
    let tag = value.get("tag")?.as_str()?;
    cases.iter().find(|case| case.value == tag)?.form.as_ref()
}
