//! Expressions of contracts: CEL, checked against the tool's types before anything runs.
//!
//! The `cel` crate parses. What it lacks is here: an expression is checked against WIT types at load, its cost
//! is estimated before and metered while it runs, numbers of all widths mix exactly, it reads component values
//! where they lie, and a rule that fails is explained by the values that decided it. For that the checked tree
//! is our own, and so is its evaluation. Must not know what follows from a judgement. To add a function: its
//! name and type in `check`, its work in `eval`.

mod check;
mod cost;
mod datum;
mod eval;
mod explain;
mod kind;
mod meter;
mod parse;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;
use std::ops::Range;

use super::Val;
use super::ty::{Field, Ty};
use tree::Node;

/// What one expression may cost, in steps; Kubernetes' number.
pub const COST_MAX: u64 = 1_000_000;

/// What all expressions of one call may cost together.
pub const COST_CALL_MAX: u64 = 10_000_000;

/// Items that a list of unknown length is taken to have when the cost is estimated. A longer one is met by the
/// meter that runs along.
pub const LIST_ITEMS: u64 = 1_000;

/// Bytes that a string of unknown length is taken to have.
pub const STRING_BYTES: u64 = 1_000;

/// The names that an expression may use, with their types: `args`, and `result` where there is one. Names inside
/// are the snake_case ones that agents see.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The parameters.
    pub args: Vec<Field>,
    /// The result.
    pub result: Option<Ty>,
}

/// An expression that is a truth value, checked.
#[derive(Clone, Debug)]
pub struct Expression {
    root: Node,
    cost: u64,
}

/// Why an expression is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// What is wrong.
    pub message: String,
    /// Where, in bytes of the expression's text.
    pub span: Range<usize>,
    /// How it may be mended.
    pub hint: Option<String>,
}

/// The values that an expression reads.
#[derive(Clone, Copy, Debug)]
pub struct Bindings<'a> {
    /// The parameters, in order.
    pub params: &'a [Field],
    /// Their values.
    pub args: &'a [Val],
    /// The result's value.
    pub result: Option<&'a Val>,
}

/// What came of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It holds.
    Holds,
    /// It does not, and why.
    Fails(Explanation),
    /// It could not be told: a null, a division by zero, too many steps.
    Error(Explanation),
}

/// The values that decided, as text: `args.from = "2020-05", args.to = "2020-01"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation(pub String);

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Expression {
    /// Checks an expression that must be a truth value.
    ///
    /// # Errors
    /// When it does not parse, names what is not there, mixes what does not mix, or may cost too much.
    pub fn compile_bool(text: &str, scope: &Scope) -> Result<Expression, ExpressionError> {
        let mut root = check::check(text, scope)?;
        let cost = cost::estimate(&root);
        if cost > COST_MAX {
            return Err(ExpressionError {
                message: format!("it may cost {cost} steps; at most {COST_MAX} are allowed"),
                span: 0..text.len(),
                hint: Some("walk fewer lists within each other, or lists of a fixed length".into()),
            });
        }
        root.outline();
        Ok(Expression { root, cost })
    }

    /// The most steps that it may take, lists and strings at their assumed sizes.
    pub fn cost(&self) -> u64 {
        self.cost
    }

    /// Judges these values.
    pub fn eval(&self, bindings: &Bindings<'_>) -> Judgement {
        eval::judge(&self.root, bindings)
    }
}
