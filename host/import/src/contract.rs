//! The text of `contract.toml`: what the types do not say.
//!
//! Owns which tables are written. Only places with something to say have one. Must not know schemas.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::document::{Document, Server};
use crate::label::{can_be_named, is_plain};
use crate::shape::{Field, Function, Node, Shape};
use airlock_contract::path::snake;
use airlock_types::text::{clean, is_hidden};

/// Writes the contract.
pub(crate) fn write(document: &Document, functions: &[Function]) -> String {
    let mut text = format!("# Imported from {}.\n", document.form);
    if let Some(server) = &document.server {
        requests(&mut text, server, functions);
    }
    functions.iter().for_each(|function| tool(&mut text, function));
    text
}

/// The requests that the tools send, which an operator grants.
fn requests(text: &mut String, server: &Server, functions: &[Function]) {
    let Server { scheme, host, port, path } = server;
    let methods: std::collections::BTreeSet<&str> =
        functions.iter().filter_map(|function| Some(function.request.as_ref()?.0.as_str())).collect();
    let methods: Vec<Value> = methods.into_iter().map(Value::from).collect();
    let _ = write!(text, "\n[[capabilities.http]]\nhost = {}\nscheme = \"{scheme}\"\n", string(host));
    if let Some(port) = port {
        let _ = writeln!(text, "port = {port}");
    }
    if let Some(path) = path {
        let _ = writeln!(text, "path = {}", string(path));
    }
    let _ = write!(text, "methods = {}\nreason = \"the service of the document\"\n", toml(&methods.into()));
}

fn tool(text: &mut String, function: &Function) {
    text.push('\n');
    if let Some((method, path)) = &function.request {
        let _ = writeln!(text, "# {method} {}", clean(path));
    }
    let label = &function.label;
    let _ = writeln!(text, "[tool.{label}]");
    if !is_plain(label, &function.published) && can_be_named(&function.published) {
        let _ = writeln!(text, "name = {}", toml(&function.published.as_str().into()));
    }
    if let Some(title) = function.title.as_deref().map(clean).filter(|title| !title.is_empty()) {
        let _ = writeln!(text, "title = {}", string(&title));
    }
    if let Some(effects) = function.effects {
        let _ = writeln!(text, "effects = \"{effects}\"");
    }
    if function.is_open {
        text.push_str("open = true\n");
    }
    if !function.schema.is_empty() {
        let _ = writeln!(text, "schema = {}", toml(&Value::Object(function.schema.clone())));
    }
    let mut writer = Writer { text, table: format!("tool.{label}.args") };
    writer.fields(&function.params, "");
    writer.table = format!("tool.{label}.result");
    match function.result.as_ref().map(|node| &node.shape) {
        Some(Shape::Record { fields, .. }) => writer.fields(fields, ""),
        Some(Shape::List(item)) => writer.node(item, "[]", Map::new()),
        _ => {}
    }
    for that in &function.requires {
        let _ = write!(text, "\n[[tool.{label}.require]]\nthat = {}\n", toml(&that.as_str().into()));
    }
}

struct Writer<'t> {
    text: &'t mut String,
    /// The table of arguments or of the result.
    table: String,
}

impl Writer<'_> {
    fn fields(&mut self, fields: &[Field], above: &str) {
        for field in fields {
            let name = snake(&field.label);
            let place = if above.is_empty() { name.into_owned() } else { format!("{above}.{name}") };
            let mut said = Map::new();
            if !is_plain(&field.label, &field.key) && can_be_named(&field.key) {
                said.insert("name".into(), field.key.as_str().into());
            }
            said.extend(field.default.iter().map(|value| ("default".to_owned(), value.clone())));
            self.node(&field.node, &place, said);
        }
    }

    /// The table of a place, with what is said of it already, and those of the places inside.
    fn node(&mut self, node: &Node, place: &str, mut said: Map<String, Value>) {
        said.extend(node.keywords.clone());
        match &node.shape {
            Shape::Free(schema) => {
                said.insert("json".into(), true.into());
                said.extend(schema.iter().map(|schema| ("schema".to_owned(), schema.clone())));
            }
            Shape::Record { is_open: true, .. } => drop(said.insert("open".into(), true.into())),
            Shape::Record { .. } | Shape::List(_) | Shape::Enum(_) => {}
            Shape::Bool | Shape::Int(_) | Shape::Float | Shape::Text => {}
        }
        self.place(place, &said);
        match &node.shape {
            Shape::Record { fields, .. } => self.fields(fields, place),
            Shape::List(item) => self.node(item, &format!("{place}[]"), Map::new()),
            Shape::Enum(cases) => self.cases(cases, place),
            Shape::Bool | Shape::Int(_) | Shape::Float | Shape::Text | Shape::Free(_) => {}
        }
    }

    fn cases(&mut self, cases: &[(String, String)], place: &str) {
        for (label, value) in cases.iter().filter(|(label, value)| label != value) {
            let said = [("value".to_owned(), Value::from(value.as_str()))].into_iter().collect();
            self.place(&format!("{place}.{}", snake(label)), &said);
        }
    }

    fn place(&mut self, place: &str, said: &Map<String, Value>) {
        if said.is_empty() {
            return;
        }
        let is_bare = place.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let place = if is_bare { place.to_owned() } else { format!("\"{place}\"") };
        let _ = writeln!(self.text, "\n[{}.{place}]", self.table);
        for (keyword, value) in said {
            let _ = writeln!(self.text, "{keyword} = {}", toml(value));
        }
    }
}

/// A value as TOML on one line. Its nulls are gone by now; one that is left is an empty text.
fn toml(value: &Value) -> String {
    match value {
        Value::Null => "\"\"".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(n), _) => n.to_string(),
            (None, Some(n)) => toml::Value::Float(n).to_string(),
            (None, None) => number.to_string(),
        },
        Value::String(text) => string(text),
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| format!("{} = {}", quoted(key), toml(value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
    }
}

fn quoted(key: &str) -> String {
    let is_bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if is_bare { key.to_owned() } else { basic(key) }
}

/// A text as a reviewer reads it: characters that are not seen, or change how others are shown, are written as escapes.
fn string(text: &str) -> String {
    if text.chars().any(is_hidden) { basic(text) } else { toml::Value::String(text.to_owned()).to_string() }
}

fn basic(text: &str) -> String {
    let mut made = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => made.extend(['\\', c]),
            '\n' => made.push_str("\\n"),
            '\t' => made.push_str("\\t"),
            c if is_hidden(c) => {
                let _ = write!(made, "\\U{:08X}", u32::from(c));
            }
            c => made.push(c),
        }
    }
    made.push('"');
    made
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was_and_shows_every_character(key in any::<String>(), value in any::<String>()) {
            let text = format!("a = {}", toml(&json!({key.clone(): value.clone()})));
            prop_assert!(!text.chars().any(is_hidden), "{text}");
            let read: toml::Table = text.parse().unwrap();
            prop_assert_eq!(read["a"].as_table().unwrap()[&key].as_str(), Some(&*value));
        }
    }

    #[test]
    fn hidden_characters_are_escapes() {
        assert_eq!(string("a\u{202e}b\u{2028}c\\"), r#""a\U0000202Eb\U00002028c\\""#);
        assert_eq!(quoted("a\u{200b}"), r#""a\U0000200B""#);
    }
}
