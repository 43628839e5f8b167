//! The parts of a schema that an explanation needs in compiled form. They are made with the schema, when it is compiled.
//!
//! Owns the keywords that are delegated to the validator, each compiled alone, and the tags of choices. Both are found
//! by the address of the value that they were made from: the schema is on the heap and never changes. Must not know
//! arguments.

use std::collections::BTreeMap;

use jsonschema::Registry;
use serde_json::{Map, Value, json};

use super::{leaf, wording};
use crate::foreign;

/// Keywords that are delegated to the validator, each with the siblings that change its meaning; `*` stands for all of
/// them.
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

/// The URI of the whole schema in the registry, for references of a keyword that is compiled alone.
const ROOT: &str = "airlock:schema";

#[derive(Debug, Default)]
pub(super) struct Parts {
    /// One validator for each distinct form.
    compiled: Vec<jsonschema::Validator>,
    /// Index into `compiled`, by the address of the keyword's operand.
    asked: BTreeMap<usize, usize>,
    /// The index of the branch for each tag, by the address of the list of branches.
    tags: BTreeMap<usize, BTreeMap<String, usize>>,
}

impl Parts {
    /// Makes the parts of a schema that compiles as a whole.
    pub(super) fn of(root: &Value) -> Result<Parts, Malformed> {
        let mut making = Making { registry: None, root, forms: BTreeMap::new(), parts: Parts::default() };
        making.visit(root)?;
        Ok(making.parts)
    }

    /// Whether a value satisfies the keyword with this operand. A keyword that was not compiled holds.
    pub(super) fn hold(&self, operand: &Value, value: &Value) -> bool {
        self.asked.get(&address(operand)).is_none_or(|i| self.compiled[*i].is_valid(value))
    }

    /// The tags of a list of branches, if every branch is a tagged object.
    pub(super) fn tags(&self, branches: &Value) -> Option<&BTreeMap<String, usize>> {
        self.tags.get(&address(branches))
    }
}

fn address(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}

struct Making<'s> {
    /// Holds the whole schema. Made for the first keyword that has a reference, since most schemas need none.
    registry: Option<Registry<'s>>,
    root: &'s Value,
    /// The index in `compiled` by the text of the keyword. Schemas repeat the same keywords many times; each form is
    /// compiled once.
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
                // The subschemas under such a keyword are not visited: the validator judges it as a whole, and no fault
                // inside of it is explained.
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
        // Alone, the keyword has lost the `$defs` that its references lead to. Most have no reference and skip the
        // registry.
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
        // Two branches with one tag leave fewer tags than branches. The tag does not decide there.
        if let Some(tags) = tags.filter(|tags| !tags.is_empty() && tags.len() == all.len()) {
            self.parts.tags.insert(address(branches), tags);
        }
    }
}

/// Whether the branch accepts only objects with a tag. Otherwise a value without one could still fit it.
fn is_closed_by_tag(branch: &Value) -> bool {
    let required = branch.get("required").and_then(Value::as_array);
    branch.get("type") == Some(&json!("object"))
        && required.is_some_and(|names| names.iter().any(|name| name == "tag"))
}

/// Prefixes local references with [`ROOT`], so that they resolve outside of their schema. Whether there were any.
fn absolute(schema: &mut Value) -> bool {
    let mut found = false;
    match schema {
        Value::Object(keywords) => {
            for (keyword, operand) in keywords {
                match (keyword.as_str(), operand) {
                    // Data: a `$ref` in it is a plain key.
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
