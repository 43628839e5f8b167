//! OpenAPI 3: each operation is a function, whose arguments are its parameters and its body.

mod server;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Document, Form, OUT, Published, Request, Root, Rounded, deprecated, text};
use crate::{ImportError, Notes};
pub(crate) use server::Server;

/// The methods, with the effect class that HTTP gives them.
const METHODS: [(&str, &str); 7] = [
    ("delete", "idempotent"),
    ("get", "read"),
    ("head", "read"),
    ("options", "read"),
    ("patch", "write"),
    ("post", "write"),
    ("put", "idempotent"),
];

/// Headers that OpenAPI describes elsewhere, so that a parameter of this name has no effect.
const HEADERS_ELSEWHERE: [&str; 3] = ["accept", "authorization", "content-type"];

/// The name of the argument that is a body, the first that no parameter has.
const BODY_NAMES: [&str; 3] = ["body", "request_body", "http_body"];

pub(super) fn read(value: Value) -> Result<Document, ImportError> {
    let version = text(&value, "openapi").unwrap_or_default();
    if !version.starts_with("3.") {
        return Err(ImportError::at("/openapi", "only OpenAPI 3 is read; convert Swagger 2 first"));
    }
    let document = Arc::new(value);
    let paths = document.get("paths").and_then(Value::as_object);
    let paths = paths.ok_or_else(|| ImportError::at("/paths", "it has no `paths`"))?;
    let mut functions = Vec::new();
    for (path, item) in paths {
        let (item, item_at) = followed(&document, item, format!("/paths/{}", escaped(path)))?;
        for (method, effects) in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let at = format!("{item_at}/{method}");
            let operation = Operation { document: &document, item, item_at: &item_at, operation, at };
            functions.push(operation.published(method, path, effects)?);
        }
    }
    if functions.is_empty() {
        return Err(ImportError::at("/paths", "no path has an operation, so that nothing is made of it"));
    }
    let (server, said) = Server::of(&document);
    Ok(Document { form: Form::OpenApi, functions, server, said, rounded: Rounded::default() })
}

struct Operation<'o> {
    document: &'o Arc<Value>,
    item: &'o Value,
    item_at: &'o str,
    operation: &'o Value,
    at: String,
}

/// A parameter, with its place in the document.
struct Parameter<'o> {
    value: &'o Value,
    at: String,
    name: String,
    /// Where a request has it: `query`, `path`, `header` or `cookie`.
    within: String,
}

/// The arguments of a function, and where their schemas are.
#[derive(Default)]
struct Arguments {
    properties: Map<String, Value>,
    required: Vec<String>,
    places: BTreeMap<String, String>,
}

impl Arguments {
    fn add(&mut self, name: String, schema: Value, at: String, is_required: bool) {
        self.required.extend(is_required.then(|| name.clone()));
        self.places.insert(name.clone(), at);
        self.properties.insert(name, schema);
    }
}

impl<'o> Operation<'o> {
    fn published(&self, method: &str, path: &str, effects: &'static str) -> Result<Published, ImportError> {
        let name = text(self.operation, "operationId").unwrap_or_else(|| format!("{method} {path}"));
        let description = text(self.operation, "description").or_else(|| text(self.operation, "summary"));
        let is_deprecated = is_true(self.operation, "deprecated");
        let mut notes = Notes { function: name.clone(), ..Notes::default() };
        if self.item.get("servers").or_else(|| self.operation.get("servers")).is_some() {
            notes.note("", "it has `servers` of its own, for which no request is made");
        }
        let mut arguments = Arguments::default();
        self.parameters()?.into_iter().for_each(|parameter| argument(parameter, &mut arguments, &mut notes));
        let body = self.body(&mut arguments)?;
        let Arguments { properties, required, places } = arguments;
        let (result, result_at) = self.result()?.unzip();
        Ok(Published {
            name,
            title: text(self.operation, "summary"),
            description: if is_deprecated { Some(deprecated(description.as_deref())) } else { description },
            parameters: json!({"type": "object", "properties": properties, "required": required}),
            body,
            places,
            result,
            result_at: result_at.unwrap_or_default(),
            root: Root::Document(Arc::clone(self.document)),
            effects: Some(effects),
            request: Some(Request { method: method.to_uppercase(), path: path.to_owned() }),
            at: self.at.clone(),
            parameters_at: self.at.clone(),
            notes,
        })
    }

