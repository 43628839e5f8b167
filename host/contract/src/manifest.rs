//! The author's `contract.toml`.
//!
//! Owns its form, and the comparison with the functions that it describes: a name that does not exist, or a pattern,
//! relation or check that cannot be compiled, is refused with its place and the nearest right name, all at once.
//! Keywords are laid over schemas elsewhere. Must not know grants or the engine. To add a key: a field of a `Written…`
//! struct, its place in [`ToolContract`] or [`Manifest`], and where it is enforced.

mod bind;
mod bound;
mod cache;
mod compare;
mod errors;
mod facts;
mod hold;
mod part;
mod places;
mod terms;
mod verify;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use toml::Spanned;

use super::component::{Function, Unaddressed, addressed};
use super::confidential::Confidential;
use super::expression::{Expression, Scope};
use super::facts::{FactRules, WrittenFact, WrittenNeed};
use super::path::Path;
use super::published::Published;
use crate::answer::ErrorCases;
use crate::check::{Checks, Rule};
use airlock_types::diagnostic::{Diagnostic, Diagnostics};
use airlock_types::effect::Effect;
use airlock_types::grant::{GrantProblem, RequestProblem, Requests};
use airlock_types::limit::PartialLimits;
use airlock_types::range;
use airlock_types::range::Setting;
use airlock_types::words::{GOT_CHARS_MAX, one_line, quoted_list};
use bound::Problems;
pub use bound::{CONTRACT_BYTES_MAX, PROBLEMS_MAX};
use cache::WrittenCache;
use compare::WrittenCompare;
use hold::WrittenHold;
pub use hold::{APPROVALS_MAX, HoldAsks, HoldWhen, approvals};
pub use part::Part;
pub use verify::Verify;

/// The settings of a contract that have a range: with zero the tool could never answer.
const LIMITS: [Setting; 5] = [
    ("limits.deadline_ms", 1..=u64::MAX),
    ("limits.fuel", 1..=u64::MAX),
    ("limits.memory_bytes_max", 1..=u64::MAX),
    ("limits.output_bytes_max", 1..=u64::MAX),
    ("limits.table_elements_max", 1..=u64::MAX),
];

/// A parsed contract, not yet compared with a component.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// The capabilities that the author requests. The operator grants them, or not.
    pub capabilities: Requests,
    /// The limits that the author requests, where it names any.
    pub limits: PartialLimits,
    /// The shortest remaining time, in milliseconds, in which an attempt is worth starting.
    pub useful_ms_min: Option<u64>,
    effects: Option<Effect>,
    tools: BTreeMap<Spanned<String>, WrittenTool>,
    file: String,
    source: Arc<str>,
    is_known: bool,
}

/// The contract of one function, after the comparison with its type.
#[derive(Debug, Default)]
pub struct ToolContract {
    /// The name under which a team published it.
    pub name: Option<String>,
    /// A name for people.
    pub title: Option<String>,
    /// What the function does. It replaces the doc comment of the function.
    pub description: Option<String>,
    /// The declared effect; without one, that of the whole contract.
    pub effect: Option<Effect>,
    /// What it states about the cases by which the function fails. It has no doc comments.
    pub errors: ErrorCases,
    /// Schema keywords for the arguments as a whole.
    pub schema: Map<String, Value>,
    /// Schema keywords by place in the arguments.
    pub args: BTreeMap<Path, Map<String, Value>>,
    /// Schema keywords by place in the result.
    pub results: BTreeMap<Path, Map<String, Value>>,
    /// How arguments and result are published, where that differs from their types.
    pub published: Published,
    /// Arguments that show how it is used.
    pub examples: Vec<Example>,
    /// Relations that must hold before it runs.
    pub requires: Vec<Require>,
    /// Rules that hold a call until a person has decided.
    pub holds: Vec<HoldWhen>,
    /// The checks of the result. `None` for a function without a table in the contract.
    pub checks: Option<Checks>,
    /// The read-only tool that says whether an effect of the function happened.
    pub verify: Option<Verify>,
    /// The fields that are never on record in the clear.
    pub confidential: Confidential,
    /// The terms that no relation and no check names, directly or through others.
    pub unused_terms: Vec<String>,
    /// The facts that it gives, reads and changes. `None` if there are none.
    pub facts: Option<Box<FactRules>>,
    /// What rules that a registry adds may name. `None` for a function of a component without a contract.
    pub(crate) scope: Option<Arc<Scope>>,
    /// For how long, in milliseconds, its answer is given again to the same call of a session. `None` for never.
    pub cache_ms_max: Option<u64>,
    /// How two of its answers are compared, where they need not be equal.
    pub compare: Vec<crate::compare::Rule>,
    /// Whether all of it is known to be right, as by [`Manifest::known`].
    pub(crate) is_known: bool,
}

/// A relation that must hold before a tool runs.
#[derive(Debug)]
pub struct Require {
    /// The relation.
    pub rule: Expression,
    /// The relation as it was written, for messages.
    pub text: String,
    /// The terms that it names, directly or through others, with their texts.
    pub terms: BTreeMap<String, String>,
    /// The hint for a caller whose arguments break the relation.
    pub message: Option<String>,
    /// What follows for a relation over facts where a call has no session.
    pub without_session: WithoutSession,
}

