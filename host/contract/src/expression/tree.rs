//! The checked tree: an expression in which every name and operator is known to be valid.

use std::sync::Arc;

use chrono_tz::Tz;
use regex::Regex;

use super::calendar::Form;
use super::fold::Fold;
use super::kind::Kind;
use super::term::Term;
use crate::period::Unit;

/// A checked part, with its text for explanations.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) what: What,
    pub(super) kind: Kind,
    pub(super) text: String,
    /// Byte offset of the text in the whole expression.
    pub(super) start: usize,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    /// An argument, by its index among the parameters.
    Arg(usize),
    Result,
    /// The time of the call.
    Now,
    /// The date of the call in a zone.
    Today(Tz),
    /// A named term.
    Term(Arc<Term>),
    /// The fact with a key, by the place of its name in the scope.
    Fact(usize, Box<Node>),
    /// Whether there is a fact with a key.
    Seen(usize, Box<Node>),
    /// The variable of a macro, counted from the outermost.
    Var(usize),
    Field(Box<Node>, String),
    Index(Box<Node>, Box<Node>),
    List(Vec<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Choose(Box<Node>, Box<Node>, Box<Node>),
    Arithmetic(Arithmetic, Box<Node>, Box<Node>),
    Compare(Compare, Box<Node>, Box<Node>),
    In(Box<Node>, Box<Node>),
    Has(Box<Node>),
    Call(Function, Vec<Node>),
    Macro(Macro, Box<Node>, Box<Node>),
    /// The date or point in time of a text.
    Time(Form, Box<Node>),
    /// A fold of a list, whose texts are read in a form first.
    Fold(Fold, Option<Form>, Box<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

#[derive(Clone, Debug)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Matches(Regex),
    Int,
    Double,
    String,
    Abs,
    Min,
    Max,
    /// The calendar period that a text names, widened to whole units.
    Period(Unit),
    /// A number of units of this many seconds, as a span.
    Span(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Macro {
    All,
    Count,
    Exists,
    ExistsOne,
    Filter,
    Map,
    /// Whether no two items have the same key.
    Unique,
}

impl Node {
    /// The parts inside this one, in the order of the text.
    pub(super) fn parts(&self) -> Vec<&Node> {
        match &self.what {
            What::Null | What::Bool(_) | What::Int(_) | What::Float(_) | What::Text(_) => Vec::new(),
            What::Arg(_) | What::Result | What::Var(_) => Vec::new(),
            // A term is shown by its name, and its text is not a part of this one.
            What::Now | What::Today(_) | What::Term(_) => Vec::new(),
            What::Field(a, _) | What::Not(a) | What::Negate(a) | What::Has(a) => vec![a],
            What::Fact(_, a) | What::Seen(_, a) => vec![a],
            What::Time(_, a) | What::Fold(_, _, a) => vec![a],
            What::Index(a, b) | What::And(a, b) | What::Or(a, b) | What::In(a, b) => vec![a, b],
            What::Arithmetic(_, a, b) | What::Compare(_, a, b) | What::Macro(_, a, b) => vec![a, b],
            What::Choose(test, a, b) => vec![test, a, b],
            What::List(nodes) | What::Call(_, nodes) => nodes.iter().collect(),
        }
    }

    /// Removes the inside of the kinds, which only checking needs. Otherwise each part would keep a copy of its
    /// type.
    pub(super) fn outline(&mut self) {
        self.kind = self.kind.outline();
        match &mut self.what {
            // Listed in full, so that a new part cannot keep its types by accident.
            What::Null | What::Bool(_) | What::Int(_) | What::Float(_) | What::Text(_) => {}
            What::Arg(_) | What::Result | What::Var(_) => {}
            What::Now | What::Today(_) | What::Term(_) => {}
            What::Field(a, _) | What::Not(a) | What::Negate(a) | What::Has(a) => a.outline(),
            What::Fact(_, a) | What::Seen(_, a) => a.outline(),
            What::Time(_, a) | What::Fold(_, _, a) => a.outline(),
            What::Index(a, b)
            | What::And(a, b)
            | What::Or(a, b)
            | What::In(a, b)
            | What::Arithmetic(_, a, b)
            | What::Compare(_, a, b)
            | What::Macro(_, a, b) => [a, b].into_iter().for_each(|part| part.outline()),
            What::Choose(test, a, b) => [test, a, b].into_iter().for_each(|part| part.outline()),
            What::List(nodes) | What::Call(_, nodes) => nodes.iter_mut().for_each(Node::outline),
        }
    }
}
