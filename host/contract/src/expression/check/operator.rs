//! Operators: arithmetic and comparisons.

use cel::common::ast::{IdedExpr, operators as op};

use super::time::is_of_time;
use super::{Checked, Checker, ExpressionError};
use crate::expression::kind::Kind;
use crate::expression::tree::{Arithmetic, Compare, Node, What};
use airlock_types::words::{did_you_mean, quoted_list};

impl Checker<'_> {
    pub(super) fn arithmetic(
        &mut self,
        expr: &IdedExpr,
        op: Option<Arithmetic>,
        a: &IdedExpr,
        b: &IdedExpr,
    ) -> Checked {
        let (left, right) = (self.node(a)?, self.node(b)?);
        if let Some(op) = op.filter(|op| is_of_time(*op, &left.kind, &right.kind)) {
            return self.time_arithmetic(expr, op, (a, left), (b, right));
        }
        let texts = left.kind.some().is_text() && right.kind.some().is_text();
        let numbers = *left.kind.some() == Kind::Number && *right.kind.some() == Kind::Number;
        match op {
            Some(Arithmetic::Add) if texts => Ok(self.made(
                expr,
                What::Arithmetic(Arithmetic::Add, Box::new(left), Box::new(right)),
                Kind::Text(None),
            )),
            Some(op) if numbers => {
                Ok(self.made(expr, What::Arithmetic(op, Box::new(left), Box::new(right)), Kind::Number))
            }
            _ => {
                let message = format!("{} and {} cannot be computed with each other", left.kind, right.kind);
                Err(self.error(expr, message, None))
            }
        }
    }

    pub(super) fn compare(
        &mut self,
        expr: &IdedExpr,
        op: Option<Compare>,
        a: &IdedExpr,
        b: &IdedExpr,
    ) -> Checked {
        let (left, right) = (self.node(a)?, self.node(b)?);
        let (left, right) = self.same_form((a, left), (b, right))?;
        let op = op.unwrap_or(Compare::Equal);
        if matches!(op, Compare::Equal | Compare::NotEqual) {
            self.known_cases(expr, &left.kind, &right)?;
            self.known_cases(expr, &right.kind, &left)?;
            self.same(expr, &left.kind, &right.kind)?;
        } else {
            let (l, r) = (left.kind.some(), right.kind.some());
            if !l.is_ordered() || !r.is_ordered() || !l.comparable(r) {
                let message = format!("{} and {} cannot be compared by size", left.kind, right.kind);
                return Err(self.error(expr, message, None));
            }
        }
        Ok(self.made(expr, What::Compare(op, Box::new(left), Box::new(right)), Kind::Bool))
    }

    pub(super) fn same(&self, expr: &IdedExpr, a: &Kind, b: &Kind) -> Result<(), ExpressionError> {
        if a.comparable(b) {
            Ok(())
        } else {
            Err(self.error(expr, format!("{a} is never equal to {b}"), None))
        }
    }

    /// Refuses a comparison of an enum with a literal that is not one of its cases, directly or inside a list:
    /// it could never be true.
    pub(super) fn known_cases(
        &self,
        expr: &IdedExpr,
        kind: &Kind,
        node: &Node,
    ) -> Result<(), ExpressionError> {
        match (kind.some(), &node.what) {
            (Kind::Enum(cases), What::Text(text)) if !cases.contains(text) => {
                let hint = did_you_mean(text, cases.iter().map(String::as_str));
                let message =
                    format!("`{text}` is not one of {}", quoted_list(cases.iter().map(String::as_str)));
                Err(self.error(expr, message, hint))
            }
            (Kind::List(inner, _), What::List(items)) => {
                items.iter().try_for_each(|item| self.known_cases(expr, inner, item))
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn arithmetic(name: &str) -> Option<Arithmetic> {
    match name {
        op::ADD => Some(Arithmetic::Add),
        op::SUBSTRACT => Some(Arithmetic::Subtract),
        op::MULTIPLY => Some(Arithmetic::Multiply),
        op::DIVIDE => Some(Arithmetic::Divide),
        op::MODULO => Some(Arithmetic::Modulo),
        _ => None,
    }
}

pub(super) fn compare(name: &str) -> Option<Compare> {
    match name {
        op::EQUALS => Some(Compare::Equal),
        op::NOT_EQUALS => Some(Compare::NotEqual),
        op::LESS => Some(Compare::Less),
        op::LESS_EQUALS => Some(Compare::LessEqual),
        op::GREATER => Some(Compare::Greater),
        op::GREATER_EQUALS => Some(Compare::GreaterEqual),
        _ => None,
    }
}
