//! What is doubtful about a tool, found without running it.
//!
//! Owns the rules, each with its level and what follows from it. They point a reviewer at something: none proves that a tool
//! is good or bad. To add one: a line in [`RULES`] and a function in [`of`].

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::capability::Capabilities;
use crate::diff::Changes;
use crate::policy;
use crate::registry::Tool;
use airlock_types::grant::http::HostPattern;
use airlock_types::text::{clean, is_hidden, visible};
use airlock_types::words::{one_edit_apart, one_line, quoted_list};

/// Characters of a text that a doubt quotes.
const QUOTED_CHARS_MAX: usize = 80;

/// Words by which a description gives orders to a model, in lower case. A description says what a tool does.
const ORDERS: [&str; 17] = [
    "ignore all",
    "ignore any",
    "ignore previous",
    "ignore the above",
    "disregard",
    "do not tell",
    "don't tell",
    "do not mention",
    "without telling",
    "system prompt",
    "you must",
    "always call",
    "always use this tool",
    "before using any other",
    "instead of any other tool",
    "<important>",
    "your password",
];

/// Keywords of a schema whose values a model reads.
const FIXED: [&str; 4] = ["const", "default", "enum", "examples"];

/// How much a doubt weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A reviewer should not accept it without a reason.
    Error,
    /// A reviewer should look at it.
    Warning,
    /// Worth knowing.
    Note,
}

impl Level {
    /// The level as SARIF names it, too.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "note",
        }
    }
}

/// A rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its stable name.
    pub id: &'static str,
    /// How much what it finds weighs.
    pub level: Level,
    /// What it finds, as a sentence.
    pub text: &'static str,
}

/// All rules, by name.
pub const RULES: [Rule; 18] = [
    Rule {
        id: "description.missing",
        level: Level::Warning,
        text: "Models choose a tool by its description, and this one has none.",
    },
    Rule {
        id: "effect.contradicted",
        level: Level::Note,
        text: "The component imports interfaces that a tool of its effect class has no use for.",
    },
    Rule {
        id: "effect.lowered",
        level: Level::Error,
        text: "What is granted makes more possible than the effect class says.",
    },
    Rule {
        id: "expectation.missing",
        level: Level::Note,
        text: "No check is held against the results of the tool.",
    },
    Rule {
        id: "grant-shadowed",
        level: Level::Warning,
        text: "Each request of a grant is one of another grant before it, which admits it first.",
    },
    Rule {
        id: "grant-unrequested",
        level: Level::Warning,
        text: "Something is granted that the tool does not ask for and does not get.",
    },
    Rule {
        id: "grant.wildcard",
        level: Level::Warning,
        text: "A wildcard stands for hosts that nobody has listed.",
    },
    Rule {
        id: "host-unmatchable",
        level: Level::Warning,
        text: "A host is granted that no request can have.",
    },
    Rule {
        id: "lock.quarantined",
        level: Level::Error,
        text: "The tool is not the one that the lock accepted, and is not served until an operator accepts the change.",
    },
    Rule {
        id: "name.similar",
        level: Level::Warning,
        text: "Two tools have names that differ by one character: a model may take one for the other.",
    },
    Rule {
        id: "path-glob",
        level: Level::Warning,
        text: "A path has a character that is read as it is, and that other programs read as a pattern.",
    },
    Rule {
        id: "path-normalized",
        level: Level::Warning,
        text: "A path is read in another way than it is written.",
    },
    Rule {
        id: "private-without-cidr",
        level: Level::Warning,
        text: "A private place is granted without a network that allows it: each request there is refused.",
    },
    Rule {
        id: "request-ungranted",
        level: Level::Note,
        text: "The tool asks for something that it can do without, and that is not granted.",
    },
    Rule {
        id: "signature.unverified",
        level: Level::Warning,
        text: "No key that the registry names signed the component: nothing says who made it.",
    },
    Rule {
        id: "text.hidden",
        level: Level::Error,
        text: "A text of the author has characters that are not shown, or that turn its direction around.",
    },
    Rule {
        id: "text.orders",
        level: Level::Error,
        text: "A text that models read gives orders instead of saying what the tool does.",
    },
    Rule {
        id: "wildcard-without-reason",
        level: Level::Warning,
        text: "A wildcard has no reason: a reviewer cannot tell why no list of hosts will do.",
    },
];

