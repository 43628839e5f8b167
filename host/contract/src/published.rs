//! How a tool's arguments and result are published in JSON, where its contract says another form than that of their types.
//!
//! Owns that form: names of fields, values of cases, defaults, and the two conversions between published JSON and the plain
//! JSON that `lower` reads and `lift` writes; of values, of places and of schemas. Must not know calls. A form has only the
//! parts of a type that differ, and a tool without one never comes here. To add a kind: a variant of [`Form`], which the
//! compiler follows through `convert`, `place` and `schema`.

mod build;
mod convert;
pub(crate) mod place;
mod schema;
#[cfg(test)]
mod tests;
mod written;

use serde_json::Value;

pub(crate) use build::{Root, form};
pub use convert::Plain;
pub(crate) use schema::{PlacedDefault, publish};
pub(crate) use written::Written;

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
}

/// The fields of a record that are published in another form.
#[derive(Clone, Debug)]
pub struct Fields {
    fields: Vec<Field>,
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

/// The forms of one function.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// The form of the arguments.
    pub args: Option<Form>,
    /// The form of the result.
    pub result: Option<Form>,
}

impl Fields {
    fn by_name(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    fn by_key(&self, key: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.key == key)
    }
}
