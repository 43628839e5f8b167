//! What explaining needs of a schema beyond its text, made once when the schema is compiled.
//!
//! Owns the keywords that are asked of the validator, each compiled by itself, and the tags of choices. Both are found
//! by the address of the value that they were made of: the schema is on the heap and never changes. Must not know
//! arguments.

use std::collections::BTreeMap;

use jsonschema::Registry;
use serde_json::{Map, Value, json};

use super::{leaf, wording};
use crate::foreign;

/// Keywords that are asked of the validator, each with those that belong to it.
const ASKED: [(&str, &[&str]); 12] = [
    ("contains", &["minContains", "maxContains"]),
    ("dependentSchemas", &[]),
    ("enum", &[]),
    ("format", &[]),
    ("multipleOf", &[]),
    ("not", &[]),
    ("pattern", &[]),
    ("patternProperties", &["additionalProperties", "properties"]),
    ("propertyNames", &[]),
    ("unevaluatedItems", &["*"]),
    ("unevaluatedProperties", &["*"]),
    ("uniqueItems", &[]),
];

type Malformed = Box<jsonschema::ValidationError<'static>>;

/// The name under which a keyword that is compiled alone finds the rest of its schema.
const ROOT: &str = "airlock:schema";

#[derive(Debug, Default)]
pub(super) struct Parts {
    compiled: Vec<jsonschema::Validator>,
    /// By the address of the keyword's operand.
    asked: BTreeMap<usize, usize>,
    /// By the address of the list of branches: each tag with the number of its branch.
    tags: BTreeMap<usize, BTreeMap<String, usize>>,
}

impl Parts {
    /// The parts of a schema that compiles as a whole.
    pub(super) fn of(root: &Value) -> Result<Parts, Malformed> {
        let mut making = Making { registry: None, root, forms: BTreeMap::new(), parts: Parts::default() };
        making.visit(root)?;
        Ok(making.parts)
    }

    /// Whether a value keeps the keyword with this operand; a keyword that is not asked about holds.
    pub(super) fn hold(&self, operand: &Value, value: &Value) -> bool {
        self.asked.get(&address(operand)).is_none_or(|i| self.compiled[*i].is_valid(value))
    }

    /// The tags of a list of branches, if it is one of tagged objects.
    pub(super) fn tags(&self, branches: &Value) -> Option<&BTreeMap<String, usize>> {
        self.tags.get(&address(branches))
    }
}

fn address(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}

struct Making<'s> {
    /// Knows the whole schema; made for the first keyword that refers to another part of it.
    registry: Option<Registry<'s>>,
    root: &'s Value,
    /// Schemas repeat the same keywords many times; each form is compiled once.
    forms: BTreeMap<String, usize>,
    parts: Parts,
}

impl<'s> Making<'s> {
    fn visit(&mut self, schema: &'s Value) -> Result<(), Malformed> {
        for (keyword, operand) in schema.as_object().into_iter().flatten() {
            if let "anyOf" | "oneOf" = keyword.as_str() {
                self.choice(operand);
            }
            let is_short = operand.as_array().is_some_and(|options| options.len() <= leaf::OPTIONS_MAX);
            let asked = ASKED.iter().find(|(asked, _)| asked == keyword && !(keyword == "enum" && is_short));
            match asked {
                Some((_, others)) => self.ask(schema, keyword, operand, others)?,
                None => {
                    foreign::under(keyword, operand).into_iter().try_for_each(|child| self.visit(child))?
                }
            }
        }
        Ok(())
    }

    fn ask(
        &mut self,
        schema: &Value,
        keyword: &str,
        operand: &Value,
        others: &[&str],
    ) -> Result<(), Malformed> {
        let keywords = schema.as_object().into_iter().flatten();
        let belongs = |name: &str| name == keyword || others.contains(&"*") || others.contains(&name);
        let alone: Map<String, Value> =
            keywords.filter(|(name, _)| belongs(name)).map(|(name, v)| (name.clone(), v.clone())).collect();
        let mut alone = Value::Object(alone);
        let has_references = absolute(&mut alone);
        let form = alone.to_string();
        let at = match self.forms.get(&form) {
            Some(at) => *at,
            None => {
                let compiled = self.compile(&alone, has_references)?;
                self.parts.compiled.push(compiled);
                self.forms.insert(form, self.parts.compiled.len() - 1);
                self.parts.compiled.len() - 1
            }
        };
        self.parts.asked.insert(address(operand), at);
        Ok(())
    }

    fn compile(&mut self, alone: &Value, has_references: bool) -> Result<jsonschema::Validator, Malformed> {
        if !has_references {
            return super::options().build(alone).map_err(Box::new);
        }
        if self.registry.is_none() {
            let registry = Registry::new().draft(jsonschema::Draft::Draft202012);
            let registry = registry.add(ROOT, self.root).and_then(|registry| registry.prepare());
            self.registry = Some(registry.map_err(|error| Box::new(error.into()))?);
        }
        let options = match &self.registry {
            Some(registry) => super::options().with_registry(registry),
            None => super::options(),
        };
        options.build(alone).map_err(Box::new)
    }

    fn choice(&mut self, branches: &'s Value) {
        let all = branches.as_array().map_or(&[][..], Vec::as_slice);
        let reader = super::fault::Reader { root: self.root };
        let tags = all.iter().enumerate().map(|(i, branch)| {
            let branch = reader.resolve(branch);
            wording::tag(branch).filter(|_| is_closed_by_tag(branch)).map(|tag| (tag.to_owned(), i))
        });
        let tags: Option<BTreeMap<String, usize>> = tags.collect();
        if let Some(tags) = tags.filter(|tags| !tags.is_empty() && tags.len() == all.len()) {
            self.parts.tags.insert(address(branches), tags);
        }
    }
}

/// Whether only objects with a tag can satisfy the branch.
fn is_closed_by_tag(branch: &Value) -> bool {
    let required = branch.get("required").and_then(Value::as_array);
    branch.get("type") == Some(&json!("object"))
        && required.is_some_and(|names| names.iter().any(|name| name == "tag"))
}

/// Makes references absolute, so that they lead to the same place from outside of their schema.
fn absolute(schema: &mut Value) -> bool {
    let mut found = false;
    match schema {
        Value::Object(keywords) => {
            for (keyword, operand) in keywords {
                match (keyword.as_str(), operand) {
                    ("enum" | "const" | "default" | "examples", _) => {}
                    ("$ref", Value::String(reference)) if reference.starts_with('#') => {
                        reference.insert_str(0, ROOT);
                        found = true;
                    }
                    (_, operand) => found |= absolute(operand),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| found |= absolute(item)),
        _ => {}
    }
    found
}
