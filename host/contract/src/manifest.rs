//! The author's `contract.toml`.
//!
//! Owns its form, and how it is held against the functions that it speaks of: whatever does not exist or does
//! not fit is refused with its place and the nearest right name, all at once. What it says of schemas is laid
//! over them elsewhere. Must not know grants or the engine. To add a key: a field of a `Written…` struct, its
//! place in [`ToolContract`] or [`Manifest`], and where it is enforced.

mod bind;
mod bound;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use toml::Spanned;

use super::component::{Function, Unaddressed, addressed};
use super::expression::Expression;
use super::path::Path;
use crate::check::{Checks, Rule};
use airlock_types::diagnostic::{Diagnostic, Diagnostics};
use airlock_types::effect::Effect;
use airlock_types::grant::Requests;
use airlock_types::limit::PartialLimits;
use airlock_types::range;
use airlock_types::range::Setting;
use airlock_types::words::{GOT_CHARS_MAX, one_line, quoted_list};
use bound::Problems;
pub use bound::{CONTRACT_BYTES_MAX, PROBLEMS_MAX};

/// The numbers of a contract that have a range: with zero the tool could never answer.
const LIMITS: [Setting; 5] = [
    ("limits.deadline_ms", 1..=u64::MAX),
    ("limits.fuel", 1..=u64::MAX),
    ("limits.memory_bytes_max", 1..=u64::MAX),
    ("limits.output_bytes_max", 1..=u64::MAX),
    ("limits.table_elements_max", 1..=u64::MAX),
];

/// A contract as it was written, not yet held against a component.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// What the author asks for.
    pub capabilities: Requests,
    /// What the author needs of limits.
    pub limits: PartialLimits,
    /// The least time in which an attempt is worth starting.
    pub useful_ms_min: Option<u64>,
    effects: Option<Effect>,
    tools: BTreeMap<Spanned<String>, WrittenTool>,
    file: String,
    source: Arc<str>,
}

/// What a contract says of one function, held against its type.
#[derive(Debug, Default)]
pub struct ToolContract {
    /// A name for people.
    pub title: Option<String>,
    /// What it does; stands before the doc comment.
    pub description: Option<String>,
    /// What it does to the world.
    pub effect: Option<Effect>,
    /// Error cases that are worth a retry.
    pub transient: Vec<String>,
    /// Schema keywords of the arguments as a whole.
    pub schema: Map<String, Value>,
    /// Schema keywords by place in the arguments.
    pub args: BTreeMap<Path, Map<String, Value>>,
    /// Schema keywords by place in the result.
    pub results: BTreeMap<Path, Map<String, Value>>,
    /// Arguments that show how it is used.
    pub examples: Vec<Example>,
    /// Relations that must hold before it runs.
    pub requires: Vec<Require>,
    /// What its result must look like; none for a function that the contract does not speak of.
    pub checks: Option<Checks>,
}

/// A relation that must hold before a tool runs.
#[derive(Debug)]
pub struct Require {
    /// The relation.
    pub rule: Expression,
    /// As it was written.
    pub text: String,
    /// What to tell a caller that breaks it.
    pub message: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    effects: Option<Effect>,
    capabilities: Requests,
    limits: WrittenLimits,
    tool: BTreeMap<Spanned<String>, WrittenTool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLimits {
    fuel: Option<u64>,
    deadline_ms: Option<u64>,
    memory_bytes_max: Option<u64>,
    table_elements_max: Option<u64>,
    output_bytes_max: Option<u64>,
    log_bytes_max: Option<u64>,
    useful_ms_min: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenTool {
    title: Option<String>,
    description: Option<String>,
    effects: Option<Effect>,
    transient: Vec<Spanned<String>>,
    schema: BTreeMap<Spanned<String>, Value>,
    args: BTreeMap<Spanned<String>, Map<String, Value>>,
    result: BTreeMap<Spanned<String>, Map<String, Value>>,
    example: Vec<Example>,
    require: Vec<WrittenRequire>,
    expect: Vec<Spanned<Rule>>,
}

/// Arguments that show how a tool is used.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The arguments: an object.
    pub args: Value,
    /// What they show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRequire {
    that: Spanned<String>,
    message: Option<String>,
}

impl Manifest {
    /// Parses the text of a contract; `file` is what errors call it.
    ///
    /// # Errors
    /// When it is no TOML, is too large, or has a key that no contract has.
    pub fn parse(text: &str, file: &str) -> Result<Manifest, Diagnostics> {
        bound::bytes(text, file)?;
        let source: Arc<str> = text.into();
        let written: Written = toml::from_str(text)
            .map_err(|err| Diagnostics::from(Diagnostic::from_toml(&err, file, &source)))?;
        let problems = range::problems(file, &source, &LIMITS);
        if !problems.is_empty() {
            return Err(Diagnostics(problems));
        }
        let WrittenLimits {
            fuel,
            deadline_ms,
            memory_bytes_max,
            table_elements_max,
            output_bytes_max,
            log_bytes_max,
            useful_ms_min,
        } = written.limits;
        Ok(Manifest {
            capabilities: written.capabilities,
            limits: PartialLimits {
                fuel,
                deadline_ms,
                memory_bytes_max,
                table_elements_max,
                output_bytes_max,
                log_bytes_max,
            },
            useful_ms_min,
            effects: written.effects,
            tools: written.tool,
            file: file.to_owned(),
            source,
        })
    }

    /// Holds the contract against the functions of its component: what it says of each, by the function's address.
    ///
    /// # Errors
    /// Everything that it says of what is not there, or that does not fit.
    pub fn bind(&self, functions: &[Function]) -> Result<BTreeMap<String, ToolContract>, Diagnostics> {
        self.bounds()?;
        let mut problems = Problems::default();
        let mut contracts: BTreeMap<String, ToolContract> = BTreeMap::new();
        for (name, written) in &self.tools {
            if problems.is_full() {
                break;
            }
            match addressed(name.get_ref(), functions) {
                Ok(function) => match contracts.entry(function.address()) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(bind::tool(self, written, function, &mut problems));
                    }
                    Entry::Occupied(_) => problems.add(|| {
                        let message = format!("`{}` has two tables", function.address());
                        self.plain(name.span(), message, "the same function as another table")
                    }),
                },
                Err(why) => problems.add(|| self.unaddressed(name, &why, functions)),
            }
        }
        bound::examples_cost(self, contracts.values(), &mut problems);
        for function in functions {
            if let Entry::Vacant(vacant) = contracts.entry(function.address()) {
                vacant.insert(ToolContract { effect: self.effects, ..ToolContract::default() });
            }
        }
        problems.into_diagnostics().or(contracts)
    }

    /// A table for no function, or for one of several.
    fn unaddressed(&self, name: &Spanned<String>, why: &Unaddressed, functions: &[Function]) -> Diagnostic {
        let written = one_line(name.get_ref(), GOT_CHARS_MAX);
        match why {
            Unaddressed::None(known) => {
                let names = functions.iter().map(|function| function.name.as_str());
                let known = names.chain(known.iter().map(String::as_str));
                let message = format!("the component shows no function `{written}`");
                self.problem(name.span(), message, "this name", name.get_ref(), known)
            }
            Unaddressed::Several(found) => {
                let message = format!("`{written}` is several functions, in several interfaces");
                let found = quoted_list(found.iter().map(String::as_str));
                let hint = format!("name the one: {found}");
                Diagnostic { hint: Some(hint), ..self.plain(name.span(), message, "this name") }
            }
        }
    }
}
