//! Converts a parsed expression to the checked tree: every name exists, and every operator accepts its
//! operands.

mod call;
mod facts;
mod operator;
mod time;

use std::cell::Cell;

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators as op};

use super::calendar::Form;
use super::kind::Kind;
use super::parse::{Source, parse};
use super::tree::{Node, What};
use super::{ExpressionError, Scope};
use crate::path::{Path, Segment, snake};
use airlock_types::words::{did_you_mean, quoted_list};
use operator::{arithmetic, compare};

/// Most parts in the types of all values that an expression names. A type counts once for each time it is
/// named, because each name copies it: a short text can name a large type some hundred times. The bound is ten
/// times the largest types of a component.
const KIND_PARTS_MAX: usize = 100_000;

/// Checks an expression whose type must be bool.
pub(super) fn check(text: &str, scope: &Scope) -> Result<Node, ExpressionError> {
    // A nullable bool is accepted: a null at run time is a `Judgement::Error`.
    check_kind(text, scope, |kind| *kind == Kind::Bool, "a truth value")
}

/// Checks an expression whose value must be a scalar, or null.
pub(super) fn check_scalar(text: &str, scope: &Scope) -> Result<Node, ExpressionError> {
    let fits = |kind: &Kind| kind.is_scalar() || kind.form().is_some();
    check_kind(text, scope, fits, "a number, a string or a truth value")
}

/// Checks an expression of any kind.
pub(super) fn check_any(text: &str, scope: &Scope) -> Result<Node, ExpressionError> {
    check_kind(text, scope, |_| true, "a value")
}

fn check_kind(
    text: &str,
    scope: &Scope,
    fits: impl Fn(&Kind) -> bool,
    wanted: &str,
) -> Result<Node, ExpressionError> {
    let (expr, source) = parse(text)?;
    let left = Cell::new(KIND_PARTS_MAX);
    let mut checker = Checker { scope, source: &source, vars: Vec::new(), left };
    let root = checker.node(&expr)?;
    if !fits(root.kind.some()) {
        return Err(checker.error(&expr, format!("it is {}, not {wanted}", root.kind), None));
    }
    Ok(root)
}

struct Checker<'c> {
    scope: &'c Scope,
    source: &'c Source<'c>,
    /// Variables of the enclosing macros, the outermost first.
    vars: Vec<(String, Kind)>,
    /// Remaining parts in the types of named values.
    left: Cell<usize>,
}

type Checked = Result<Node, ExpressionError>;

