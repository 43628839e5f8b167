//! Schemas: that of a type, as it is published.

use serde_json::{Map, Value, json};

use super::{Case, Fields, Form, Found, Free};
use crate::path::{Path, Segment};
use crate::schema::inside;
use airlock_types::place::Place;

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
        Form::Cases(cases) => {
            rename_in_description(cases.iter(), schema);
            self::cases(cases.iter(), inside(schema), at, defaults);
        }
        Form::Untagged(untagged) => {
            let all = untagged.iter().map(|one| &one.case);
            rename_in_description(all.clone(), schema);
            let schema = inside(schema);
            cases(all, schema, at, defaults);
            schema.get_mut("anyOf").and_then(Value::as_array_mut).into_iter().flatten().for_each(untag);
        }
        Form::Json(free) => json(free, inside(schema)),
    }
}

fn record(fields: &Fields, schema: &mut Value, at: &Path, defaults: &mut Vec<PlacedDefault>) {
    let Some(members) = schema.as_object_mut() else { return };
    let mut required = match members.remove("required") {
        Some(Value::Array(required)) => required,
        _ => Vec::new(),
    };
    if fields.open.is_some() {
        members.remove("additionalProperties");
    }
    let Some(Value::Object(properties)) = members.get_mut("properties") else { return };
    // Taken out first: a name may be that of a field that is renamed itself.
    let taken: Vec<Value> =
        fields.fields.iter().map(|field| properties.remove(&field.name).unwrap_or_default()).collect();
    for (field, mut property) in fields.fields.iter().zip(taken) {
        let at = at.then(Segment::Field(field.name.clone()));
        field.form.iter().for_each(|form| publish(form, &mut property, &at, defaults));
        if let Some(value) = &field.default {
            let mut plain = value.clone();
            let found = &mut Found::default();
            field.form.iter().for_each(|form| form.inward(&mut plain, &Place::Root, found));
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

fn cases<'c>(
    cases: impl Iterator<Item = &'c Case> + Clone,
    schema: &mut Value,
    at: &Path,
    defaults: &mut Vec<PlacedDefault>,
) {
    // Flags are the items of a list.
    let list = if schema.get("items").is_some() { "/items/enum" } else { "/enum" };
    if let Some(Value::Array(names)) = schema.pointer_mut(list) {
        return names.iter_mut().for_each(|name| rename(cases.clone(), name));
    }
    let branches = schema.get_mut("anyOf").and_then(Value::as_array_mut);
    for branch in branches.into_iter().flatten() {
        let tag = &mut branch["properties"]["tag"]["enum"][0];
        let case = cases.clone().find(|case| tag == case.name.as_str());
        rename(cases.clone(), tag);
        if let Some(Case { name, form: Some(form), .. }) = case {
            let at = at.then(Segment::Field(crate::path::snake(name).into_owned()));
            publish(form, &mut branch["properties"]["val"], &at, defaults);
        }
    }
}

/// Doc comments of cases are lines `- name: text` of the description of their type.
fn rename_in_description<'c>(cases: impl Iterator<Item = &'c Case> + Clone, schema: &mut Value) {
    let Some(Value::String(text)) = schema.get_mut("description") else { return };
    let line = |line: &str| {
        let found = line.strip_prefix("- ").and_then(|rest| rest.split_once(": "));
        let case = found.and_then(|(name, said)| Some((cases.clone().find(|case| case.name == name)?, said)));
        case.map_or_else(|| line.to_owned(), |(case, said)| format!("- {}: {said}", case.value))
    };
    *text = text.lines().map(line).collect::<Vec<_>>().join("\n");
}

/// Leaves the payload of a branch, or the published value of a case that has none.
fn untag(branch: &mut Value) {
    let tag = branch.pointer("/properties/tag").cloned().unwrap_or_default();
    *branch = branch.pointer_mut("/properties/val").map_or(tag, Value::take);
}

/// The schema of free JSON, with what describes the place.
fn json(free: &Free, schema: &mut Value) {
    let said = schema.as_object().cloned().unwrap_or_default();
    *schema = free.schema.as_ref().map_or_else(|| json!({}), |schema| schema.schema());
    // `true` is a schema, too.
    if !schema.is_object() {
        *schema = if *schema == false { json!({"not": {}}) } else { json!({}) };
    }
    for (note, text) in said.into_iter().filter(|(keyword, _)| keyword != "type") {
        schema[note] = text;
    }
    if free.schema.is_none() && schema.get("description").is_none() {
        schema["description"] = "any JSON value".into();
    }
}

fn rename<'c>(mut cases: impl Iterator<Item = &'c Case>, name: &mut Value) {
    if let Some(case) = cases.find(|case| name == case.name.as_str()) {
        *name = case.value.as_str().into();
    }
}
