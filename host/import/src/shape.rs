//! What a schema becomes: a type of WIT with keywords of a contract, or free JSON with the schema itself.
//!
//! Owns that choice. A type is chosen where it accepts exactly what the schema accepts; everything else is free JSON, which the
//! contract holds to the schema. What not even that can say is loosened, and noted. Must not know how either is written.

mod body;
mod bounds;
mod free;
mod given;
mod node;
mod null;
mod scalar;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::document::{Published, Request, Root};
use crate::label::{Labels, can_be_named, is_plain};
use crate::resolve::Resolver;
use crate::{ImportError, Notes};
use airlock_contract::validate::Validator;
use given::{default, valid};
pub(crate) use node::{Field, Function, Node, Shape};
use null::present;

/// Keywords of an object that is no record of its properties alone.
const BESIDE_PROPERTIES: [&str; 13] = [
    "allOf",
    "anyOf",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "maxProperties",
    "minProperties",
    "not",
    "oneOf",
    "patternProperties",
    "propertyNames",
    "then",
];

impl Function {
    pub(crate) fn of(
        published: &Published,
        labels: &mut Labels,
        notes: &mut Notes,
    ) -> Result<Function, ImportError> {
        let at = &published.parameters_at;
        let mut schema = published.resolved(&published.parameters, at, "", notes)?;
        if published.body.as_deref().is_some_and(|body| body::spread(&mut schema, body)) {
            notes.loosened("", "its body may be absent, so that each of the body's fields may be");
        }
        let mut made = Function {
            label: labels.take(&published.name),
            published: published.name.clone(),
            title: published.title.clone(),
            description: published.description.clone(),
            effects: published.effects,
            request: published
                .request
                .as_ref()
                .map(|Request { method, path }| (method.clone(), path.clone())),
            params: Vec::new(),
            is_open: false,
            schema: Map::new(),
            requires: Vec::new(),
            result: None,
        };
        let mut shaping = Shaping { notes, requires: Vec::new(), is_result: false };
        made.arguments(&schema, at, &mut shaping)?;
        made.requires = shaping.requires;
        if let Some(result) = &published.result {
            let schema = published.resolved(result, &published.result_at, "result", notes)?;
            let mut shaping = Shaping { notes, requires: Vec::new(), is_result: true };
            let node = shaping.node(&schema, "");
            if node.says_more_than_a_type() {
                let what = "a contract says nothing about a whole result that is no object: its JSON is not held to the document";
                notes.loosened("result", what);
            }
            made.result = Some(node);
        }
        Ok(made)
    }

    /// The parameters, and what applies to all of them together.
    fn arguments(&mut self, schema: &Value, at: &str, shaping: &mut Shaping<'_>) -> Result<(), ImportError> {
        let empty = Map::new();
        let keywords = schema.as_object().unwrap_or(&empty);
        if !matches!(keywords.get("type").and_then(Value::as_str), Some("object") | None) {
            return Err(ImportError::at(at, "the arguments of a function are an object"));
        }
        self.params = shaping.fields(keywords, "");
        self.is_open = match keywords.get("additionalProperties") {
            None => false,
            Some(closed) if is_closed(closed) => false,
            Some(Value::Object(any)) if any.is_empty() => true,
            Some(_) => {
                shaping.notes.loosened(
                    "",
                    "unknown arguments are dropped, whatever they are (`additionalProperties`)",
                );
                true
            }
        };
        if keywords.contains_key("enum") {
            shaping.notes.loosened("", "`enum` over all arguments is left out");
        }
        for (keyword, value) in keywords.iter().filter(|(name, _)| BESIDE_PROPERTIES.contains(&name.as_str()))
        {
            self.together(keyword, value, shaping);
        }
        if let Err(err) = Validator::new(&Value::Object(self.schema.clone())) {
            shaping.notes.loosened("", format!("the keywords over all arguments are left out: {err}"));
            self.schema.clear();
        }
        Ok(())
    }

    /// A keyword over all arguments. Choices are written under `allOf`, as contracts have them.
    fn together(&mut self, keyword: &str, value: &Value, shaping: &mut Shaping<'_>) {
        let mut lost = false;
        // Below its keyword, which decides what is a schema in it.
        let whole = Value::Object([(keyword.to_owned(), value.clone())].into_iter().collect());
        let mut whole = free::without_nulls(&whole, &mut lost);
        let value = whole.get_mut(keyword).map(Value::take).unwrap_or_default();
        match keyword {
            "dependentRequired" | "else" | "if" | "not" | "then" if !lost => {
                self.schema.insert(keyword.to_owned(), value);
            }
            "allOf" | "anyOf" | "oneOf" if !lost => {
                let all = self.schema.entry("allOf").or_insert_with(|| Value::Array(Vec::new()));
                let Value::Array(all) = all else { return };
                match value {
                    Value::Array(items) if keyword == "allOf" => all.extend(items),
                    value => all.push(Value::Object([(keyword.to_owned(), value)].into_iter().collect())),
                }
            }
            _ => shaping.notes.loosened("", format!("`{keyword}` over all arguments is left out")),
        }
    }
}

