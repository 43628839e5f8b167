//! Schemas without references, in the keywords of JSON Schema 2020-12.
//!
//! Owns the reading of local references, within bounds, and of older spellings: `nullable`, `exclusiveMinimum: true`, `const`,
//! `items` as a list, `dependencies`, and the type names of other languages that published function documents use. Must not know WIT.

mod join;
mod older;

use serde_json::{Map, Value, json};

use crate::document::{OUT, deprecated, is_rounded_in_toml};
use crate::{ImportError, Notes};

/// Deepest nesting of a schema, references followed.
const DEPTH_MAX: usize = 48;

/// Most schemas of a function, references followed. A contract that is loaded has fewer parts.
const VALUES_MAX: usize = 20_000;

/// Most bytes of the other keywords of a function, references followed: a text or a list of values is copied each time that
/// something refers to it.
const BYTES_MAX: usize = 4 << 20;

/// Keywords whose value is one schema.
const ONE: [&str; 10] = [
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Keywords whose value is a list of schemas.
const LISTS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];

/// Keywords whose value is a table of schemas.
const TABLES: [&str; 3] = ["dependentSchemas", "patternProperties", "properties"];

/// References that lead to another schema with each schema that leads to them.
const DYNAMIC: [&str; 2] = ["$dynamicRef", "$recursiveRef"];

/// Keywords whose numbers decide which values are accepted.
const NUMBERS: [&str; 7] =
    ["const", "enum", "exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"];

/// Keywords that say nothing about values, or only where a schema is.
const SILENT: [&str; 19] = [
    "$anchor",
    "$comment",
    "$defs",
    "$dynamicAnchor",
    "$id",
    "$schema",
    "definitions",
    "discriminator",
    "example",
    "externalDocs",
    "format_type",
    "id",
    "optional",
    "readOnly",
    "strict",
    "style",
    "writeOnly",
    "x-go-name",
    "xml",
];

/// Reads the schemas of one document.
pub(crate) struct Resolver<'d> {
    /// What references count from.
    root: &'d Value,
    /// Its place, for errors.
    root_at: &'d str,
    left: usize,
    bytes_left: usize,
    /// The references that are being followed.
    following: Vec<String>,
}

impl<'d> Resolver<'d> {
    pub(crate) fn new(root: &'d Value, root_at: &'d str) -> Resolver<'d> {
        Resolver { root, root_at, left: VALUES_MAX, bytes_left: BYTES_MAX, following: Vec::new() }
    }

    /// The schema at a place, for errors: `at` is a JSON pointer, `place` that in the contract.
    pub(crate) fn schema(
        &mut self,
        schema: &Value,
        at: &str,
        place: &str,
        notes: &mut Notes,
    ) -> Result<Value, ImportError> {
        let mut walk = Walk { resolver: self, place, notes };
        walk.schema(schema, at, 0)
    }
}

/// About the memory that a value takes.
fn bytes(value: &Value) -> usize {
    const NODE: usize = 32;
    NODE + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(bytes).sum(),
        Value::Object(members) => members.iter().map(|(key, value)| NODE + key.len() + bytes(value)).sum(),
    }
}

struct Walk<'w, 'd> {
    resolver: &'w mut Resolver<'d>,
    place: &'w str,
    notes: &'w mut Notes,
}

impl Walk<'_, '_> {
    fn schema(&mut self, schema: &Value, at: &str, depth: usize) -> Result<Value, ImportError> {
        let left = self.resolver.left.checked_sub(1);
        self.resolver.left = left.ok_or_else(|| ImportError::at(at, "its schemas are too large"))?;
        if depth > DEPTH_MAX {
            return Err(ImportError::at(at, format!("nested deeper than {DEPTH_MAX}")));
        }
        match schema {
            Value::Bool(true) => Ok(json!({})),
            Value::Bool(false) => Ok(json!({"not": {}})),
            Value::Object(keywords) => match keywords.get("$ref") {
                Some(Value::String(reference)) => self.referred(reference, keywords, at, depth),
                Some(_) => Err(ImportError::at(at, "`$ref` is not a text")),
                None => self.keywords(keywords, at, depth),
            },
            _ => Err(ImportError::at(at, "a schema is an object")),
        }
    }

