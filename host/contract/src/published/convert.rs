//! Values: from published JSON to plain JSON, and back.
//!
//! Owns both directions. What is not of the form is left as it is, so that the codec or the caller reports it.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Case, Fields, Form, Untagged, free};
use crate::validate::Validator;
use airlock_types::code::Code;
use airlock_types::place::Place;
use airlock_types::violation::Violation;

/// Most entries of each list: no reader uses more.
const MOST: usize = 20;

/// What a conversion found.
#[derive(Debug, Default)]
pub struct Found {
    /// Keys of open records that were ignored, as places.
    pub ignored: Vec<String>,
    /// What of arguments cannot be converted.
    pub violations: Vec<Violation>,
    /// What of a result is not what is published.
    pub doubts: Vec<Doubt>,
}

/// A part of a result that is not what is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Where, code-like.
    pub path: String,
    /// What is published.
    pub expected: String,
    /// What was there.
    pub got: String,
}

type Walk = dyn Fn(&Form, &mut Value, &Place<'_>, &mut Found);

impl Form {
    /// The plain form of arguments that are valid as published.
    pub fn plain_args(&self, args: Map<String, Value>, found: &mut Found) -> Map<String, Value> {
        let mut args = Value::Object(args);
        self.inward(&mut args, &Place::Root, found);
        if let Value::Object(args) = args { args } else { Map::new() }
    }

    /// The published form of arguments in plain JSON.
    pub fn published_args(&self, args: Map<String, Value>) -> Map<String, Value> {
        let mut args = Value::Object(args);
        self.outward(&mut args, &Place::Root, &mut Found::default());
        if let Value::Object(args) = args { args } else { Map::new() }
    }

    /// Turns a published value into its plain form.
    pub fn inward(&self, value: &mut Value, at: &Place<'_>, found: &mut Found) {
        match (self, value) {
            (Form::Json(free), value) if !(free.is_optional && value.is_null()) => to_text(value, at, found),
            // An option that is none.
            (_, Value::Null) => {}
            (Form::Record(fields), Value::Object(members)) => fields.inward(members, at, found),
            (Form::Cases(cases), value) => {
                self::cases(cases, value, Case::inward, &mut |form, value| {
                    form.inward(value, &at.key("val"), found)
                });
            }
            (Form::Untagged(cases), value) => tag(cases, value, at, found),
            (Form::Items(_) | Form::Some(_) | Form::Record(_) | Form::Json(_), value) => {
                self.each(value, at, found, &Form::inward);
            }
        }
    }

    /// Turns a plain value into its published form.
    pub fn outward(&self, value: &mut Value, at: &Place<'_>, found: &mut Found) {
        match (self, value) {
            (Form::Json(free), value @ Value::String(_)) => of_text(free.schema.as_ref(), value, at, found),
            (Form::Json(_), _) | (_, Value::Null) => {}
            (Form::Record(fields), Value::Object(members)) => fields.outward(members, at, found),
            (Form::Cases(cases), value) => {
                self::cases(cases, value, Case::outward, &mut |form, value| {
                    form.outward(value, &at.key("val"), found)
                });
            }
            (Form::Untagged(cases), value) => untag(cases, value, at, found),
            (Form::Items(_) | Form::Some(_) | Form::Record(_), value) => {
                self.each(value, at, found, &Form::outward);
            }
        }
    }

    /// Converts what is inside of a list, or of an option within an option.
    fn each(&self, value: &mut Value, at: &Place<'_>, found: &mut Found, walk: &Walk) {
        match (self, value) {
            (Form::Items(item), Value::Array(items)) => {
                items.iter_mut().enumerate().for_each(|(i, value)| walk(item, value, &at.index(i), found));
            }
            (Form::Some(inner), Value::Object(members)) => {
                members
                    .get_mut("some")
                    .into_iter()
                    .for_each(|value| walk(inner, value, &at.key("some"), found));
            }
            _ => {}
        }
    }
}

impl Found {
    fn ignore(&mut self, at: &Place<'_>) {
        if self.ignored.len() < MOST {
            self.ignored.push(format!("`{}`", at.path()));
        }
    }

    fn misnamed(&mut self, at: &Place<'_>, key: &str, published: &str) {
        if self.violations.len() < MOST {
            self.violations.push(Violation {
                code: Code::ArgsUnknown,
                path: at.path(),
                pointer: at.pointer(),
                keyword: "additionalProperties".to_owned(),
                expected: format!("`{published}`"),
                got: format!("`{key}`"),
                hint: Some(format!("did you mean `{published}`?")),
            });
        }
    }

    fn doubt(&mut self, path: String, expected: impl Into<String>, got: impl Into<String>) {
        if self.doubts.len() < MOST {
            self.doubts.push(Doubt { path, expected: expected.into(), got: got.into() });
        }
    }
}

impl Fields {
    fn inward(&self, members: &mut Map<String, Value>, at: &Place<'_>, found: &mut Found) {
        // Before names are changed: a key that is not published can be the name of a field that is. That one is refused, and not
        // ignored: its value was meant for the field, which would be absent or have its default.
        if let Some(known) = &self.open {
            members.retain(|key, _| {
                match self.by_name(key).filter(|_| !known.contains(key)) {
                    Some(field) => found.misnamed(&at.key(key), key, &field.key),
                    None if known.contains(key) => return true,
                    None => found.ignore(&at.key(key)),
                }
                false
            });
        }
        for field in &self.fields {
            // Null is the same as absent, so the default stands for both. To free JSON null is a value like others.
            let takes_null =
                field.default.is_none() && matches!(&field.form, Some(Form::Json(free)) if !free.is_optional);
            let is_given = |value: &Value| takes_null || !value.is_null();
            let given = members.remove(&field.key).filter(is_given);
            let Some(mut value) = given.or_else(|| field.default.clone()) else { continue };
            field.form.iter().for_each(|form| form.inward(&mut value, &at.key(&field.key), found));
            members.insert(field.name.clone(), value);
        }
    }

    fn outward(&self, members: &mut Map<String, Value>, at: &Place<'_>, found: &mut Found) {
        for field in &self.fields {
            let Some(mut value) = members.remove(&field.name) else { continue };
            field.form.iter().for_each(|form| form.outward(&mut value, &at.key(&field.key), found));
            members.insert(field.key.clone(), value);
        }
    }
}

/// The two names of a case, in the direction of a conversion.
#[derive(Clone, Copy)]
struct Names<'c> {
    from: &'c str,
    to: &'c str,
}

