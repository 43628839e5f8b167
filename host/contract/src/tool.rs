//! A tool's whole contract, prepared at load: schemas, validator, relations, checks.
//!
//! Owns the combination of types, the author's contract and doc comments. Must not know the engine or who grants what.

mod gates;
mod holding;
mod lint;
mod located;
mod moment;
mod published;
mod requirement;
mod schemas;
mod shown;
mod undescribed;
mod valid;
mod wide;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use super::answer::{ErrorCases, Shape};
use super::compact::Compact;
use super::component::{Function, FunctionDocs, Texts};
use super::confidential::Confidential;
use super::expression::{Expression, Scope};
use super::facts::FactRules;
use super::manifest::{Example, HoldAsks, Part, ToolContract, Verify};
use super::path::Path;
use super::published::{Published, spoken};
use super::rules::{self, Rules};
use super::ty::FunctionTy;
use super::validate::Validator;
use super::{example, schema};
use crate::check::Checks;
use crate::compare::Rule;
use airlock_types::effect::Effect;
use airlock_types::shorten;
use holding::Holding;
pub use moment::{Moment, Seen};
use requirement::Requirement;
use schemas::Schemas;
pub use valid::{UnfitArgs, ValidArgs};
use wide::Wide;

/// Schema keywords by place.
pub(super) type Keywords = BTreeMap<Path, Map<String, Value>>;

/// Characters of the longest description. Clients cut longer ones, and their authors are untrusted.
const DESCRIPTION_CHARS_MAX: usize = 1_800;

/// Characters of the longest note of an example.
const NOTE_CHARS_MAX: usize = 600;

/// A tool's contract, ready to be used for calls.
#[derive(Debug)]
pub struct Contract {
    /// The name under which a team published it.
    pub name: Option<String>,
    /// A name for people.
    pub title: Option<String>,
    /// What the tool does. Text of an untrusted author that agents are shown: cleaned, and cut.
    pub description: String,
    /// The effect that the author declares.
    pub effect: Option<Effect>,
    /// Its function.
    pub function: Function,
    /// How to read the return value.
    pub shape: Shape,
    /// The cases by which it fails.
    pub errors: ErrorCases,
    /// The schema of the arguments.
    input_schema: Arc<Compact>,
    /// Whether clients repeat arguments of it in headers over HTTP.
    pub has_headers: bool,
    /// The schema of the typed value alone, if there is one.
    result_schema: Option<Compact>,
    /// The first places of arguments and result that neither the author's contract nor doc comments describe.
    pub undescribed: Vec<String>,
    /// Arguments that show how it is used.
    pub examples: Vec<Example>,
    /// The checks that the outer door applies to the result.
    pub checks: Checks,
    /// The read-only tool that says whether an effect of it happened.
    pub verify: Option<Verify>,
    /// The fields that are never on record in the clear.
    pub confidential: Confidential,
    /// The named terms that nothing uses.
    pub unused_terms: Vec<String>,
    unexampled: Vec<String>,
    published: Published,
    /// The facts that it gives, reads and changes. `None` if there are none.
    pub facts: Option<Box<FactRules>>,
    /// For how long, in milliseconds, its answer is given again to the same call of a session. `None` for never.
    pub cache_ms_max: Option<u64>,
    /// How two of its answers are compared, where they need not be equal.
    pub compare: Vec<Rule>,
    validator: Validator,
    rules: Rules,
    wide: Wide,
    requires: Vec<Requirement>,
    holds: Vec<Holding>,
    /// Made when it is asked for.
    example: OnceLock<Option<Value>>,
}

/// Size in bytes of arguments that are validated on the thread that received the call: it takes less than a tick of the
/// runtime.
const LIGHT_BYTES_MAX: usize = 64 << 10;

/// The same for large schemas: bytes of the arguments times the steps that a check takes for each value. A value has at
/// least two bytes.
const LIGHT_COST_MAX: usize = 4 << 20;