impl Published {
    /// A schema of it without references. Errors have the place in the document.
    fn resolved(
        &self,
        schema: &Value,
        at: &str,
        place: &str,
        notes: &mut Notes,
    ) -> Result<Value, ImportError> {
        let (root, root_at) = match &self.root {
            Root::Document(document) => (&**document, ""),
            Root::Schema => (schema, at),
        };
        Resolver::new(root, root_at).schema(schema, at, place, notes).map_err(|err| self.placed(err))
    }

    /// The arguments of a request stand together in a schema that the document does not have.
    fn placed(&self, err: ImportError) -> ImportError {
        let ImportError::Place { at, what } = err else { return err };
        let below =
            at.strip_prefix(&*self.parameters_at).and_then(|below| below.strip_prefix("/properties/"));
        let (name, rest) =
            below.map_or(("", ""), |below| below.split_at(below.find('/').unwrap_or(below.len())));
        match self.places.get(&name.replace("~1", "/").replace("~0", "~")) {
            Some(place) => ImportError::Place { at: format!("{place}{rest}"), what },
            None => ImportError::Place { at, what },
        }
    }
}

/// Turns the schemas of one function into shapes.
pub(crate) struct Shaping<'n> {
    notes: &'n mut Notes,
    requires: Vec<String>,
    is_result: bool,
}