impl Case {
    fn inward(&self) -> Names<'_> {
        Names { from: &self.value, to: &self.name }
    }

    fn outward(&self) -> Names<'_> {
        Names { from: &self.name, to: &self.value }
    }
}

/// Turns the name of a case into the other one: of an enum, of each flag, or of a tag with its payload.
fn cases(
    cases: &[Case],
    value: &mut Value,
    names: fn(&Case) -> Names<'_>,
    payload: &mut dyn FnMut(&Form, &mut Value),
) {
    let find = |text: &str| cases.iter().find(|case| names(case).from == text);
    match value {
        Value::String(text) => {
            if let Some(case) = find(text) {
                names(case).to.clone_into(text);
            }
        }
        Value::Array(flags) => {
            for flag in flags {
                if let Some(case) = flag.as_str().and_then(find) {
                    *flag = names(case).to.into();
                }
            }
        }
        Value::Object(members) => {
            let Some(case) = members.get("tag").and_then(Value::as_str).and_then(find) else { return };
            members.insert("tag".into(), names(case).to.into());
            if let (Some(form), Some(value)) = (&case.form, members.get_mut("val")) {
                payload(form, value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Gives a value without a tag the tag of its case.
fn tag(cases: &[Untagged], value: &mut Value, at: &Place<'_>, found: &mut Found) {
    let Some(Untagged { case, shapes }) = cases.iter().find(|case| case.takes(value)) else { return };
    case.form.iter().for_each(|form| form.inward(value, at, found));
    *value = match shapes {
        Some(_) => json!({"tag": case.name, "val": value.take()}),
        None => json!({"tag": case.name}),
    };
}

/// Takes the tag away.
fn untag(cases: &[Untagged], value: &mut Value, at: &Place<'_>, found: &mut Found) {
    let tag = value.get("tag").and_then(Value::as_str);
    let Some(Untagged { case, shapes }) = cases.iter().find(|one| Some(one.case.name.as_str()) == tag) else {
        return;
    };
    let mut payload = match shapes {
        Some(_) => value.get_mut("val").map(Value::take).unwrap_or_default(),
        None => case.value.as_str().into(),
    };
    case.form.iter().for_each(|form| form.outward(&mut payload, at, found));
    *value = payload;
}

fn to_text(value: &mut Value, at: &Place<'_>, found: &mut Found) {
    match free::text(value, at) {
        Ok(text) => *value = text.into(),
        Err(violation) if found.violations.len() < MOST => found.violations.push(*violation),
        Err(_) => {}
    }
}

fn of_text(schema: Option<&Arc<Validator>>, value: &mut Value, at: &Place<'_>, found: &mut Found) {
    match free::value(value.as_str().unwrap_or_default()) {
        Ok(free) => *value = free,
        Err(got) => return found.doubt(at.path(), "the text of JSON", got),
    }
    for violation in schema.map(|schema| schema.violations(value)).unwrap_or_default() {
        let dot = if violation.path.is_empty() || violation.path.starts_with('[') { "" } else { "." };
        found.doubt(format!("{}{dot}{}", at.path(), violation.path), violation.expected, violation.got);
    }
}
