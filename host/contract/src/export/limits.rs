//! The limits that providers publish for the tools of one request.
//!
//! Owns the limits and what counts towards them. A limit without a published number is not here: Gemini refuses very
//! large schemas, and Anthropic very large grammars, without saying from which size on. Names of tools fit every
//! provider by the registry's rule, but for a digit in front.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::{Dialect, parameters};
use crate::schema::{children_mut, take};

/// Names of tools in one message. More would hide what to do about it.
const NAMED: usize = 5;

/// A limit that the exported tools exceed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    dialect: Dialect,
    limit: &'static Limit,
    found: u64,
    /// The tools that count, the largest first, each with its share.
    tools: Vec<(String, u64)>,
}

/// One limit of a provider.
#[derive(Debug, PartialEq, Eq)]
struct Limit {
    /// Plural, after a number: "optional parameters".
    what: &'static str,
    most: u64,
    /// Whether the tools of one request share the limit.
    shared: bool,
    mend: &'static str,
    count: Count,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    Tools,
    Properties,
    Levels,
    EnumValues,
    /// Characters of the longest enum that has more than [`LONG_ENUM`] values.
    LongEnum,
    Text,
    Optional,
    Unions,
    DigitInFront,
}

/// OpenAI's API reference, `tools` of "Create chat completion": at most 128 functions.
const OPENAI: [Limit; 1] = [Limit {
    what: "tools",
    most: 128,
    shared: true,
    mend: "export fewer tools: name those that the model needs",
    count: Count::Tools,
}];

/// OpenAI's guide "Structured model outputs", section "Supported schemas". The page does not say whether a list is a
/// level of nesting. Here it is one, so that a provider refuses no schema that passed.
const OPENAI_STRICT: [Limit; 6] = [
    Limit { most: 128, ..OPENAI[0] },
    Limit {
        what: "properties",
        most: 5000,
        shared: false,
        mend: "split the tool, or export it with `--for openai`",
        count: Count::Properties,
    },
    Limit {
        what: "levels of nesting",
        most: 10,
        shared: false,
        mend: "flatten its records and lists, or export it with `--for openai`",
        count: Count::Levels,
    },
    Limit {
        what: "enum values",
        most: 1000,
        shared: false,
        mend: "take a string in place of the largest enum, or export the tool with `--for openai`",
        count: Count::EnumValues,
    },
    Limit {
        what: "characters in an enum with more than 250 values",
        most: 15_000,
        shared: false,
        mend: "shorten or split the enum, or export the tool with `--for openai`",
        count: Count::LongEnum,
    },
    Limit {
        what: "characters in names and enum values",
        most: 120_000,
        shared: false,
        mend: "split the tool, or export it with `--for openai`",
        count: Count::Text,
    },
];

/// Values of an enum from which on OpenAI limits their text.
const LONG_ENUM: usize = 250;

/// Anthropic's documentation "Structured outputs", section "Schema complexity limits". They hold for all strict tools of
/// one request together.
const ANTHROPIC_STRICT: [Limit; 3] = [
    Limit {
        what: "strict tools",
        most: 20,
        shared: true,
        mend: "name the tools to export, and export the others with `--for anthropic`",
        count: Count::Tools,
    },
    Limit {
        what: "optional parameters",
        most: 24,
        shared: true,
        mend: "name the tools to export, and export the others with `--for anthropic`, or require more parameters",
        count: Count::Optional,
    },
    Limit {
        what: "parameters with union types",
        most: 16,
        shared: true,
        mend: "name the tools to export, and export the others with `--for anthropic`; variants, bytes and 64-bit \
               integers are unions",
        count: Count::Unions,
    },
];

/// Gemini's reference, `name` of `FunctionDeclaration`: a letter or an underscore comes first.
const GEMINI: [Limit; 1] = [Limit {
    what: "digit in front of its name",
    most: 0,
    shared: false,
    mend: "rename the tool in the registry",
    count: Count::DigitInFront,
}];

impl Dialect {
    /// llama.cpp publishes none but the bound of repetitions, within which every exported schema is.
    fn limits(self) -> &'static [Limit] {
        match self {
            Dialect::OpenAi => &OPENAI,
            Dialect::OpenAiStrict => &OPENAI_STRICT,
            Dialect::AnthropicStrict => &ANTHROPIC_STRICT,
            Dialect::Gemini | Dialect::GeminiOpenApi => &GEMINI,
            Dialect::Anthropic | Dialect::LlamaCpp => &[],
        }
    }
}

/// The published limits that tools exceed when they are exported together. Each tool is its name and its input schema.
pub fn exceeded<'t>(dialect: Dialect, tools: impl Iterator<Item = (&'t str, &'t Value)>) -> Vec<Exceeded> {
    let sizes: Vec<(&str, Size)> =
        tools.map(|(name, schema)| (name, Size::of(name, parameters(dialect, schema)))).collect();
    dialect.limits().iter().flat_map(|limit| over(dialect, limit, &sizes)).collect()
}