impl Checker<'_> {
    fn node(&mut self, expr: &IdedExpr) -> Checked {
        match &expr.expr {
            Expr::Literal(literal) => self.literal(expr, literal),
            Expr::Ident(name) => self.ident(expr, name),
            Expr::Select(select) if !select.test => {
                // `args` itself has no value: arguments are a list of values and not a record.
                if self.is_args(&select.operand) {
                    return self.arg(expr, &select.operand, &select.field);
                }
                if self.is_named("facts", &select.operand) {
                    return Err(self.error(expr, facts::ALONE.into(), None));
                }
                let base = self.node(&select.operand)?;
                self.field(expr, base, &select.field)
            }
            Expr::List(list) => self.list(expr, &list.elements),
            Expr::Call(call) => self.call(expr, call),
            Expr::Select(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Comprehension(_) | Expr::Unspecified => {
                Err(self.error(
                    expr,
                    "maps, messages and optional syntax are not part of contracts".into(),
                    None,
                ))
            }
        }
    }

    fn list(&mut self, expr: &IdedExpr, elements: &[IdedExpr]) -> Checked {
        let mut items = Vec::new();
        let mut kind = Kind::Any;
        for element in elements {
            let item = self.node(element)?;
            kind = kind.join(&item.kind).ok_or_else(|| {
                self.error(element, format!("a list of {kind} with {} in it", item.kind), None)
            })?;
            items.push(item);
        }
        let kind = Kind::List(Box::new(kind), Some(items.len() as u64));
        Ok(self.made(expr, What::List(items), kind))
    }

    fn literal(&self, expr: &IdedExpr, literal: &LiteralValue) -> Checked {
        let (what, kind) = match literal {
            LiteralValue::Boolean(value) => (What::Bool(*value.inner()), Kind::Bool),
            LiteralValue::Int(value) => (What::Int(i128::from(*value.inner())), Kind::Number),
            // Signed and unsigned literals become one kind, so `1` compares with a `u64`.
            LiteralValue::UInt(value) => (What::Int(i128::from(*value.inner())), Kind::Number),
            LiteralValue::Double(value) => (What::Float(*value.inner()), Kind::Number),
            LiteralValue::String(value) => {
                let text = value.inner().to_owned();
                let kind = Kind::Text(Some(text.len() as u64));
                (What::Text(text), kind)
            }
            LiteralValue::Null => (What::Null, Kind::Null),
            LiteralValue::Bytes(_) => {
                return Err(self.error(expr, "bytes cannot be written in contracts".into(), None));
            }
        };
        Ok(self.made(expr, what, kind))
    }

    fn ident(&self, expr: &IdedExpr, name: &str) -> Checked {
        // The innermost variable of a name shadows outer ones, `args` and `result` too.
        if let Some(at) = self.vars.iter().rposition(|(var, _)| var == name) {
            return self.by_name(expr, What::Var(at), self.vars[at].1.clone());
        }
        match (name, &self.scope.result) {
            ("args", _) => Err(self.error(expr, "`args` stands before a name: `args.name`".into(), None)),
            ("result", Some(ty)) => {
                let kind = Kind::of(ty).bounded(&Path::default(), &self.scope.bounds.result);
                self.by_name(expr, What::Result, kind)
            }
            ("result", None) => {
                Err(self.error(expr, "there is no `result` here: only the arguments are known".into(), None))
            }
            ("facts", _) if !self.scope.facts.is_empty() => {
                Err(self.error(expr, "`facts` stands before a name: `facts.name[key]`".into(), None))
            }
            ("now", _) => Ok(self.made(expr, What::Now, Kind::Time(Form::Moment))),
            _ => self.term(expr, name),
        }
    }

    fn term(&self, expr: &IdedExpr, name: &str) -> Checked {
        let Some(term) = self.scope.terms.get(name) else {
            let known = ["args", "result", "now", "facts"].into_iter().chain(self.scope.terms.names());
            let hint = did_you_mean(name, known.chain(self.vars.iter().map(|(var, _)| var.as_str())));
            let message = format!("there is no `{name}`; there are `args` and `result`");
            return Err(self.error(expr, message, hint));
        };
        if term.reads.result && self.scope.result.is_none() {
            let message = format!("`{name}` reads the result, and here only the arguments are known");
            return Err(self.error(expr, message, None));
        }
        if !term.reads.facts.is_empty() && self.scope.facts.is_empty() {
            let message = format!("`{name}` looks up facts, which only relations may");
            return Err(self.error(expr, message, None));
        }
        self.by_name(expr, What::Term(term.clone()), term.kind.clone())
    }

    fn is_args(&self, expr: &IdedExpr) -> bool {
        self.is_named("args", expr)
    }

    /// Whether a part is this name, and no variable of the name is in the way.
    fn is_named(&self, wanted: &str, expr: &IdedExpr) -> bool {
        matches!(&expr.expr, Expr::Ident(name) if name == wanted)
            && !self.vars.iter().any(|(var, _)| var == wanted)
    }

    fn arg(&self, expr: &IdedExpr, args: &IdedExpr, name: &str) -> Checked {
        let known: Vec<String> =
            self.scope.args.iter().map(|field| snake(&field.name).into_owned()).collect();
        let at = self.place_of(expr, self.source.text(self.source.span(args)), name, &known)?;
        let place = Path::default().then(Segment::Field(name.to_owned()));
        let kind = Kind::of(&self.scope.args[at].ty).bounded(&place, &self.scope.bounds.args);
        self.by_name(expr, What::Arg(at), kind)
    }

    fn field(&self, expr: &IdedExpr, base: Node, name: &str) -> Checked {
        let Kind::Record(fields) = base.kind.some() else {
            let message = format!("`{}` is {}; it has no field `{name}`", base.text, base.kind);
            return Err(self.error(expr, message, None));
        };
        let known: Vec<String> = fields.iter().map(|(field, _)| field.clone()).collect();
        let kind = fields[self.place_of(expr, &base.text, name, &known)?].1.clone();
        Ok(self.made(expr, What::Field(Box::new(base), name.to_owned()), kind))
    }

    /// The index of a name among the fields of a record.
    fn place_of(
        &self,
        expr: &IdedExpr,
        base: &str,
        name: &str,
        known: &[String],
    ) -> Result<usize, ExpressionError> {
        known.iter().position(|field| field == name).ok_or_else(|| {
            let hint = did_you_mean(name, known.iter().map(String::as_str));
            let message = format!(
                "`{base}` has no field `{name}`; it has {}",
                quoted_list(known.iter().map(String::as_str))
            );
            self.error(expr, message, hint)
        })
    }

    fn call(&mut self, expr: &IdedExpr, call: &CallExpr) -> Checked {
        match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            (op::LOGICAL_AND, None, [a, b]) => self.both(expr, a, b, What::And),
            (op::LOGICAL_OR, None, [a, b]) => self.both(expr, a, b, What::Or),
            (op::LOGICAL_NOT, None, [a]) => {
                let a = self.expect(a, |kind| *kind == Kind::Bool, "a truth value")?;
                Ok(self.made(expr, What::Not(Box::new(a)), Kind::Bool))
            }
            (op::NEGATE, None, [a]) => {
                let a = self.number(a)?;
                Ok(self.made(expr, What::Negate(Box::new(a)), Kind::Number))
            }
            (op::CONDITIONAL, None, [test, a, b]) => self.choose(expr, test, a, b),
            (op::INDEX, None, [base, at]) => self.index(expr, base, at),
            (op::IN, None, [item, list]) => self.within(expr, item, list),
            (name, None, [a, b]) if arithmetic(name).is_some() => {
                self.arithmetic(expr, arithmetic(name), a, b)
            }
            (name, None, [a, b]) if compare(name).is_some() => self.compare(expr, compare(name), a, b),
            (name, target, args) => self.named(expr, name, target, args),
        }
    }

    fn both(
        &mut self,
        expr: &IdedExpr,
        a: &IdedExpr,
        b: &IdedExpr,
        make: fn(Box<Node>, Box<Node>) -> What,
    ) -> Checked {
        let a = self.expect(a, |kind| *kind == Kind::Bool, "a truth value")?;
        let b = self.expect(b, |kind| *kind == Kind::Bool, "a truth value")?;
        Ok(self.made(expr, make(Box::new(a), Box::new(b)), Kind::Bool))
    }

    fn choose(&mut self, expr: &IdedExpr, test: &IdedExpr, a: &IdedExpr, b: &IdedExpr) -> Checked {
        let test = self.expect(test, |kind| *kind == Kind::Bool, "a truth value")?;
        let (yes, no) = (self.node(a)?, self.node(b)?);
        let kind = yes.kind.join(&no.kind).ok_or_else(|| {
            self.error(expr, format!("either {} or {}: one kind is needed", yes.kind, no.kind), None)
        })?;
        Ok(self.made(expr, What::Choose(Box::new(test), Box::new(yes), Box::new(no)), kind))
    }

    fn index(&mut self, expr: &IdedExpr, base: &IdedExpr, at: &IdedExpr) -> Checked {
        if let Some(fact) = self.fact_name(base)? {
            return self.fact(expr, fact, at);
        }
        let (base, at_node) = (self.node(base)?, self.node(at)?);
        let kind = match (base.kind.some(), &at_node.what) {
            (Kind::List(item, _), _) if *at_node.kind.some() == Kind::Number => (**item).clone(),
            // The parts of a tuple differ in type, so the index must be a literal.
            (Kind::Tuple(items), What::Int(i)) => {
                let item = usize::try_from(*i).ok().and_then(|i| items.get(i));
                item.cloned().ok_or_else(|| {
                    self.error(at, format!("the tuple has {} items, from 0", items.len()), None)
                })?
            }
            (Kind::Map(key, value, _), _) if at_node.kind.comparable(key) => (**value).clone(),
            _ => {
                let message = format!("{} cannot be indexed by {}", base.kind, at_node.kind);
                return Err(self.error(expr, message, None));
            }
        };
        Ok(self.made(expr, What::Index(Box::new(base), Box::new(at_node)), kind))
    }

    fn within(&mut self, expr: &IdedExpr, item: &IdedExpr, list: &IdedExpr) -> Checked {
        if let Some(fact) = self.fact_name(list)? {
            return self.seen(expr, fact, item);
        }
        let (item_node, list_node) = (self.node(item)?, self.node(list)?);
        let inner = match list_node.kind.some() {
            Kind::List(inner, _) => (**inner).clone(),
            Kind::Map(key, ..) => (**key).clone(),
            other => return Err(self.error(list, format!("`in` wants a list, not {other}"), None)),
        };
        // Checked in both directions: either side can be the enum, and the other side the literal.
        let wanted = Kind::List(Box::new(item_node.kind.clone()), None);
        self.known_cases(expr, &inner, &item_node)?;
        self.known_cases(expr, &wanted, &list_node)?;
        self.same(expr, &item_node.kind, &inner)?;
        Ok(self.made(expr, What::In(Box::new(item_node), Box::new(list_node)), Kind::Bool))
    }

    fn expect(&mut self, expr: &IdedExpr, fits: impl Fn(&Kind) -> bool, wanted: &str) -> Checked {
        let node = self.node(expr)?;
        if fits(node.kind.some()) {
            return Ok(node);
        }
        Err(self.error(expr, format!("`{}` is {}, not {wanted}", node.text, node.kind), None))
    }

    fn number(&mut self, expr: &IdedExpr) -> Checked {
        self.expect(expr, |kind| *kind == Kind::Number, "a number")
    }

    /// A node for a named value. Its type counts against [`KIND_PARTS_MAX`] each time.
    fn by_name(&self, expr: &IdedExpr, what: What, kind: Kind) -> Checked {
        let left = self.left.get().checked_sub(kind.parts()).ok_or_else(|| {
            let message =
                format!("the values that it names have more than {KIND_PARTS_MAX} parts in their types");
            self.error(expr, message, Some("name fewer values, or values of smaller types".into()))
        })?;
        self.left.set(left);
        Ok(self.made(expr, what, kind))
    }

    fn made(&self, expr: &IdedExpr, what: What, kind: Kind) -> Node {
        let place = self.source.span(expr);
        Node { what, kind, start: place.start, text: self.source.text(place).to_owned() }
    }

    fn error(&self, expr: &IdedExpr, message: String, hint: Option<String>) -> ExpressionError {
        ExpressionError { message, span: self.source.span(expr), hint }
    }
}
