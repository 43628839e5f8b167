//! Tool definitions in the forms of model providers.
//!
//! Owns each provider's envelope and the subset of JSON Schema that it takes; a keyword that it does not
//! take moves into the description, and the host goes on enforcing it. Must not know types or tools. To add
//! one: a variant, its name, its rules and its envelope.

mod subset;

use std::str::FromStr;

use serde_json::{Value, json};

use self::subset::{Nulls, Rules, Tuples};
use super::schema::inline;

/// Whose form a definition has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI, function calling.
    OpenAi,
    /// OpenAI, with arguments that are guaranteed to fit.
    OpenAiStrict,
    /// Anthropic, tool use.
    Anthropic,
    /// Anthropic, with arguments that are guaranteed to fit.
    AnthropicStrict,
    /// Gemini, by JSON Schema.
    Gemini,
    /// Gemini, by its subset of OpenAPI.
    GeminiOpenApi,
}

/// There is no dialect of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown dialect `{0}`: one of {names}", names = names())]
pub struct UnknownDialect(String);

impl Dialect {
    /// Every dialect.
    pub const ALL: [Dialect; 6] = [
        Dialect::OpenAi,
        Dialect::OpenAiStrict,
        Dialect::Anthropic,
        Dialect::AnthropicStrict,
        Dialect::Gemini,
        Dialect::GeminiOpenApi,
    ];

    /// The name as the command line has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Dialect::OpenAi => "openai",
            Dialect::OpenAiStrict => "openai-strict",
            Dialect::Anthropic => "anthropic",
            Dialect::AnthropicStrict => "anthropic-strict",
            Dialect::Gemini => "gemini",
            Dialect::GeminiOpenApi => "gemini-openapi",
        }
    }

    /// What the provider takes of a schema; nothing is said where it takes all that we write.
    fn rules(self) -> Option<Rules> {
        match self {
            Dialect::OpenAi | Dialect::Anthropic => None,
            Dialect::OpenAiStrict => Some(OPENAI_STRICT),
            Dialect::AnthropicStrict => Some(ANTHROPIC_STRICT),
            Dialect::Gemini => Some(GEMINI),
            Dialect::GeminiOpenApi => Some(GEMINI_OPENAPI),
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

/// A tool's definition as a provider takes it, from the schema that [`super::schema::input`] makes.
pub fn definition(dialect: Dialect, name: &str, description: &str, input_schema: &Value) -> Value {
    let mut schema = input_schema.clone();
    if let Some(rules) = dialect.rules() {
        if !rules.references {
            inline(&mut schema);
        }
        rules.apply(&mut schema);
    }
    match dialect {
        Dialect::OpenAi => openai(name, description, schema, false),
        Dialect::OpenAiStrict => openai(name, description, schema, true),
        Dialect::Anthropic => json!({"name": name, "description": description, "input_schema": schema}),
        Dialect::AnthropicStrict => {
            json!({"name": name, "description": description, "input_schema": schema, "strict": true})
        }
        Dialect::Gemini => {
            json!({"name": name, "description": description, "parametersJsonSchema": schema})
        }
        Dialect::GeminiOpenApi => json!({"name": name, "description": description, "parameters": schema}),
    }
}

fn openai(name: &str, description: &str, parameters: Value, strict: bool) -> Value {
    let function =
        json!({"name": name, "description": description, "parameters": parameters, "strict": strict});
    json!({"type": "function", "function": function})
}

/// The formats that strict modes take; Anthropic's takes `uri` as well.
const FORMATS: [&str; 9] =
    ["date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"];
const FORMATS_AND_URI: [&str; 10] =
    ["date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid", "uri"];

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
    require_all: true,
};

const ANTHROPIC_STRICT: Rules = Rules {
    references: true,
    keep: &["additionalProperties", "minItems"],
    formats: &FORMATS_AND_URI,
    most_items: 1,
    any_enum: true,
    tuples: Tuples::List,
    nulls: Nulls::Branch,
    require_all: false,
};

const GEMINI: Rules = Rules {
    references: true,
    keep: &["additionalProperties", "maxItems", "maximum", "minItems", "minimum"],
    formats: &[],
    most_items: u64::MAX,
    any_enum: true,
    tuples: Tuples::List,
    nulls: Nulls::Branch,
    require_all: false,
};

const GEMINI_OPENAPI: Rules = Rules {
    references: false,
    keep: &["maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum"],
    formats: &[],
    most_items: u64::MAX,
    any_enum: false,
    tuples: Tuples::List,
    nulls: Nulls::Keyword,
    require_all: false,
};

#[cfg(test)]
mod tests;