/// Something doubtful about a tool.
#[derive(Clone, Debug, Serialize)]
pub struct Lint {
    /// The rule that found it.
    #[serde(serialize_with = "id")]
    pub rule: Rule,
    /// What was found.
    pub message: String,
}

fn id<S: Serializer>(rule: &Rule, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(rule.id)
}

impl Lint {
    /// How much it weighs.
    pub fn level(&self) -> Level {
        self.rule.level
    }
}

/// The doubts about a tool, the gravest first. `names` are those of all tools.
/// `waiting` are the changes that nobody has accepted.
pub(super) fn of(tool: &Tool, capabilities: &Capabilities, names: &[&str], waiting: &Changes) -> Vec<Lint> {
    // Those of `check`, of the grants of its entry.
    let odd = policy::lint(&tool.source, &tool.requests);
    let of_grants = |kind: &str| {
        odd.iter()
            .filter(|found| found.kind == kind)
            .map(|found| format!("{} ({})", found.message, found.at))
            .collect()
    };
    let found: [Vec<String>; RULES.len()] = [
        described(tool),
        contradicted(tool, capabilities),
        lowered(tool, capabilities),
        unchecked(tool),
        of_grants("grant-shadowed"),
        of_grants("grant-unrequested"),
        wildcards(tool),
        of_grants("host-unmatchable"),
        quarantined(tool, waiting),
        similar(tool, names),
        of_grants("path-glob"),
        of_grants("path-normalized"),
        of_grants("private-without-cidr"),
        of_grants("request-ungranted"),
        unsigned(tool),
        hidden(tool),
        orders(tool),
        of_grants("wildcard-without-reason"),
    ];
    let lint = |(rule, messages): (&Rule, Vec<String>)| {
        messages.into_iter().map(|message| Lint { rule: *rule, message }).collect::<Vec<_>>()
    };
    // In the order of `RULES`, which a test holds.
    let mut lints: Vec<Lint> = RULES.iter().zip(found).flat_map(lint).collect();
    lints.sort_by_key(Lint::level);
    lints
}

fn described(tool: &Tool) -> Vec<String> {
    let is_missing = tool.contract.description.trim().is_empty();
    is_missing.then(|| "it has no description".to_owned()).into_iter().collect()
}

fn contradicted(tool: &Tool, capabilities: &Capabilities) -> Vec<String> {
    let effective = tool.allowance.effective();
    let stronger = tool.component.info.imports.iter().filter(|import| !import.functions.is_empty());
    let stronger: Vec<&str> = stronger
        .filter(|import| {
            let facts = capabilities.owner(&import.name).map(|owner| owner.facts());
            facts.is_some_and(|facts| facts.effect > tool.effect && !effective.has(facts.name))
        })
        .map(|import| import.name.as_str())
        .collect();
    let message = || {
        format!(
            "it is {} and imports {}; none of them is granted, so a use is denied",
            tool.effect.as_str(),
            quoted_list(stronger.iter().copied())
        )
    };
    (!stronger.is_empty()).then(message).into_iter().collect()
}

fn lowered(tool: &Tool, capabilities: &Capabilities) -> Vec<String> {
    let possible = capabilities.effect(tool.allowance.effective());
    let message = || {
        format!("it counts as {}, and its grants make {} possible", tool.effect.as_str(), possible.as_str())
    };
    (tool.effect < possible).then(message).into_iter().collect()
}

fn unchecked(tool: &Tool) -> Vec<String> {
    let is_unchecked = tool.contract.result_schema().is_some() && tool.contract.checks.told().is_empty();
    let message = "no expectation: its contract has no `[[tool.NAME.expect]]`, and its types imply none";
    is_unchecked.then(|| message.to_owned()).into_iter().collect()
}

fn wildcards(tool: &Tool) -> Vec<String> {
    let granted =
        tool.allowance.effective().http.iter().map(|access| ("it is granted", &access.allowed.host));
    let tried = tool.source.tried.iter().flat_map(|(grants, _)| &grants.http);
    let tried = tried.map(|grant| ("it tries", &grant.host));
    let requested = tool.requests.http.iter().map(|request| ("it requests", &request.host));
    let is_wild = |(_, host): &(&str, &HostPattern)| matches!(host, HostPattern::OneLabelOf(_));
    let wild = granted.chain(tried).chain(requested).filter(is_wild);
    wild.map(|(what, host)| format!("{what} `{host}`")).collect()
}

