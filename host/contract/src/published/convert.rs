//! Values: from published JSON to plain JSON, and back.
//!
//! Owns both directions. What is not of the form is left as it is, so that the codec or the caller reports it.

use serde_json::{Map, Value};

use super::{Case, Fields, Form};

/// Arguments in plain JSON.
#[derive(Debug, Default)]
pub struct Plain {
    /// The arguments.
    pub args: Map<String, Value>,
}

impl Form {
    /// The plain form of arguments that are valid as published.
    pub fn plain_args(&self, mut args: Map<String, Value>) -> Plain {
        match self {
            Form::Record(fields) => fields.inward(&mut args),
            Form::Items(_) | Form::Some(_) | Form::Cases(_) => {}
        }
        Plain { args }
    }

    /// The published form of arguments in plain JSON.
    pub fn published_args(&self, args: Map<String, Value>) -> Map<String, Value> {
        let mut args = Value::Object(args);
        self.outward(&mut args);
        if let Value::Object(args) = args { args } else { Map::new() }
    }

    /// Turns a published value into its plain form.
    pub fn inward(&self, value: &mut Value) {
        match (self, value) {
            // An option that is none.
            (_, Value::Null) => {}
            (Form::Record(fields), Value::Object(members)) => fields.inward(members),
            (Form::Items(item), Value::Array(items)) => items.iter_mut().for_each(|value| item.inward(value)),
            (Form::Some(inner), Value::Object(members)) => {
                members.get_mut("some").into_iter().for_each(|value| inner.inward(value));
            }
            (Form::Cases(cases), value) => {
                self::cases(cases, value, &Form::inward, |case| (&case.value, &case.name))
            }
            (Form::Record(_) | Form::Items(_) | Form::Some(_), _) => {}
        }
    }

    /// Turns a plain value into its published form.
    pub fn outward(&self, value: &mut Value) {
        match (self, value) {
            (_, Value::Null) => {}
            (Form::Record(fields), Value::Object(members)) => fields.outward(members),
            (Form::Items(item), Value::Array(items)) => {
                items.iter_mut().for_each(|value| item.outward(value))
            }
            (Form::Some(inner), Value::Object(members)) => {
                members.get_mut("some").into_iter().for_each(|value| inner.outward(value));
            }
            (Form::Cases(cases), value) => {
                self::cases(cases, value, &Form::outward, |case| (&case.name, &case.value))
            }
            (Form::Record(_) | Form::Items(_) | Form::Some(_), _) => {}
        }
    }
}

impl Fields {
    fn inward(&self, members: &mut Map<String, Value>) {
        for field in &self.fields {
            let given = members.remove(&field.key).filter(|value| !value.is_null());
            // Null is the same as absent, so the default stands for both.
            let Some(mut value) = given.or_else(|| field.default.clone()) else { continue };
            field.form.iter().for_each(|form| form.inward(&mut value));
            members.insert(field.name.clone(), value);
        }
    }

    fn outward(&self, members: &mut Map<String, Value>) {
        for field in &self.fields {
            let Some(mut value) = members.remove(&field.name) else { continue };
            field.form.iter().for_each(|form| form.outward(&mut value));
            members.insert(field.key.clone(), value);
        }
    }
}

/// Turns the name of a case into the other one: of an enum, of each flag, or of a tag with its payload.
fn cases(
    cases: &[Case],
    value: &mut Value,
    payload: &dyn Fn(&Form, &mut Value),
    names: impl Fn(&Case) -> (&String, &String),
) {
    let find = |text: &str| cases.iter().find(|case| names(case).0 == text);
    match value {
        Value::String(text) => {
            if let Some(case) = find(text) {
                names(case).1.clone_into(text);
            }
        }
        Value::Array(flags) => {
            for flag in flags {
                if let Some(case) = flag.as_str().and_then(find) {
                    *flag = names(case).1.as_str().into();
                }
            }
        }
        Value::Object(members) => {
            let Some(case) = members.get("tag").and_then(Value::as_str).and_then(find) else { return };
            members.insert("tag".into(), names(case).1.as_str().into());
            if let (Some(form), Some(value)) = (&case.form, members.get_mut("val")) {
                payload(form, value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
