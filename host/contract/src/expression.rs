//! Expressions of contracts: CEL, checked against the tool's types before anything runs.
//!
//! The `cel` crate parses. This module adds what the crate lacks: expressions are checked against WIT types at
//! load, their cost is estimated before and metered during evaluation, numbers of all widths compare exactly,
//! component values are read in place, and a rule that fails is explained by the values that decided it.
//! Therefore the checked tree and its evaluation are this module's own. Must not know what follows from a
//! judgement. To add a function: its name and type in `check`, its evaluation in `eval`.

mod bounds;
mod calendar;
mod check;
mod constant;
mod cost;
mod datum;
mod eval;
mod explain;
mod fold;
mod kind;
mod meter;
mod parse;
mod reads;
mod term;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::Val;
use super::facts::{Facts, Reading};
use super::path::Path;
use super::ty::{Field, Ty};
pub use bounds::Bounds;
use reads::Reads;
pub use term::Terms;
use tree::{Node, What};

/// Most steps of one expression. The number is Kubernetes' limit for its CEL rules.
pub const COST_MAX: u64 = 1_000_000;

/// Most steps of all expressions of one call together.
pub const COST_CALL_MAX: u64 = 10_000_000;

/// Assumed length of a list of unknown length, for the estimate at load. A longer list is stopped by the meter
/// during evaluation.
pub const LIST_ITEMS: u64 = 1_000;

/// Assumed length in bytes of a string of unknown length.
pub const STRING_BYTES: u64 = 1_000;

/// The names that an expression may use, with their types: `args`, `result` where there is one, `now`, the facts of the
/// session where there is one, and the terms of the tool. Field names are the snake_case ones that agents see.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The parameters of the function, in order.
    pub args: Arc<[Field]>,
    /// The type of the result. `None` where only the arguments are known.
    pub result: Option<Arc<Ty>>,
    /// The bounds on the arguments, for the estimate of the cost, and the strings that are dates.
    pub bounds: Arc<Bounds>,
    /// The named terms that rules of the tool share.
    pub terms: Terms,
    /// The facts that can be looked up, as `facts.NAME[key]` and `key in facts.NAME`. Empty where there is no session.
    pub facts: Vec<Reading>,
    /// Whether every expression in it is known to be right, since this build checked it before. It is then parsed when it is
    /// needed, which takes longer than all the rest of a contract.
    pub is_known: bool,
}

/// A checked expression. Its tree takes many times the memory of its text, so an expression can rest until it is needed.
#[derive(Clone, Debug)]
pub struct Expression {
    text: Box<str>,
    scope: Arc<Scope>,
    wants: Wants,
    /// Empty while it rests.
    checked: OnceLock<Option<Box<Checked>>>,
}

/// What an expression must come to.
#[derive(Clone, Copy, Debug)]
enum Wants {
    Bool,
    Scalar,
}

/// An expression as it is evaluated.
#[derive(Clone, Debug)]
struct Checked {
    root: Node,
    cost: u64,
    reads: Reads,
}

/// Why an expression is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// The problem, for the author.
    pub message: String,
    /// Byte range in the text of the expression.
    pub span: Range<usize>,
    /// How to fix it.
    pub hint: Option<String>,
}

/// The values that an expression reads.
#[derive(Clone, Copy, Debug)]
pub struct Bindings<'a> {
    /// The parameters of the function, in order.
    pub params: &'a [Field],
    /// Their values, in the same order.
    pub args: &'a [Val],
    /// The value of the result. `None` where only the arguments are known.
    pub result: Option<&'a Val>,
    /// The time of the call in milliseconds since the Unix epoch. `None` where arguments are judged by a rule that
    /// does not name the time: whether they are valid must not depend on it unless the contract says so.
    pub now_unix_ms: Option<u64>,
    /// The facts that the session has seen. `None` where there is no session.
    pub facts: Option<&'a Facts>,
}

/// The outcome of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The expression is true.
    Holds,
    /// The expression is false, with the reason.
    Fails(Explanation),
    /// The expression has no value: a null, a division by zero, or too many steps.
    Error(Explanation),
}

