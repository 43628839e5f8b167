//! How a tool's arguments and result are published in JSON, where its contract says another form than that of their types.
//!
//! Owns that form: names of fields, values of cases, defaults, open records, free JSON, variants without a tag; and the two
//! conversions between published JSON and the plain JSON that `lower` reads and `lift` writes: of values, of places and of
//! schemas. Must not know calls. A form has only the parts of a type that differ, and a tool without one never comes here.
//! To add a kind: a variant of [`Form`], which the compiler follows through `convert`, `place` and `schema`.

mod apart;
mod build;
mod convert;
mod free;
pub(crate) mod place;
mod renamed;
mod schema;
#[cfg(test)]
mod tests;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::path::Path;
use crate::validate::Validator;
use apart::Shape;
pub(crate) use build::{Root, form};
pub use convert::{Doubt, Found};
pub(crate) use renamed::spoken;
pub(crate) use schema::{PlacedDefault, publish};
pub(crate) use written::Written;

/// The kind of the finding of a result that is not the JSON that its contract publishes.
pub const JSON: &str = "json";

/// How the values of one type are published. Options are looked through.
#[derive(Clone, Debug)]
pub enum Form {
    /// A record, or the parameters of a function.
    Record(Fields),
    /// The items of a list.
    Items(Box<Form>),
    /// An option within an option, which JSON has as `{"some": …}`.
    Some(Box<Form>),
    /// An enum, flags, or a variant with its tag.
    Cases(Vec<Case>),
    /// A variant without its tag.
    Untagged(Vec<Untagged>),
    /// Any JSON, or what a schema accepts, whose text is a string to the component.
    Json(Free),
}

/// Free JSON.
#[derive(Clone, Debug)]
pub struct Free {
    schema: Option<Arc<Validator>>,
    /// Whether null is no value: the string is in an option.
    is_optional: bool,
}

/// The fields of a record that are published in another form.
#[derive(Clone, Debug)]
pub struct Fields {
    fields: Vec<Field>,
    /// The published names of all fields, where others are ignored.
    open: Option<BTreeSet<String>>,
}

/// A field that is published in another form.
#[derive(Clone, Debug)]
struct Field {
    /// Its name in plain JSON.
    name: String,
    /// Its published name.
    key: String,
    /// What stands for it where it is absent, as published.
    default: Option<Value>,
    form: Option<Form>,
}

/// A case that is published in another form.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name in plain JSON.
    name: String,
    /// What is published in its place.
    value: String,
    /// The form of its payload.
    form: Option<Form>,
}

/// A case of a variant without a tag.
#[derive(Clone, Debug)]
pub struct Untagged {
    case: Case,
    /// What its payload can be. None for a case without one, which is its published value.
    shapes: Option<Vec<Shape>>,
}

/// What one function publishes.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// The form of the arguments.
    pub args: Option<Form>,
    /// The form of the result.
    pub result: Option<Form>,
    /// The units of numbers in the arguments.
    pub args_units: BTreeMap<Path, String>,
    /// The units of numbers in the result.
    pub result_units: BTreeMap<Path, String>,
}

impl Fields {
    fn by_name(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    fn by_key(&self, key: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.key == key)
    }
}

impl Untagged {
    /// Whether a published value is of this case. Of a valid one it is true for one case alone.
    fn takes(&self, value: &Value) -> bool {
        match &self.shapes {
            Some(shapes) => shapes.iter().any(|shape| shape.takes(value)),
            None => *value == self.case.value.as_str(),
        }
    }
}