fn quarantined(tool: &Tool, waiting: &Changes) -> Vec<String> {
    let own = waiting.0.iter().filter(|change| change.tool == *tool.name);
    let place = |path: &str| if path.is_empty() { "the whole tool".to_owned() } else { clean(path) };
    let places: Vec<String> = own.map(|change| place(&change.path)).collect();
    let message =
        || format!("changed since it was accepted: {}; `airlock lock` shows the change", places.join(", "));
    (!places.is_empty()).then(message).into_iter().collect()
}

fn similar(tool: &Tool, names: &[&str]) -> Vec<String> {
    let near = names.iter().filter(|name| one_edit_apart(name, &tool.name));
    near.map(|name| format!("`{}` and `{name}` differ by one character", tool.name)).collect()
}

fn unsigned(tool: &Tool) -> Vec<String> {
    let is_unsigned = tool.component.signed.signers().is_empty();
    is_unsigned.then(|| "its component is unverified".to_owned()).into_iter().collect()
}

/// Every text of the author, before anything is cleaned: those of the contract, doc comments, names.
fn texts(tool: &Tool) -> Vec<(&'static str, String)> {
    let info = &tool.component.info;
    let contract = info.contract.as_ref().and_then(|text| text.parse::<toml::Table>().ok());
    let mut said = Vec::new();
    // As they are read: TOML may write a character as an escape.
    contract.into_iter().for_each(|table| strings(&table.into(), &mut said));
    let contract = said.into_iter().map(|text| ("its contract", text));
    let docs = info.docs.values().flat_map(|docs| {
        let parts = docs.args.values().chain(docs.result.values()).chain(docs.errors.values());
        docs.function.iter().chain(parts).map(|text| ("a doc comment", text.clone()))
    });
    let imports = info.imports.iter().map(|import| ("the name of an import", import.name.clone()));
    contract.chain(docs).chain(imports).collect()
}

fn strings(value: &toml::Value, found: &mut Vec<String>) {
    match value {
        toml::Value::String(text) => found.push(text.clone()),
        toml::Value::Array(all) => all.iter().for_each(|one| strings(one, found)),
        toml::Value::Table(table) => table.values().for_each(|one| strings(one, found)),
        _ => {}
    }
}

fn hidden(tool: &Tool) -> Vec<String> {
    let is_bad = |c: char| is_hidden(c) && !matches!(c, '\n' | '\r' | '\t');
    let place = |(what, text): (&str, String)| {
        let at = text.find(is_bad)?;
        let begin = text[..at].char_indices().rev().nth(20).map_or(0, |(at, _)| at);
        Some(format!(
            "{what} has a hidden character: `{}`",
            one_line(&visible(&text[begin..]), QUOTED_CHARS_MAX)
        ))
    };
    texts(tool).into_iter().filter_map(place).collect()
}

fn orders(tool: &Tool) -> Vec<String> {
    let schemas = [Some(tool.contract.input_schema()), tool.contract.result_schema()];
    let contract = &tool.contract;
    let mut read = vec![contract.description.clone()];
    schemas.iter().flatten().for_each(|schema| descriptions(schema, &mut read));
    read.extend(contract.errors.docs.values().cloned());
    read.extend(contract.title.clone());
    read.extend(contract.requires().filter_map(|(_, message)| message.map(str::to_owned)));
    read.extend(
        contract.holds().filter(|(_, asks)| asks.is_authors).filter_map(|(_, asks)| asks.message.clone()),
    );
    contract.examples.iter().for_each(|example| all_strings(&json!(example), &mut read));
    contract.checks.told().iter().for_each(|check| all_strings(check, &mut read));
    let order = |text: &String| {
        // However the words are separated, and whatever is hidden between them.
        let lower = clean(text).to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
        let found = ORDERS.iter().find(|order| lower.contains(**order))?;
        Some(format!("`{found}` in: {}", one_line(text, QUOTED_CHARS_MAX)))
    };
    read.iter().filter_map(order).collect()
}

/// Every text within a value.
fn all_strings(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(all) => all.iter().for_each(|value| all_strings(value, found)),
        Value::Object(map) => map.values().for_each(|value| all_strings(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The descriptions, titles and fixed values within a schema.
fn descriptions(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key == "description" || key == "title" => found.push(text.clone()),
                    value if FIXED.contains(&key.as_str()) => all_strings(value, found),
                    _ => descriptions(value, found),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|value| descriptions(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_have_one_name_each_in_order() {
        assert!(RULES.is_sorted_by(|a, b| a.id < b.id));
    }
}