/// What follows for a relation over facts where a call has no session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WithoutSession {
    /// It is not met.
    #[default]
    Refuse,
    /// The call passes, and its reply says that the relation was not checked.
    Warn,
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
    name: Option<String>,
    title: Option<String>,
    description: Option<String>,
    effects: Option<Effect>,
    open: bool,
    answers: Option<WrittenAnswers>,
    cache: Option<WrittenCache>,
    compare: Vec<Spanned<WrittenCompare>>,
    transient: Vec<Spanned<String>>,
    caller_errors: Vec<Spanned<String>>,
    failures: Vec<Spanned<String>>,
    schema: BTreeMap<Spanned<String>, Value>,
    args: BTreeMap<Spanned<String>, Map<String, Value>>,
    result: BTreeMap<Spanned<String>, Map<String, Value>>,
    example: Vec<Spanned<Example>>,
    require: Vec<WrittenRequire>,
    hold: Vec<WrittenHold>,
    expect: Vec<Spanned<Rule>>,
    verify: Option<Spanned<Verify>>,
    confidential: Vec<Spanned<String>>,
    facts: facts::Written<WrittenFact>,
    needs: facts::Written<WrittenNeed>,
    changes: Vec<Spanned<String>>,
    #[serde(rename = "let")]
    terms: WrittenTerms,
}

type WrittenTerms = BTreeMap<Spanned<String>, Spanned<String>>;

/// What a call asks for and what its result answers, each as an expression.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAnswers {
    asked: Spanned<String>,
    answered: Spanned<String>,
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
    without_session: Option<Spanned<WithoutSession>>,
}

/// The requests that no registry can serve. A list of them has the place of none.
fn unserved(requests: &Requests, file: &str) -> Vec<Diagnostic> {
    let problem = |RequestProblem { capability, problem }: RequestProblem| {
        let GrantProblem { message, hint } = problem;
        let message = format!("`capabilities.{capability}` of `{file}`: {message}");
        Diagnostic::without_place(message, Some(hint.to_owned()))
    };
    requests.problems().into_iter().map(problem).collect()
}

impl Manifest {
    /// Parses the text of a contract. `file` is its name in diagnostics.
    ///
    /// # Errors
    /// When it is not TOML, is too large, has an unknown key, has a number out of range, or asks for what no registry can grant.
    pub fn parse(text: &str, file: &str) -> Result<Manifest, Diagnostics> {
        // Before parsing: the text comes from an untrusted component.
        bound::bytes(text, file)?;
        let source: Arc<str> = text.into();
        let written: Written = airlock_types::tables::from_str(text)
            .map_err(|err| Diagnostics::from(Diagnostic::from_toml(&err, file, &source)))?;
        // After serde, which accepts any `u64`: these problems have the place of the number in the file.
        let problems = range::problems(file, &source, &LIMITS);
        let problems = [problems, unserved(&written.capabilities, file)].concat();
        if !problems.is_empty() {
            return Err(Diagnostics(problems));
        }
        // Destructured without `..`, so that a new limit does not compile until it is passed on.
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
            is_known: false,
        })
    }

    /// The same contract, known to be right: this build ([`BUILD`](crate::BUILD)) has bound the same text to the same functions
    /// and prepared the contracts of those that are shown. What only tells whether it is right is then not done again, and
    /// expressions and schemas are compiled when a call needs them. If it was not right after all, no relation of it is met.
    #[must_use]
    pub fn known(self) -> Manifest {
        Manifest { is_known: true, ..self }
    }

    /// Compares the contract with the functions of its component. Returns the contract of each function, by the
    /// function's address.
    ///
    /// # Errors
    /// Every name that does not exist, and every pattern, relation or check that cannot be compiled, up to
    /// [`PROBLEMS_MAX`].
    pub fn bind(&self, functions: &[Function]) -> Result<BTreeMap<String, ToolContract>, Diagnostics> {
        // Before anything is compiled: each relation and pattern may be costly.
        self.bounds()?;
        let mut problems = Problems::default();
        let mut contracts: BTreeMap<String, ToolContract> = BTreeMap::new();
        // Before the tables: relations of one function look up facts of another.
        let given = facts::Given::of(self, functions, &mut problems);
        for (name, written) in &self.tools {
            if problems.is_full() {
                break;
            }
            match addressed(name.get_ref(), functions) {
                // Two names can address one function, with and without its interface.
                Ok(function) => match contracts.entry(function.address()) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(bind::tool(self, (written, function), &given, &mut problems));
                    }
                    Entry::Occupied(_) => problems.add(|| {
                        let message = format!("`{}` has two tables", function.address());
                        self.plain(name.span(), message, "the same function as another table")
                    }),
                },
                Err(why) => problems.add(|| self.unaddressed(name, &why, functions)),
            }
        }
        // Before the functions without a table are added: these have no examples.
        bound::examples_cost(self, contracts.values(), &mut problems);
        // The effect of the whole contract applies to functions without a table, too.
        for function in functions {
            if let Entry::Vacant(vacant) = contracts.entry(function.address()) {
                vacant.insert(hold::bare(self, function, &given, &mut problems));
            }
        }
        problems.into_diagnostics().or(contracts)
    }

    /// The problem of a table that addresses no function, or several.
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
