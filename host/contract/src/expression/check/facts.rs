//! Lookups of facts: by a key, or whether there is one.

use cel::common::ast::{Expr, IdedExpr};

use super::{Checked, Checker, ExpressionError};
use crate::expression::kind::Kind;
use crate::expression::tree::{Node, What};
use airlock_types::words::{did_you_mean, quoted_list};

/// Said of facts without a key: then all of them would have decided the call.
pub(super) const ALONE: &str = "facts are looked up one by one: `facts.name[key]`, or `key in facts.name`";

impl Checker<'_> {
    /// The place of the facts that a part names: `facts.name`. None for another part.
    pub(super) fn fact_name(&self, expr: &IdedExpr) -> Result<Option<usize>, ExpressionError> {
        let Expr::Select(select) = &expr.expr else { return Ok(None) };
        if select.test || !self.is_named("facts", &select.operand) {
            return Ok(None);
        }
        let known = || self.scope.facts.iter().map(|fact| fact.name.as_str());
        let at = known().position(|name| name == select.field);
        at.map(Some).ok_or_else(|| {
            let there = if self.scope.facts.is_empty() {
                "here no facts can be looked up".to_owned()
            } else {
                format!("there are {}", quoted_list(known()))
            };
            let message = format!("there are no facts `{}`; {there}", select.field);
            self.error(expr, message, did_you_mean(&select.field, known()))
        })
    }

    pub(super) fn fact(&mut self, expr: &IdedExpr, at: usize, key: &IdedExpr) -> Checked {
        let key = self.fact_key(at, key)?;
        let kind = Kind::of(&self.scope.facts[at].ty.value);
        self.by_name(expr, What::Fact(at, Box::new(key)), kind)
    }

    pub(super) fn seen(&mut self, expr: &IdedExpr, at: usize, key: &IdedExpr) -> Checked {
        let key = self.fact_key(at, key)?;
        Ok(self.made(expr, What::Seen(at, Box::new(key)), Kind::Bool))
    }

    fn fact_key(&mut self, at: usize, key: &IdedExpr) -> Result<Node, ExpressionError> {
        let node = self.node(key)?;
        let wanted = Kind::of(&self.scope.facts[at].ty.key);
        let is_text = node.kind.some().is_text() && wanted.is_text();
        if is_text || (*node.kind.some() == Kind::Number && wanted == Kind::Number) {
            return Ok(node);
        }
        let name = &self.scope.facts[at].name;
        Err(self.error(key, format!("the key of `facts.{name}` is {wanted}, not {}", node.kind), None))
    }
}
