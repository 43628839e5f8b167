//! Tool definitions in the formats of model providers.
//!
//! Owns each provider's envelope and its subset of JSON Schema. An unsupported keyword moves into the description, and
//! the host keeps enforcing it. Must not know types or tools. To add a dialect: a variant, its name, its rules and its
//! envelope.

mod grammar;
mod limits;
mod subset;

use std::str::FromStr;

use serde_json::{Value, json};

pub use self::limits::{Exceeded, exceeded};
use self::subset::{Nulls, Optional, Rules, Tuples};
use super::schema::inline;

/// A provider's format of a tool definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI function calling.
    OpenAi,
    /// OpenAI function calling in strict mode: the model's output always matches the schema.
    OpenAiStrict,
    /// Anthropic tool use.
    Anthropic,
    /// Anthropic tool use in strict mode: the model's output always matches the schema.
    AnthropicStrict,
    /// Gemini with JSON Schema.
    Gemini,
    /// Gemini with its subset of OpenAPI.
    GeminiOpenApi,
    /// llama.cpp's server with tools in OpenAI's form, which it converts to a grammar for the model's output.
    LlamaCpp,
}

/// The name does not belong to a dialect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown dialect `{0}`: one of {names}", names = names())]
pub struct UnknownDialect(String);

impl Dialect {
    /// Every dialect, in the order of help texts.
    pub const ALL: [Dialect; 7] = [
        Dialect::OpenAi,
        Dialect::OpenAiStrict,
        Dialect::Anthropic,
        Dialect::AnthropicStrict,
        Dialect::Gemini,
        Dialect::GeminiOpenApi,
        Dialect::LlamaCpp,
    ];

    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Dialect::OpenAi => "openai",
            Dialect::OpenAiStrict => "openai-strict",
            Dialect::Anthropic => "anthropic",
            Dialect::AnthropicStrict => "anthropic-strict",
            Dialect::Gemini => "gemini",
            Dialect::GeminiOpenApi => "gemini-openapi",
            Dialect::LlamaCpp => "llama-cpp",
        }
    }

    /// Restrictions on schemas. `None` for a dialect that accepts every schema of this crate.
    fn rules(self) -> Option<Rules> {
        match self {
            Dialect::OpenAi | Dialect::Anthropic => None,
            Dialect::OpenAiStrict => Some(OPENAI_STRICT),
            Dialect::AnthropicStrict => Some(ANTHROPIC_STRICT),
            Dialect::Gemini => Some(GEMINI),
            Dialect::GeminiOpenApi => Some(GEMINI_OPENAPI),
            Dialect::LlamaCpp => Some(LLAMA_CPP),
        }
    }
}

fn names() -> String {
    Dialect::ALL.map(Dialect::as_str).join(", ")
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(name: &str) -> Result<Dialect, UnknownDialect> {
        let named = |dialect: &Dialect| dialect.as_str() == name;
        Dialect::ALL.into_iter().find(named).ok_or_else(|| UnknownDialect(name.to_owned()))
    }
}

/// Converts a tool to a provider's format. `input_schema` comes from [`super::schema::input`].
pub fn definition(dialect: Dialect, name: &str, description: &str, input_schema: &Value) -> Value {
    let schema = parameters(dialect, input_schema);
    match dialect {
        Dialect::OpenAi => openai(json!({
            "name": name, "description": description, "parameters": schema, "strict": false,
        })),
        Dialect::OpenAiStrict => openai(json!({
            "name": name, "description": description, "parameters": schema, "strict": true,
        })),
        Dialect::LlamaCpp => openai(json!({"name": name, "description": description, "parameters": schema})),
        Dialect::Anthropic => json!({"name": name, "description": description, "input_schema": schema}),
        Dialect::AnthropicStrict => {
            json!({"name": name, "description": description, "input_schema": schema, "strict": true})
        }
        Dialect::Gemini => gemini(name, description, "parametersJsonSchema", schema),
        Dialect::GeminiOpenApi => gemini(name, description, "parameters", schema),
    }
}

/// The schema of a tool's arguments in the subset of a dialect.
fn parameters(dialect: Dialect, input_schema: &Value) -> Value {
    let mut schema = input_schema.clone();
    if let Some(rules) = dialect.rules() {
        // Before the rules, so that they rewrite the keywords of a definition where it is used.
        if !rules.references {
            inline(&mut schema);
        }
        rules.apply_to_root(&mut schema);
    }
    schema
}

fn openai(function: Value) -> Value {
    json!({"type": "function", "function": function})
}

/// Gemini refuses an object without properties ("should be non-empty for OBJECT type"). A tool without arguments has no
/// schema there.
fn gemini(name: &str, description: &str, key: &str, schema: Value) -> Value {
    let mut function = json!({"name": name, "description": description});
    if schema["properties"].as_object().is_some_and(|properties| !properties.is_empty()) {
        function[key] = schema;
    }
    function
}

/// The formats that strict modes accept. Anthropic's also accepts `uri`.
const FORMATS: [&str; 9] =
    ["date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"];
const FORMATS_AND_URI: [&str; 10] =
    ["date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid", "uri"];

/// Keeps tuples as `prefixItems`, and requires every property: optional ones become nullable.
const OPENAI_STRICT: Rules = Rules {
    references: true,
    keep: &[
        "additionalProperties",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "multipleOf",
        "pattern",
    ],
    formats: &FORMATS,
    most_items: u64::MAX,
    any_enum: true,
    tuples: Tuples::Prefix,
    nulls: Nulls::Branch,
    optional: Optional::Nullable,
    closed: true,
    grammar: false,
};

/// Accepts `minItems` of 0 and 1 only.
const ANTHROPIC_STRICT: Rules = Rules {
    references: true,
    keep: &["additionalProperties", "minItems"],
    formats: &FORMATS_AND_URI,
    most_items: 1,
    any_enum: true,
    tuples: Tuples::List,
    nulls: Nulls::Branch,
    optional: Optional::Absent,
    closed: true,
    grammar: false,
};

/// Accepts no `format`.
const GEMINI: Rules = Rules {
    references: true,
    keep: &["additionalProperties", "maxItems", "maximum", "minItems", "minimum"],
    formats: &[],
    most_items: u64::MAX,
    any_enum: true,
    tuples: Tuples::List,
    nulls: Nulls::Branch,
    optional: Optional::Absent,
    closed: false,
    grammar: false,
};

/// No references and no null type: `nullable` takes its place, as in OpenAPI 3.0.
const GEMINI_OPENAPI: Rules = Rules {
    references: false,
    keep: &["maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum"],
    formats: &[],
    most_items: u64::MAX,
    any_enum: false,
    tuples: Tuples::List,
    nulls: Nulls::Keyword,
    optional: Optional::Absent,
    closed: false,
    grammar: false,
};

/// The keywords that llama.cpp writes into grammars (its `common/json-schema-to-grammar.cpp`). It ignores others.
const LLAMA_CPP: Rules = Rules {
    references: true,
    keep: &[
        "additionalProperties",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "pattern",
    ],
    formats: &["date", "date-time", "time", "uuid"],
    most_items: u64::MAX,
    any_enum: true,
    tuples: Tuples::Prefix,
    nulls: Nulls::Branch,
    optional: Optional::Absent,
    closed: false,
    grammar: true,
};

#[cfg(test)]
mod tests;