    /// The target of a reference, with the keywords that stand beside it.
    fn referred(
        &mut self,
        reference: &str,
        beside: &Map<String, Value>,
        at: &str,
        depth: usize,
    ) -> Result<Value, ImportError> {
        let wrong = |what: &str| ImportError::at(format!("{at}/$ref"), format!("`{reference}` {what}"));
        let pointer = reference.strip_prefix('#').ok_or_else(|| wrong(OUT))?;
        let target = self.resolver.root.pointer(pointer).ok_or_else(|| wrong("leads nowhere"))?;
        if self.resolver.following.iter().any(|one| one == reference) {
            self.notes.loosened(
                self.place,
                format!("`{reference}` refers to itself: from the second level on any JSON is accepted"),
            );
            return Ok(json!({}));
        }
        self.resolver.following.push(reference.to_owned());
        let target_at = format!("{}{pointer}", self.resolver.root_at);
        let made = self.schema(target, &target_at, depth + 1);
        self.resolver.following.pop();
        let mut made = made?;
        let mut beside = beside.clone();
        beside.remove("$ref");
        let is_deprecated = beside.remove("deprecated") == Some(Value::Bool(true));
        let nullable = beside.remove("nullable");
        if let (Value::Object(made), Value::Object(more)) = (&mut made, self.keywords(&beside, at, depth)?) {
            join::beside(made, more);
            let name = reference.rsplit('/').next().unwrap_or_default();
            made.entry("title").or_insert_with(|| json!(name));
            if is_deprecated {
                deprecate(made);
            }
            // It is about the target, too.
            made.extend(nullable.map(|nullable| ("nullable".to_owned(), nullable)));
            older::spelling(made);
        }
        Ok(made)
    }

    fn keywords(
        &mut self,
        keywords: &Map<String, Value>,
        at: &str,
        depth: usize,
    ) -> Result<Value, ImportError> {
        let mut made = Map::new();
        for (keyword, value) in keywords {
            let at = format!("{at}/{}", keyword.replace('~', "~0").replace('/', "~1"));
            let value = match (keyword.as_str(), value) {
                (name, _) if SILENT.contains(&name) || name.starts_with("x-") => continue,
                ("deprecated", _) => continue,
                // Draft 4: `required` beside a property, and not a list of names.
                ("required", Value::Bool(_)) => continue,
                (name, Value::Object(_) | Value::Bool(_)) if ONE.contains(&name) => {
                    self.schema(value, &at, depth + 1)?
                }
                (name, _) if DYNAMIC.contains(&name) => {
                    self.notes.loosened(self.place, format!("`{name}` is left out: only `$ref` is followed"));
                    continue;
                }
                // Before 2020-12 a tuple was a list of schemas here, and beside it the schema of further items.
                ("items", Value::Array(items)) => {
                    made.insert("prefixItems".into(), self.list(items, &at, depth)?);
                    continue;
                }
                ("additionalItems", Value::Object(_) | Value::Bool(_)) => {
                    if keywords.get("items").is_some_and(Value::is_array) {
                        made.insert("items".into(), self.schema(value, &at, depth + 1)?);
                    }
                    continue;
                }
                ("dependencies", Value::Object(table)) => {
                    self.dependencies(table, &mut made, &at, depth)?;
                    continue;
                }
                (name, Value::Array(items)) if LISTS.contains(&name) => self.list(items, &at, depth)?,
                (name, Value::Object(table)) if TABLES.contains(&name) => self.table(table, &at, depth)?,
                (name, _) if ONE.contains(&name) || LISTS.contains(&name) || TABLES.contains(&name) => {
                    return Err(ImportError::at(at, "not a schema"));
                }
                (name, _) => {
                    self.rounded(name, value);
                    self.copied(value, &at)?
                }
            };
            made.insert(keyword.clone(), value);
        }
        self.types(&mut made, at)?;
        join::join(&mut made);
        if keywords.get("deprecated") == Some(&Value::Bool(true)) {
            deprecate(&mut made);
        }
        older::spelling(&mut made);
        Ok(Value::Object(made))
    }

