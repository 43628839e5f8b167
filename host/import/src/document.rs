//! Documents: which form one has, and the functions in it.
//!
//! Owns the bounds on a document. Must not know types of WIT.

mod functions;
mod json;
mod openapi;
mod rounded;
mod yaml;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::{ImportError, Notes};
pub(crate) use openapi::Server;
pub(crate) use rounded::{Rounded, is_rounded_in_toml};

/// Size in bytes of the largest document.
pub const DOCUMENT_BYTES_MAX: usize = 16 << 20;

/// Number of functions in the largest document: as many as a component may export.
pub const FUNCTIONS_MAX: usize = 1_000;

/// Characters of the longest name of a function.
const NAME_CHARS_MAX: usize = 200;

/// A form of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON Schema functions, as providers of models take them: `parameters` (OpenAI) or `input_schema` (Anthropic).
    Functions,
    /// The answer to `tools/list` of MCP.
    Mcp,
    /// OpenAPI 3.
    OpenApi,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Form::Functions => "JSON Schema functions",
            Form::Mcp => "MCP tools",
            Form::OpenApi => "OpenAPI operations",
        })
    }
}

/// A document with its functions.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) form: Form,
    pub(crate) functions: Vec<Published>,
    /// Where an HTTP service is.
    pub(crate) server: Option<Server>,
    /// What is not as in the document, of no function alone.
    pub(crate) said: Vec<String>,
    /// The integers that are not read as they are written.
    pub(crate) rounded: Rounded,
}

/// A function as it was published.
#[derive(Debug)]
pub(crate) struct Published {
    /// Its place in the document, as a JSON pointer.
    pub(crate) at: String,
    /// The place of the schema of its arguments.
    pub(crate) parameters_at: String,
    pub(crate) name: String,
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    /// The schema of its arguments, an object.
    pub(crate) parameters: Value,
    /// The argument that is the body of a request. If it is an object, its fields become arguments in its place.
    pub(crate) body: Option<String>,
    /// Where the schemas of arguments are that do not stand below `parameters_at`.
    pub(crate) places: BTreeMap<String, String>,
    /// The schema of its result.
    pub(crate) result: Option<Value>,
    /// The place of that schema.
    pub(crate) result_at: String,
    /// What references in both count from.
    pub(crate) root: Root,
    /// Its effect class.
    pub(crate) effects: Option<&'static str>,
    /// The request that it stands for.
    pub(crate) request: Option<Request>,
    /// What was noted while it was read.
    pub(crate) notes: Notes,
}

/// What references count from.
#[derive(Debug)]
pub(crate) enum Root {
    /// Each schema is a document of its own.
    Schema,
    Document(std::sync::Arc<Value>),
}

/// A request of an HTTP service.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
}

/// What is wrong with a reference to another file.
pub(crate) const OUT: &str = "leads out of the document: bundle the files into one first";

impl Document {
    /// Reads a document of any form.
    ///
    /// # Errors
    /// When it is too large, not JSON, or of no known form.
    pub(crate) fn read(text: &str) -> Result<Document, ImportError> {
        if text.len() > DOCUMENT_BYTES_MAX {
            return Err(ImportError::Size(text.len()));
        }
        let (value, rounded) = parsed(text)?;
        let mut document = if value.get("openapi").is_some() || value.get("swagger").is_some() {
            openapi::read(value)?
        } else {
            functions::read(&value)?
        };
        document.rounded = rounded;
        match document.functions.len() {
            0 => Err(ImportError::at("", "it has no functions")),
            count if count > FUNCTIONS_MAX => Err(ImportError::at(
                "",
                format!("it has {count} functions; at most {FUNCTIONS_MAX} make a component"),
            )),
            _ => document.named(),
        }
    }

    /// Keeps these functions alone; all, if none is named.
    pub(crate) fn keep(&mut self, only: &[String]) -> Result<(), ImportError> {
        let unknown = only.iter().find(|name| self.functions.iter().all(|one| one.name != **name));
        if let Some(name) = unknown {
            return Err(ImportError::Unknown(name.clone()));
        }
        self.functions.retain(|one| only.is_empty() || only.contains(&one.name));
        Ok(())
    }

    fn named(self) -> Result<Document, ImportError> {
        let mut seen = std::collections::BTreeSet::new();
        for one in &self.functions {
            let chars = one.name.chars().count();
            if chars == 0 || chars > NAME_CHARS_MAX || one.name.chars().any(char::is_control) {
                return Err(ImportError::at(
                    &one.at,
                    format!("its name has 1 to {NAME_CHARS_MAX} characters, and no control characters"),
                ));
            }
            if !seen.insert(&one.name) {
                return Err(ImportError::at(&one.at, format!("`{}` is there twice", one.name)));
            }
        }
        Ok(self)
    }
}

/// JSON, one value or one a line; YAML, if it begins like neither a list nor an object of JSON.
fn parsed(text: &str) -> Result<(Value, Rounded), ImportError> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with(['{', '[']) { json::read(text) } else { yaml::read(text) }
}

/// The description of something deprecated.
pub(crate) fn deprecated(description: Option<&str>) -> String {
    match description {
        Some(text) if text.starts_with("Deprecated") => text.to_owned(),
        Some(text) => format!("Deprecated. {text}"),
        None => "Deprecated.".to_owned(),
    }
}

/// A text of an object, if it is one and not empty.
fn text(object: &Value, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).map(str::to_owned).filter(|text| !text.trim().is_empty())
}