impl Shaping<'_> {
    /// The type of a schema. `place` is the path in the contract.
    fn node(&mut self, schema: &Value, place: &str) -> Node {
        let empty = Map::new();
        let (keywords, is_nullable) = present(schema.as_object().unwrap_or(&empty));
        let (keywords, lost) = bounds::sound(keywords);
        lost.into_iter().for_each(|what| self.notes.loosened(place, what));
        let description = keywords.get("description").and_then(Value::as_str).map(str::to_owned);
        let name = keywords.get("title").and_then(Value::as_str).map(str::to_owned);
        let mut node = Node { shape: Shape::Text, keywords: Map::new(), description, name, is_nullable };
        let shape = match keywords.get("type").and_then(Value::as_str) {
            _ if self.is_mixed(&keywords) => None,
            Some("boolean") if !keywords.contains_key("enum") => Some(Shape::Bool),
            Some("integer" | "number") => scalar::number(&keywords, &mut node.keywords),
            Some("string") => self.text(&keywords, &mut node.keywords, place),
            Some("array") => self.list(&keywords, &mut node.keywords, place),
            Some("object") => self.record(&keywords, place),
            None if keywords.contains_key("properties") => self.record(&keywords, place),
            None if scalar::is_texts(&keywords) => self.text(&keywords, &mut node.keywords, place),
            _ => None,
        };
        node.shape = shape.unwrap_or_else(|| {
            node.keywords.clear();
            self.free(&keywords, place)
        });
        let examples = keywords.get("examples").and_then(Value::as_array).filter(|_| !self.is_result);
        if let Some(examples) = examples.and_then(|examples| valid(&node.shape, examples, &keywords)) {
            node.keywords.insert("examples".into(), examples);
        }
        node
    }

    /// Whether the schema has keywords that no type has.
    fn is_mixed(&self, keywords: &Map<String, Value>) -> bool {
        let is_object =
            keywords.contains_key("properties") || keywords.get("type").is_some_and(|ty| ty == "object");
        let choices = ["allOf", "anyOf", "if", "not", "oneOf", "contains"];
        choices.iter().any(|keyword| keywords.contains_key(*keyword))
            || is_object && BESIDE_PROPERTIES.iter().any(|keyword| keywords.contains_key(*keyword))
    }

    fn free(&mut self, keywords: &Map<String, Value>, place: &str) -> Shape {
        let (schema, lost) = free::schema(keywords);
        for what in lost {
            self.notes.loosened(place, what);
        }
        Shape::Free(schema)
    }

    fn text(
        &mut self,
        keywords: &Map<String, Value>,
        said: &mut Map<String, Value>,
        place: &str,
    ) -> Option<Shape> {
        if keywords.contains_key("enum") {
            let (keywords, lost, note) = scalar::chosen(keywords);
            let shape = scalar::choice(&keywords, said)?;
            lost.into_iter().for_each(|what| self.notes.loosened(place, what));
            note.into_iter().for_each(|what| self.notes.note(place, what));
            return Some(shape);
        }
        for what in scalar::text(keywords, said) {
            self.notes.loosened(place, what);
        }
        Some(Shape::Text)
    }

    fn list(
        &mut self,
        keywords: &Map<String, Value>,
        said: &mut Map<String, Value>,
        place: &str,
    ) -> Option<Shape> {
        if ["enum", "prefixItems", "unevaluatedItems"].iter().any(|keyword| keywords.contains_key(*keyword)) {
            return None;
        }
        let items = keywords.get("items").cloned().unwrap_or_else(|| Value::Object(Map::new()));
        let item = self.node(&items, &format!("{place}[]"));
        for keyword in ["minItems", "maxItems"] {
            said.extend(keywords.get_key_value(keyword).map(|(name, value)| (name.clone(), value.clone())));
        }
        if keywords.get("uniqueItems") == Some(&Value::Bool(true)) {
            self.unique(&item, place);
        }
        Some(Shape::List(Box::new(item)))
    }

    /// `uniqueItems`, as a relation: JSON Schema's keyword is refused by providers of models.
    fn unique(&mut self, item: &Node, place: &str) {
        let is_key = !matches!(item.shape, Shape::Record { .. } | Shape::List(_)) && !item.is_nullable;
        // A relation is about arguments, and the check `unique` about rows that have a key. Within lists a relation would need a variable for each of them, and names of CEL have a grammar.
        if !self.is_result
            && is_key
            && !place.contains("[]")
            && place.split('.').all(|name| !RESERVED.contains(&name))
        {
            self.requires.push(format!("!has(args.{place}) || args.{place}.unique(item, item)"));
        } else {
            let place = match (self.is_result, place) {
                (false, place) => place.to_owned(),
                (true, "") => "result".to_owned(),
                (true, place) => format!("result.{place}"),
            };
            self.notes.loosened(&place, "items may repeat (`uniqueItems`)");
        }
    }

    fn record(&mut self, keywords: &Map<String, Value>, place: &str) -> Option<Shape> {
        if keywords.contains_key("enum") {
            return None;
        }
        let is_open = match keywords.get("additionalProperties") {
            None => false,
            Some(closed) if is_closed(closed) => false,
            Some(Value::Object(any)) if any.is_empty() => true,
            Some(_) => return None,
        };
        let fields = self.fields(keywords, place);
        (!fields.is_empty()).then_some(Shape::Record { fields, is_open: is_open && !self.is_result })
    }

    /// The properties of an object as fields.
    fn fields(&mut self, keywords: &Map<String, Value>, place: &str) -> Vec<Field> {
        let any = Value::Object(Map::new());
        let required = keywords.get("required").and_then(Value::as_array).into_iter().flatten();
        let mut seen = BTreeSet::new();
        let required: Vec<&str> =
            required.filter_map(Value::as_str).filter(|name| seen.insert(*name)).collect();
        let empty = Map::new();
        let properties = keywords.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let unnamed = required.iter().copied().filter(|name| !properties.contains_key(*name));
        let keys: Vec<&str> = properties.keys().map(String::as_str).chain(unnamed).collect();
        let mut fields = Vec::new();
        for (label, key) in Labels::of(&keys, is_plain) {
            let name = airlock_contract::path::snake(&label).into_owned();
            let place = if place.is_empty() { name } else { format!("{place}.{name}") };
            let schema = properties.get(key).unwrap_or(&any);
            fields.push(self.field(key, label, schema, required.contains(&key), &place));
        }
        fields
    }

    fn field(&mut self, key: &str, label: String, schema: &Value, is_required: bool, place: &str) -> Field {
        let node = self.node(schema, place);
        if !can_be_named(key) {
            self.notes.loosened(place, format!("its key `{}` cannot be kept", key.escape_default()));
        }
        if node.is_nullable && is_required && !self.is_result {
            self.notes.loosened(place, "it may be null, so that it may be absent too");
        }
        // Null stands for a value that is absent, as it is without a default.
        let given =
            schema.get("default").filter(|value| !(self.is_result || node.is_nullable && value.is_null()));
        let default = given.filter(|_| !is_required).and_then(|value| default(&node.shape, value, schema));
        match given {
            // With a default it could be absent.
            Some(_) if is_required => self.notes.note(place, "it is required, and its `default` is left out"),
            Some(_) if default.is_none() => {
                self.notes.note(place, "its `default` is not one of its own values, and is left out");
            }
            _ => {}
        }
        Field { key: key.to_owned(), label, is_required, default, node }
    }
}

/// Names that expressions read as their own.
const RESERVED: [&str; 7] = ["as", "break", "const", "false", "in", "null", "true"];

/// Whether no value is accepted.
fn is_closed(schema: &Value) -> bool {
    schema.get("not").and_then(Value::as_object).is_some_and(Map::is_empty)
}

#[cfg(test)]
mod tests;