/// Why the parts of a contract contradict each other.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContractError {
    /// A keyword does not fit its place.
    #[error("`{path}`: {reason}")]
    Keyword {
        /// The path in the contract.
        path: String,
        /// The table that has it.
        part: Part,
        /// Why.
        reason: String,
    },
    /// The schema is not accepted by the validator.
    #[error("the schema of the arguments cannot be used: {0}")]
    Schema(String),
    /// An example of the author breaks the contract.
    #[error("the example {} is not valid: {reason}", shorten::shorten(&example.to_string(), 200))]
    Example {
        /// The example.
        example: Value,
        /// The first violation.
        reason: String,
    },
}

/// Builds the tables that the schema library and the expression parser make at their first use. They take longer than
/// all the rest of a contract, and the first one would wait for them.
pub fn warm() {
    let (schema, relation) = (serde_json::json!({"type": "object"}), "args.a == args.b");
    // Neither result matters: the tables are made in any case.
    let _ = Validator::new(&schema);
    // The relation names unknown arguments. That is only found after the parser has run, so the tables are made.
    let _ = Expression::compile_bool(relation, &Scope::default().into());
}

impl Contract {
    /// Prepares the contract of a function. `author` is its part of `contract.toml`, `docs` are its doc comments.
    ///
    /// # Errors
    /// When the parts contradict each other.
    pub fn prepare(
        function: &Function,
        author: ToolContract,
        docs: &FunctionDocs,
    ) -> Result<Contract, ContractError> {
        let shape = Shape::of(&function.ty);
        let Schemas { mut input_schema, result_schema, constraints, undescribed } =
            schemas::of(function, &author, docs, &shape)?;
        // Compiled after the overlay and before `rules::lay`: the author's keywords need a validator of their own,
        // which takes null as absent (see `rules`).
        let is_known = author.is_known;
        let (validator, rules) = match is_known {
            true => (Validator::known(&input_schema), Rules::known(&author.schema)),
            false => (
                Validator::new(&input_schema).map_err(|err| ContractError::Schema(err.to_string()))?,
                Rules::new(&author.schema).map_err(|err| whole(err.to_string()))?,
            ),
        };
        rules::lay(&mut input_schema, &author.schema).map_err(whole)?;
        schema::clean(&mut input_schema);
        // Nearly always: one copy is kept.
        let kept = Compact::from(&input_schema);
        let kept = if **validator.shared() == kept { validator.shared().clone() } else { Arc::new(kept) };
        let checks = match author.checks {
            Some(checks) => checks,
            None => plain_checks(function, &shape)?,
        };
        let checks = stated(checks, &author.results, &shape, is_known)?;
        let names = schemas::names(&author.published);
        let description = match author.description {
            Some(description) => description,
            None => spoken(docs.function.as_deref().unwrap_or_default(), &names),
        };
        let has_headers = schema::overlay::header::any(&input_schema);
        let held = author.holds.into_iter().map(|hold| Holding::new(hold, &author.confidential));
        let holds = held.collect();
        let mut contract = Contract {
            name: author.name.map(|name| clean(&name, 120)),
            title: author.title.map(|title| clean(&title, 120)),
            description: clean(&description, DESCRIPTION_CHARS_MAX),
            effect: author.effect,
            function: function.clone(),
            shape,
            errors: ErrorCases { docs: error_docs(docs), ..author.errors },
            input_schema: kept,
            has_headers,
            result_schema: result_schema.as_ref().map(Compact::from),
            undescribed,
            examples: author.examples.into_iter().map(shown).collect(),
            checks,
            verify: author.verify,
            confidential: author.confidential,
            unused_terms: author.unused_terms,
            unexampled: lint::unexampled(&author.args),
            published: author.published,
            facts: author.facts,
            cache_ms_max: author.cache_ms_max,
            compare: author.compare,
            validator,
            rules,
            holds,
            wide: Wide::of(constraints, &function.ty.params),
            requires: author.requires.into_iter().map(Requirement::from).collect(),
            example: OnceLock::new(),
        };
        // With the finished contract, since an example has to pass every gate of a call.
        if !is_known {
            contract.examples_hold()?;
        }
        // Many tools of a registry are never called.
        contract.validator.rest();
        contract.rules.rest();
        contract.requires.iter_mut().for_each(Requirement::rest);
        contract.holds.iter_mut().for_each(Holding::rest);
        Ok(contract)
    }