    /// `dependencies`, which are two keywords since 2019.
    fn dependencies(
        &mut self,
        table: &Map<String, Value>,
        made: &mut Map<String, Value>,
        at: &str,
        depth: usize,
    ) -> Result<(), ImportError> {
        let (names, schemas): (Map<String, Value>, Map<String, Value>) =
            table.clone().into_iter().partition(|(_, needed)| needed.is_array());
        let schemas = self.table(&schemas, at, depth)?;
        for (keyword, table) in [("dependentRequired", Value::Object(names)), ("dependentSchemas", schemas)] {
            if table.as_object().is_some_and(|table| !table.is_empty()) {
                made.insert(keyword.into(), table);
            }
        }
        Ok(())
    }

    /// Notes a number that decides which values are accepted, and is another one in the contract.
    fn rounded(&mut self, keyword: &str, value: &Value) {
        if !NUMBERS.contains(&keyword) {
            return;
        }
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            let was = self.notes.rounded.of(value).map(str::to_owned);
            let was = was.or_else(|| is_rounded_in_toml(value).then(|| value.to_string()));
            if let (Some(was), Some(is)) = (was, value.as_f64()) {
                let what = format!(
                    "`{keyword}`: `{was}` is {is:e} in the contract, whose integers have 64 bits with a sign"
                );
                self.notes.loosened(self.place, what);
            }
        }
    }

    /// The value of a keyword that is no schema.
    fn copied(&mut self, value: &Value, at: &str) -> Result<Value, ImportError> {
        let left = self.resolver.bytes_left.checked_sub(bytes(value));
        self.resolver.bytes_left =
            left.ok_or_else(|| ImportError::at(at, "its texts and values are too large"))?;
        Ok(value.clone())
    }

    fn list(&mut self, items: &[Value], at: &str, depth: usize) -> Result<Value, ImportError> {
        let items =
            items.iter().enumerate().map(|(n, item)| self.schema(item, &format!("{at}/{n}"), depth + 1));
        items.collect::<Result<Vec<_>, _>>().map(Value::Array)
    }

    fn table(&mut self, table: &Map<String, Value>, at: &str, depth: usize) -> Result<Value, ImportError> {
        let entries = table.iter().map(|(name, schema)| {
            let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            Ok((name.clone(), self.schema(schema, &at, depth + 1)?))
        });
        entries.collect::<Result<Map<_, _>, _>>().map(Value::Object)
    }

    /// The type in the words of JSON Schema.
    fn types(&mut self, made: &mut Map<String, Value>, at: &str) -> Result<(), ImportError> {
        let Some(written) = made.remove("type") else { return Ok(()) };
        let names: Vec<&str> = match &written {
            Value::String(name) => vec![name],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => return Err(ImportError::at(format!("{at}/type"), "not the name of a type")),
        };
        let known: Option<Vec<&str>> = names.iter().map(|name| alias(name)).collect();
        let Some(mut known) = known else {
            let names = names.join("`, `");
            return Err(ImportError::at(format!("{at}/type"), format!("`{names}` is no type of JSON")));
        };
        known.dedup();
        match known.as_slice() {
            // Any JSON.
            names if names.contains(&"") => {}
            [one] => drop(made.insert("type".into(), json!(one))),
            several => drop(made.insert("type".into(), json!(several))),
        }
        Ok(())
    }
}

/// A type of JSON Schema by its name there or in a programming language; empty for any JSON.
fn alias(name: &str) -> Option<&'static str> {
    Some(match name {
        "string" | "str" | "String" | "char" | "date" | "datetime" => "string",
        "integer" | "int" | "Integer" | "long" | "Long" | "short" | "byte" | "Bigint" | "BigInt"
        | "bigint" => "integer",
        "number" | "float" | "Float" | "double" | "Double" | "decimal" => "number",
        "boolean" | "bool" | "Boolean" => "boolean",
        "object" | "dict" | "Dict" | "HashMap" | "Hashtable" | "Map" | "Object" => "object",
        "array" | "Array" | "list" | "List" | "ArrayList" | "tuple" | "set" | "Set" | "Queue" | "Stack" => {
            "array"
        }
        "null" | "none" | "None" | "NoneType" => "null",
        "any" | "Any" | "" => "",
        _ => return None,
    })
}

/// Says in the description, which agents read, that a value is deprecated.
fn deprecate(made: &mut Map<String, Value>) {
    let text = deprecated(made.get("description").and_then(Value::as_str));
    made.insert("description".into(), json!(text));
}