    /// All parameters. Those of the operation replace those of the path.
    fn parameters(&self) -> Result<Vec<Parameter<'o>>, ImportError> {
        let mut made: Vec<Parameter<'o>> = Vec::new();
        for (at, owner) in [(self.item_at, self.item), (&self.at, self.operation)] {
            let parameters = owner.get("parameters").and_then(Value::as_array).into_iter().flatten();
            for (n, parameter) in parameters.enumerate() {
                let (value, at) = followed(self.document, parameter, format!("{at}/parameters/{n}"))?;
                let name =
                    text(value, "name").ok_or_else(|| ImportError::at(&at, "a parameter has no `name`"))?;
                let within = text(value, "in").unwrap_or_default();
                made.retain(|other| other.name != name || other.within != within);
                made.push(Parameter { value, at, name, within });
            }
        }
        Ok(made)
    }

    /// Adds the body as one argument, and returns the argument's name.
    fn body(&self, arguments: &mut Arguments) -> Result<Option<String>, ImportError> {
        let Some(body) = self.operation.get("requestBody") else { return Ok(None) };
        let (body, at) = followed(self.document, body, format!("{}/requestBody", self.at))?;
        let (schema, at) = content(body, &at).unwrap_or_else(|| (json!({}), at));
        let (schema, at) = self.target(schema, at)?;
        let is_free = |name: &&str| !arguments.properties.contains_key(*name);
        let Some(name) = BODY_NAMES.into_iter().find(is_free) else {
            return Err(ImportError::at(at, "parameters have all names that a body could have"));
        };
        arguments.add(name.to_owned(), described(body, schema), at, is_true(body, "required"));
        Ok(Some(name.to_owned()))
    }

    /// What a schema that is a reference alone leads to, under the name of its target: the fields of a body stand beside the
    /// parameters, and do not count as a level of a schema that refers to itself.
    fn target(&self, schema: Value, at: String) -> Result<(Value, String), ImportError> {
        let name = schema
            .as_object()
            .filter(|keywords| keywords.len() == 1)
            .and_then(|keywords| keywords.get("$ref"));
        let Some(name) = name.and_then(Value::as_str).and_then(|reference| reference.rsplit('/').next())
        else {
            return Ok((schema, at));
        };
        let (target, at) = followed(self.document, &schema, at)?;
        let mut target = target.clone();
        if let Value::Object(keywords) = &mut target {
            keywords.entry("title").or_insert_with(|| json!(name));
        }
        Ok((target, at))
    }

    /// The schema of the JSON of the first answer that is a success, and its place.
    fn result(&self) -> Result<Option<(Value, String)>, ImportError> {
        let answers = self.operation.get("responses").and_then(Value::as_object);
        let success = answers.into_iter().flatten().find(|(status, _)| status.starts_with('2'));
        let Some((status, answer)) = success else { return Ok(None) };
        let (answer, at) =
            followed(self.document, answer, format!("{}/responses/{}", self.at, escaped(status)))?;
        let is_json = answer.get("content").and_then(Value::as_object);
        let is_json = is_json.is_some_and(|types| types.keys().any(|name| name.contains("json")));
        Ok(content(answer, &at).filter(|_| is_json))
    }
}

/// Adds a parameter to the arguments, or says why it is none.
fn argument(parameter: Parameter<'_>, arguments: &mut Arguments, notes: &mut Notes) {
    let Parameter { value, at, name, within } = parameter;
    let is_required = is_true(value, "required");
    let shown = name.escape_debug();
    if within == "cookie" {
        let what = format!("the cookie `{shown}` is left out: the tool has to send it");
        return if is_required { notes.loosened("", what) } else { notes.note("", what) };
    }
    if within == "header" && HEADERS_ELSEWHERE.contains(&&*name.to_ascii_lowercase()) {
        return notes
            .note("", format!("the header `{shown}` is left out: OpenAPI ignores it as a parameter"));
    }
    let key =
        if arguments.properties.contains_key(&name) { format!("{within}_{name}") } else { name.clone() };
    if key != name {
        notes.note("", format!("`{shown}` is there twice: that of the {within} is `{}`", key.escape_debug()));
    }
    let (schema, at) = content(value, &at).unwrap_or_else(|| (json!({}), at));
    arguments.add(key, described(value, schema), at, is_required);
}

/// The schema of a parameter, a body or an answer, and its place: its own, or that of its JSON.
fn content(owner: &Value, at: &str) -> Option<(Value, String)> {
    if let Some(schema) = owner.get("schema") {
        return Some((schema.clone(), format!("{at}/schema")));
    }
    let types = owner.get("content")?.as_object()?;
    let json = types.iter().find(|(name, _)| name.contains("json"));
    let (name, media) = json.or_else(|| types.iter().next())?;
    Some((media.get("schema")?.clone(), format!("{at}/content/{}/schema", escaped(name))))
}

/// A schema with what its owner says of it: a description, unless it has one, and that it is deprecated.
fn described(owner: &Value, mut schema: Value) -> Value {
    let Value::Object(keywords) = &mut schema else { return schema };
    if let Some(text) = text(owner, "description") {
        keywords.entry("description").or_insert_with(|| json!(text));
    }
    if is_true(owner, "deprecated") {
        keywords.insert("deprecated".into(), true.into());
    }
    schema
}

fn is_true(owner: &Value, key: &str) -> bool {
    owner.get(key) == Some(&Value::Bool(true))
}

/// A key as a part of a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// What a reference leads to, through others, and its place; the value itself, if it is none.
fn followed<'v>(
    document: &'v Value,
    mut value: &'v Value,
    mut at: String,
) -> Result<(&'v Value, String), ImportError> {
    for _ in 0..8 {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return Ok((value, at)) };
        let target =
            reference.strip_prefix('#').and_then(|pointer| Some((document.pointer(pointer)?, pointer)));
        let wrong = || {
            let what = if reference.starts_with('#') { "leads nowhere in the document" } else { OUT };
            ImportError::at(format!("{at}/$ref"), format!("`{reference}` {what}"))
        };
        let (target, pointer) = target.ok_or_else(wrong)?;
        (value, at) = (target, pointer.to_owned());
    }
    Err(ImportError::at(at, "references lead to references, more than eight in a chain"))
}