/// The values that decided a rule, as text: `args.from = "2020-05", args.to = "2020-01"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation(pub String);

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Expression {
    /// Compiles an expression whose type must be bool.
    ///
    /// # Errors
    /// When it does not parse, uses an unknown name, applies an operator to the wrong types, or may cost more
    /// than [`COST_MAX`].
    pub fn compile_bool(text: &str, scope: &Arc<Scope>) -> Result<Expression, ExpressionError> {
        Expression::compile(text, scope, Wants::Bool)
    }

    /// Compiles an expression whose value is a number, a string or a bool, or null.
    ///
    /// # Errors
    /// As [`Expression::compile_bool`].
    pub fn compile_scalar(text: &str, scope: &Arc<Scope>) -> Result<Expression, ExpressionError> {
        Expression::compile(text, scope, Wants::Scalar)
    }

    fn compile(text: &str, scope: &Arc<Scope>, wants: Wants) -> Result<Expression, ExpressionError> {
        let checked = match scope.is_known {
            true => OnceLock::new(),
            false => OnceLock::from(Some(Box::new(Checked::of(text, scope, wants)?))),
        };
        Ok(Expression { text: text.into(), scope: scope.clone(), wants, checked })
    }

    /// Gives back the memory of the tree until it is needed.
    pub(crate) fn rest(&mut self) {
        self.checked = OnceLock::new();
    }

    /// The same, at rest.
    pub(crate) fn resting(mut self) -> Expression {
        self.rest();
        self
    }

    /// `None` for an expression that is not right. There is none: it was checked before. Whoever asks it must take `None` for
    /// a rule that is not met.
    fn checked(&self) -> Option<&Checked> {
        let checked = || Checked::of(&self.text, &self.scope, self.wants).ok().map(Box::new);
        self.checked.get_or_init(checked).as_deref()
    }

    /// The estimated steps of one evaluation, with lists and strings at their assumed sizes.
    pub fn cost(&self) -> u64 {
        self.checked().map_or(COST_MAX, |checked| checked.cost)
    }

    /// As [`Expression::cost`], for a bound on several. Zero for one that is known to be within it.
    pub(crate) fn new_cost(&self) -> u64 {
        if self.scope.is_known { 0 } else { self.cost() }
    }

    /// The narrowest place in the arguments that has all that the expression reads. `None` if it reads several
    /// arguments, none, or the result.
    pub fn place(&self) -> Option<Path> {
        self.checked()?.reads.place()
    }

    /// Whether it names the time of the call: `now` or `today`.
    pub fn reads_time(&self) -> bool {
        self.checked().is_some_and(|checked| checked.reads.time)
    }

    /// The texts that are written in it.
    pub(crate) fn texts(&self) -> Vec<&str> {
        let (mut texts, mut left) = (Vec::new(), Vec::from_iter(self.checked().map(|checked| &checked.root)));
        while let Some(node) = left.pop() {
            if let What::Text(text) = &node.what {
                texts.push(text.as_str());
            }
            left.extend(node.parts());
        }
        texts
    }

    /// Whether it reads nothing, so that it is the same for every call.
    pub fn is_constant(&self) -> bool {
        self.checked().is_some_and(|checked| constant::reads_nothing(&checked.root))
    }

    /// Whether it reads an argument, or a field in one, of which this is true.
    pub(crate) fn reads_any(&self, is: impl Fn(&Path) -> bool) -> bool {
        self.checked().is_none_or(|checked| checked.reads.any_place(is))
    }

    /// The facts that it looks up, by their place in the scope.
    pub(crate) fn facts(&self) -> impl Iterator<Item = usize> {
        self.checked().into_iter().flat_map(|checked| checked.reads.facts.iter().copied())
    }

    /// What would satisfy a comparison of an argument that does not hold: `amount` = 120. None for other rules.
    pub(crate) fn satisfying(&self, bindings: &Bindings<'_>) -> Option<String> {
        eval::satisfying(&self.checked()?.root, bindings)
    }

    /// The values by which an expression that holds does, each with its name.
    pub(crate) fn deciding(&self, bindings: &Bindings<'_>) -> Vec<String> {
        self.checked().map_or_else(Vec::new, |checked| eval::deciding(&checked.root, bindings))
    }

    /// Whether the values of two scalar expressions can be equal.
    pub(crate) fn is_comparable(&self, other: &Expression) -> bool {
        let kinds = self.checked().zip(other.checked());
        kinds.is_some_and(|(own, other)| own.root.kind.comparable(&other.root.kind))
    }

    /// The values of two scalar expressions as text, where they differ. Where the first one is null, or reads a null,
    /// there is nothing to compare. The second is `None` where it is null.
    ///
    /// # Errors
    /// When one of them has no value.
    pub(crate) fn difference(
        &self,
        other: &Expression,
        bindings: &Bindings<'_>,
    ) -> Result<Option<(String, Option<String>)>, Explanation> {
        let (own, other) = self.checked().zip(other.checked()).ok_or_else(unchecked)?;
        eval::difference(&own.root, &other.root, bindings)
    }

    /// Whether its value can name a time: a date, a point in time or a text.
    pub(crate) fn is_dateable(&self) -> bool {
        self.checked()
            .is_some_and(|Checked { root, .. }| root.kind.form().is_some() || root.kind.some().is_text())
    }

    /// The value of a scalar expression as text. `None` where it is null, or reads a null.
    ///
    /// # Errors
    /// When it has no value.
    pub(crate) fn text(&self, bindings: &Bindings<'_>) -> Result<Option<String>, Explanation> {
        eval::text(&self.checked().ok_or_else(unchecked)?.root, bindings)
    }

    /// Evaluates the expression over these values.
    pub fn eval(&self, bindings: &Bindings<'_>) -> Judgement {
        self.checked()
            .map_or_else(|| Judgement::Error(unchecked()), |checked| eval::judge(&checked.root, bindings))
    }
}

/// The reason of a rule that cannot be judged, since it is not the one that was checked.
fn unchecked() -> Explanation {
    Explanation("it cannot be read".to_owned())
}

impl Checked {
    fn of(text: &str, scope: &Scope, wants: Wants) -> Result<Checked, ExpressionError> {
        let mut root = match wants {
            Wants::Bool => check::check(text, scope)?,
            Wants::Scalar => check::check_scalar(text, scope)?,
        };
        let reads = Reads::of(&root, &scope.args);
        let cost = bounded(&root, &reads, text)?;
        constant::refuse_valueless(&root)?;
        // Only now: the estimate still needs the lengths of lists and the parts of types.
        root.outline();
        Ok(Checked { root, cost, reads })
    }
}

/// The estimated cost of a checked expression and of the terms that it names.
fn bounded(root: &Node, reads: &Reads, text: &str) -> Result<u64, ExpressionError> {
    let cost = reads.terms.values().fold(cost::estimate(root), |sum, term| sum.saturating_add(*term));
    if cost <= COST_MAX {
        return Ok(cost);
    }
    Err(ExpressionError {
        message: format!("it may cost {cost} steps; at most {COST_MAX} are allowed"),
        span: 0..text.len(),
        hint: Some("walk fewer lists within each other, or lists of a fixed length".into()),
    })
}