/// A shared limit is exceeded once by all tools, another one by each tool for itself.
fn over(dialect: Dialect, limit: &'static Limit, sizes: &[(&str, Size)]) -> Vec<Exceeded> {
    let mut tools: Vec<_> =
        sizes.iter().map(|(name, size)| ((*name).to_owned(), size.get(limit.count))).collect();
    tools.retain(|(_, found)| *found > 0);
    // Stable, so that equal shares keep the order of the registry.
    tools.sort_by_key(|(_, found)| std::cmp::Reverse(*found));
    if limit.shared {
        let found = tools.iter().map(|(_, found)| found).sum();
        return (found > limit.most)
            .then_some(Exceeded { dialect, limit, found, tools })
            .into_iter()
            .collect();
    }
    let each = tools.into_iter().filter(|(_, found)| *found > limit.most);
    each.map(|tool| Exceeded { dialect, limit, found: tool.1, tools: vec![tool] }).collect()
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Exceeded { dialect, limit, found, tools } = self;
        let Limit { what, most, .. } = limit;
        let dialect = dialect.as_str();
        if !limit.shared {
            let name = tools.first().map_or("", |(name, _)| name);
            return write!(f, "`{name}` has {found} {what}, and {dialect} accepts {most}: {}", limit.mend);
        }
        write!(f, "{found} {what} in one request, and {dialect} accepts {most}")?;
        // Each tool counts as one tool, so the shares say nothing there.
        if limit.count != Count::Tools {
            let named = tools.iter().take(NAMED).map(|(name, share)| format!("`{name}` {share}"));
            write!(f, " ({}", named.collect::<Vec<_>>().join(", "))?;
            let rest = tools.len().saturating_sub(NAMED);
            f.write_str(&if rest > 0 { format!(", {rest} more)") } else { ")".to_owned() })?;
        }
        write!(f, ": {}", limit.mend)
    }
}

/// What a tool counts for.
#[derive(Default)]
struct Size {
    digit_in_front: u64,
    properties: u64,
    levels: u64,
    enum_values: u64,
    long_enum: u64,
    text: u64,
    optional: u64,
    unions: u64,
}

impl Size {
    fn of(name: &str, mut schema: Value) -> Size {
        let mut size =
            Size { digit_in_front: name.starts_with(|c: char| c.is_ascii_digit()).into(), ..Size::default() };
        size.count(&mut schema);
        let defs = take(&mut schema);
        size.levels = Levels { defs: &defs, known: BTreeMap::new() }.of(&mut schema);
        size
    }

    fn get(&self, count: Count) -> u64 {
        match count {
            Count::Tools => 1,
            Count::Properties => self.properties,
            Count::Levels => self.levels,
            Count::EnumValues => self.enum_values,
            Count::LongEnum => self.long_enum,
            Count::Text => self.text,
            Count::Optional => self.optional,
            Count::Unions => self.unions,
            Count::DigitInFront => self.digit_in_front,
        }
    }

    /// Counts a schema as it is written: a definition once.
    fn count(&mut self, schema: &mut Value) {
        let names = |keyword| schema.get(keyword).and_then(Value::as_object).into_iter().flat_map(Map::keys);
        let items = |keyword| schema.get(keyword).and_then(Value::as_array).map_or(0, Vec::len) as u64;
        let properties = names("properties").count() as u64;
        self.properties += properties;
        self.optional += properties.saturating_sub(items("required"));
        self.text += names("properties").chain(names("$defs")).map(|name| chars(name)).sum::<u64>();
        // A single branch is no choice.
        self.unions += u64::from(items("anyOf") > 1 || schema["type"].is_array());
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            let text = values.iter().map(|value| value.as_str().map_or(0, chars)).sum();
            self.enum_values += values.len() as u64;
            self.text += text;
            if values.len() > LONG_ENUM {
                self.long_enum = self.long_enum.max(text);
            }
        }
        children_mut(schema).into_iter().for_each(|child| self.count(child));
    }
}

fn chars(text: &str) -> u64 {
    text.chars().count() as u64
}

/// Counts levels of nesting through references.
struct Levels<'d> {
    defs: &'d Map<String, Value>,
    /// The levels of each definition. Without it, definitions that use each other twice would take exponential time.
    known: BTreeMap<String, u64>,
}

impl Levels<'_> {
    fn of(&mut self, schema: &mut Value) -> u64 {
        if let Some(name) = schema["$ref"].as_str().and_then(|target| target.strip_prefix("#/$defs/")) {
            return self.of_definition(name);
        }
        let own = schema["type"] == "object" || schema["type"] == "array";
        let inner = children_mut(schema).into_iter().map(|child| self.of(child)).max();
        u64::from(own) + inner.unwrap_or(0)
    }

    fn of_definition(&mut self, name: &str) -> u64 {
        if let Some(levels) = self.known.get(name) {
            return *levels;
        }
        // Also ends a cycle, which the types of components cannot have.
        self.known.insert(name.to_owned(), 0);
        let levels = self.defs.get(name).cloned().map_or(0, |mut def| self.of(&mut def));
        self.known.insert(name.to_owned(), levels);
        levels
    }
}
