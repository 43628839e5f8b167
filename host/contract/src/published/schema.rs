//! Schemas: that of a type, as it is published.

use serde_json::{Map, Value, json};

use super::{Case, Fields, Form};
use crate::path::{Path, Segment};
use crate::schema::inside;

/// A default, and the schema of the place that it is for.
pub(crate) struct PlacedDefault {
    pub(crate) at: Path,
    /// As published.
    pub(crate) value: Value,
    /// In plain JSON.
    pub(crate) plain: Value,
    pub(crate) schema: Value,
}

/// Turns the schema of a type, without shared parts, into that of its published form. Adds the defaults that it meets.
pub(crate) fn publish(form: &Form, schema: &mut Value, at: &Path, defaults: &mut Vec<PlacedDefault>) {
    match form {
        Form::Record(fields) => record(fields, inside(schema), at, defaults),
        Form::Items(item) => {
            publish(item, &mut inside(schema)["items"], &at.then(Segment::Items), defaults);
        }
        // `inside` looks through the object around it.
        Form::Some(inner) => publish(inner, schema, at, defaults),
        Form::Cases(cases) => self::cases(cases, inside(schema), at, defaults),
    }
}

fn record(fields: &Fields, schema: &mut Value, at: &Path, defaults: &mut Vec<PlacedDefault>) {
    let Some(members) = schema.as_object_mut() else { return };
    let mut required = match members.remove("required") {
        Some(Value::Array(required)) => required,
        _ => Vec::new(),
    };
    let Some(Value::Object(properties)) = members.get_mut("properties") else { return };
    // Taken out first: a name may be that of a field that is renamed itself.
    let taken: Vec<Value> =
        fields.fields.iter().map(|field| properties.remove(&field.name).unwrap_or_default()).collect();
    for (field, mut property) in fields.fields.iter().zip(taken) {
        let at = at.then(Segment::Field(field.name.clone()));
        field.form.iter().for_each(|form| publish(form, &mut property, &at, defaults));
        if let Some(value) = &field.default {
            let mut plain = value.clone();
            field.form.iter().for_each(|form| form.inward(&mut plain));
            defaults.push(PlacedDefault { at, value: value.clone(), plain, schema: property.clone() });
            required.retain(|name| *name != field.name);
            property = with_default(property, value);
        }
        required
            .iter_mut()
            .filter(|name| **name == field.name)
            .for_each(|name| *name = field.key.as_str().into());
        properties.insert(field.key.clone(), property);
    }
    if !required.is_empty() {
        members.insert("required".into(), required.into());
    }
}

/// A property that may be absent, or null, which is the same.
fn with_default(property: Value, value: &Value) -> Value {
    let is_null = |branch: &Value| branch["type"] == "null";
    let branches = property.get("anyOf").and_then(Value::as_array);
    let mut property = if branches.is_some_and(|branches| branches.iter().any(is_null)) {
        property
    } else {
        nullable(property)
    };
    property["default"] = value.clone();
    property
}

/// A schema or null. What describes it stays outside, where readers look.
fn nullable(mut schema: Value) -> Value {
    let mut outer = Map::new();
    for note in ["title", "description", "examples"] {
        let taken = schema.as_object_mut().and_then(|keywords| keywords.remove(note));
        outer.extend(taken.map(|text| (note.to_owned(), text)));
    }
    outer.insert("anyOf".into(), json!([schema, {"type": "null"}]));
    outer.into()
}

fn cases(cases: &[Case], schema: &mut Value, at: &Path, defaults: &mut Vec<PlacedDefault>) {
    // Flags are the items of a list.
    let list = if schema.get("items").is_some() { "/items/enum" } else { "/enum" };
    if let Some(Value::Array(names)) = schema.pointer_mut(list) {
        return names.iter_mut().for_each(|name| rename(cases, name));
    }
    let branches = schema.get_mut("anyOf").and_then(Value::as_array_mut);
    for branch in branches.into_iter().flatten() {
        let tag = &mut branch["properties"]["tag"]["enum"][0];
        let case = cases.iter().find(|case| tag == case.name.as_str());
        rename(cases, tag);
        if let Some(Case { name, form: Some(form), .. }) = case {
            let at = at.then(Segment::Field(crate::path::snake(name).into_owned()));
            publish(form, &mut branch["properties"]["val"], &at, defaults);
        }
    }
}

fn rename(cases: &[Case], name: &mut Value) {
    if let Some(case) = cases.iter().find(|case| name == case.name.as_str()) {
        *name = case.value.as_str().into();
    }
}
