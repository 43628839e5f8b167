//! Named terms: expressions that several rules of a tool share, each under its name.
//!
//! Owns their order and bounds. A term is checked once and evaluated once in each rule that names it, and an
//! explanation shows it by its name. Must not know which rules name it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cel::common::ast::Expr;

use super::kind::Kind;
use super::parse::{names, parse};
use super::reads::Reads;
use super::tree::Node;
use super::{ExpressionError, Scope, bounded, check, constant, cost};

/// Most terms that name each other in a chain. Evaluation recurses by it, each time by the depth of an expression.
pub(super) const CHAIN_MAX: usize = 4;

/// The terms of one tool, by name.
#[derive(Clone, Debug, Default)]
pub struct Terms(BTreeMap<String, Arc<Term>>);

/// A checked term.
#[derive(Debug)]
pub(super) struct Term {
    pub(super) node: Node,
    /// Its kind, with the parts that the node has no more.
    pub(super) kind: Kind,
    /// Its estimated steps, without those of the terms that it names.
    pub(super) cost: u64,
    pub(super) reads: Reads,
    /// Whether it reads nothing.
    pub(super) is_constant: bool,
    /// The same of the whole: an item of a list that it has itself is no reading.
    pub(super) reads_nothing: bool,
    /// The text as it was written, and the terms that it names.
    text: String,
    uses: BTreeSet<String>,
    chain: usize,
}

impl Terms {
    /// Checks terms in the order in which they name each other. Each problem has the name of its term.
    pub fn compile(written: &BTreeMap<&str, &str>, scope: &Scope) -> (Terms, Vec<(String, ExpressionError)>) {
        let mut scope = Scope { terms: Terms::default(), ..scope.clone() };
        let (mut left, mut problems) = (written.clone(), Vec::new());
        // Terms that name no term that is left can be checked. Every round checks one at least.
        while let Some(name) = left.keys().find(|name| is_free(left[*name], &left)).copied() {
            let text = left.remove(name).unwrap_or_default();
            match Term::compile(name, text, &scope) {
                Ok(term) => drop(scope.terms.0.insert(name.to_owned(), Arc::new(term))),
                Err(err) => problems.push((name.to_owned(), err)),
            }
        }
        problems.extend(left.into_iter().map(|(name, text)| {
            (name.to_owned(), wrong(text, "it names itself, directly or through other terms".to_owned()))
        }));
        (scope.terms, problems)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Arc<Term>> {
        self.0.get(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The terms that an expression names, directly or through other terms, with their texts.
    pub fn used(&self, text: &str) -> BTreeMap<&str, &str> {
        // Most tools have no terms, and parsing is most of the time in which a contract is prepared.
        if self.0.is_empty() {
            return BTreeMap::new();
        }
        let (mut used, mut left) = (BTreeMap::new(), names(text));
        while let Some(name) = left.pop_first() {
            if let Some((name, term)) = self.0.get_key_value(&name)
                && used.insert(name.as_str(), term.text.as_str()).is_none()
            {
                left.extend(term.uses.iter().cloned());
            }
        }
        used
    }
}

impl Term {
    fn compile(name: &str, text: &str, scope: &Scope) -> Result<Term, ExpressionError> {
        let is_name = parse(name).is_ok_and(|(expr, _)| matches!(&expr.expr, Expr::Ident(it) if it == name));
        if !is_name || ["args", "result", "now", "facts"].contains(&name) {
            return Err(wrong(text, format!("`{name}` cannot be the name of a term")));
        }
        let uses: BTreeSet<String> =
            names(text).into_iter().filter(|name| scope.terms.get(name).is_some()).collect();
        let chain = uses.iter().filter_map(|name| Some(scope.terms.get(name)?.chain)).max().unwrap_or(0) + 1;
        if chain > CHAIN_MAX {
            return Err(wrong(text, format!("more than {CHAIN_MAX} terms name each other in a chain")));
        }
        let mut node = check::check_any(text, scope)?;
        let reads = Reads::of(&node, &scope.args);
        bounded(&node, &reads, text)?;
        constant::refuse_valueless(&node)?;
        let is_constant = constant::is_constant(&node);
        let reads_nothing = constant::reads_nothing(&node);
        let cost = cost::estimate(&node);
        let kind = node.kind.clone();
        node.outline();
        Ok(Term { node, kind, cost, reads, is_constant, reads_nothing, text: text.to_owned(), uses, chain })
    }
}

fn is_free(text: &str, left: &BTreeMap<&str, &str>) -> bool {
    names(text).iter().all(|name| !left.contains_key(name.as_str()))
}

fn wrong(text: &str, message: String) -> ExpressionError {
    ExpressionError { message, span: 0..text.len(), hint: None }
}