    fn examples_hold(&self) -> Result<(), ContractError> {
        for example in &self.examples {
            let wrong = |reason| ContractError::Example { example: example.args.clone(), reason };
            let Value::Object(args) = &example.args else {
                return Err(wrong("arguments are an object".to_owned()));
            };
            self.validate(args.clone(), None).map_err(|(violations, _)| {
                wrong(violations.first().map_or_else(String::new, |violation| {
                    format!("`{}`: expected {}", violation.path, violation.expected)
                }))
            })?;
        }
        Ok(())
    }

    /// What [`Contract::validate`] mended of the caller's own call, if it passes the whole inner door and is short. There is no
    /// other example for an error: models take its values for those that were asked for.
    pub fn mended(&self, mended: Option<Value>, moment: Moment<'_>) -> Option<Value> {
        mended.filter(|args| example::is_short(args) && self.accepts(args, Some(moment)))
    }

    /// Whether a value passes the whole inner door. The schema alone accepts more: it cannot express every rule of the
    /// codec, and no relation.
    fn accepts(&self, args: &Value, moment: Option<Moment<'_>>) -> bool {
        args.as_object().is_some_and(|args| self.validate(args.clone(), moment).is_ok())
    }

    /// Whether arguments of this size in bytes may take long to validate. The cost is bounded by values times schema.
    pub fn is_heavy(&self, bytes: usize) -> bool {
        let cost = self.validator.cost().saturating_add(self.rules.cost());
        bytes > LIGHT_BYTES_MAX || bytes.saturating_mul(cost) > LIGHT_COST_MAX
    }

    /// The relations that must hold before the tool runs: each as it was written, with the hint for a caller that
    /// breaks it.
    pub fn requires(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.requires.iter().map(|require| (require.full.as_str(), require.message.as_deref()))
    }

    /// The rules that hold a call, of its author and of its operator: each as it was written, with what it asks for.
    pub fn has_holds(&self) -> bool {
        !self.holds.is_empty()
    }

    /// The rules that hold its calls, each with what it asks.
    pub fn holds(&self) -> impl Iterator<Item = (&str, &HoldAsks)> {
        self.holds.iter().map(|hold| (hold.full.as_str(), &hold.asks))
    }

    /// The validator of the first gate, to derive examples with.
    pub fn validator(&self) -> &Validator {
        &self.validator
    }
}

/// The error for a keyword of the arguments as a whole.
fn whole(reason: String) -> ContractError {
    ContractError::Keyword { path: "schema".into(), part: Part::Schema, reason }
}

/// The doc comments of error cases, bounded like every text of an author that agents are shown.
fn error_docs(docs: &FunctionDocs) -> Texts {
    docs.errors.iter().map(|(name, doc)| (name.clone(), clean(doc, NOTE_CHARS_MAX))).collect()
}

fn shown(example: Example) -> Example {
    Example { note: example.note.map(|note| clean(&note, NOTE_CHARS_MAX)), ..example }
}

/// The checks, with those of the keywords at places of the result.
fn stated(
    mut checks: Checks,
    keywords: &Keywords,
    shape: &Shape,
    is_known: bool,
) -> Result<Checks, ContractError> {
    let Some(ty) = shape.value_ty() else { return Ok(checks) };
    let stated = checks.state(keywords, ty, is_known);
    stated.map_err(|(path, reason)| ContractError::Keyword {
        path: path.to_string(),
        part: Part::Result(path),
        reason,
    })?;
    Ok(checks)
}

/// The checks of a tool without a contract. They apply to every tool.
fn plain_checks(function: &Function, shape: &Shape) -> Result<Checks, ContractError> {
    let seen = FunctionTy { params: function.ty.params.clone(), result: shape.value_ty().cloned() };
    Checks::compile(&[], &seen, &Scope::default().into()).map_err(|err| ContractError::Keyword {
        path: "expect".into(),
        part: Part::Whole,
        reason: err.to_string(),
    })
}

/// Text of an author without characters that could hide something, cut to a number of characters. Line breaks are kept.
pub fn clean(text: &str, chars_max: usize) -> String {
    let mut clean: String = shorten::clean_lines(text).chars().take(chars_max).collect();
    clean.shrink_to_fit();
    clean
}
