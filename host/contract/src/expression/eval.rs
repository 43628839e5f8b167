//! Evaluates a checked expression over component values, with every step metered.

mod walk;

use super::datum::Datum;
use super::meter::{BYTES_A_STEP, Meter, Trouble};
use super::term::Term;
use super::tree::{Arithmetic, Compare, Function, Node, What};
use super::{Bindings, Explanation, Judgement, calendar, explain};
use crate::facts::Found;
use crate::number::whole;
use crate::{Val, period};

/// One evaluation of one expression.
pub(super) struct Run<'v> {
    pub(super) bindings: Bindings<'v>,
    /// The variables of the enclosing macros, the outermost first.
    pub(super) vars: Vec<Var<'v>>,
    pub(super) meter: Meter,
    /// The values of the terms that were evaluated: each is the same wherever it is named.
    pub(super) terms: Vec<(*const Term, Evaluated<'v>)>,
}

impl<'v> Run<'v> {
    fn new(bindings: Bindings<'v>) -> Run<'v> {
        Run { bindings, ..Run::default() }
    }
}

/// An evaluation of parts that read nothing.
impl Default for Run<'_> {
    fn default() -> Self {
        let bindings = Bindings { params: &[], args: &[], result: None, now_unix_ms: None, facts: None };
        Run { bindings, vars: Vec::new(), meter: Meter::default(), terms: Vec::new() }
    }
}

/// The variable of a macro: the current item, its list, and its index for explanations.
#[derive(Clone)]
pub(super) struct Var<'v> {
    pub(super) item: Datum<'v>,
    pub(super) list: &'v Node,
    pub(super) at: usize,
}

/// Evaluates a rule, and explains it if it is false.
pub(super) fn judge<'v>(root: &'v Node, bindings: &Bindings<'v>) -> Judgement {
    let mut run = Run::new(*bindings);
    match run.truth(root) {
        Ok(true) => Judgement::Holds,
        Ok(false) => {
            // The explanation evaluates again and gets its own budget, or a rule near its limit could not be
            // explained.
            run.meter = Meter::default();
            Judgement::Fails(Explanation(explain::failing(&mut run, root)))
        }
        Err(trouble) => Judgement::Error(Explanation(trouble.to_string())),
    }
}

/// What would satisfy a rule that does not hold.
pub(super) fn satisfying<'v>(root: &'v Node, bindings: &Bindings<'v>) -> Option<String> {
    explain::satisfying(&mut Run::new(*bindings), root)
}

/// The values by which a rule that holds does.
pub(super) fn deciding<'v>(root: &'v Node, bindings: &Bindings<'v>) -> Vec<String> {
    explain::holding(&mut Run::new(*bindings), root)
}

/// The values of two scalar parts as text, where they differ and the first one is not null.
pub(super) fn difference<'v>(
    asked: &'v Node,
    answered: &'v Node,
    bindings: &Bindings<'v>,
) -> Result<Option<(String, Option<String>)>, Explanation> {
    let value = |node| value(node, bindings);
    let asked = value(asked)?;
    if matches!(asked, Datum::Null) {
        return Ok(None);
    }
    let answered = value(answered)?;
    let equal = asked.equals(&answered, &mut Meter::default());
    if equal.map_err(|trouble| Explanation(trouble.to_string()))? {
        return Ok(None);
    }
    let asked = explain::plain(&asked);
    let told = (!matches!(answered, Datum::Null)).then(|| explain::plain(&answered));
    // Two different texts can look alike once they are cleaned and cut.
    let is_alike = told.as_ref() == Some(&asked);
    Ok(Some((
        asked,
        told.map(|told| if is_alike { format!("{told}, which only looks alike") } else { told }),
    )))
}

/// The value of a scalar expression as text. `None` where it is null.
pub(super) fn text<'v>(node: &'v Node, bindings: &Bindings<'v>) -> Result<Option<String>, Explanation> {
    let value = value(node, bindings)?;
    let text = || value.text().map_or_else(|| explain::plain(&value), str::to_owned);
    Ok((!matches!(value, Datum::Null)).then(text))
}

/// The value of an expression, with a budget of its own, as its estimate has.
fn value<'v>(node: &'v Node, bindings: &Bindings<'v>) -> Result<Datum<'v>, Explanation> {
    match Run::new(*bindings).eval(node) {
        // An absent argument is a null inside a call: nothing was asked.
        Err(Trouble::Null(_)) => Ok(Datum::Null),
        other => other.map_err(|trouble| Explanation(trouble.to_string())),
    }
}

pub(super) type Evaluated<'v> = Result<Datum<'v>, Trouble>;

impl<'v> Run<'v> {
    pub(super) fn eval(&mut self, node: &'v Node) -> Evaluated<'v> {
        // Every part passes here, so this line alone bounds the number of steps. Longer work is counted where
        // it is done.
        self.meter.spend(1)?;
        match &node.what {
            What::Null => Ok(Datum::Null),
            What::Bool(value) => Ok(Datum::Bool(*value)),
            What::Int(value) => Ok(Datum::Int(*value)),
            What::Float(value) => Ok(Datum::Float(*value)),
            What::Text(value) => Ok(Datum::Text(value)),
            What::Arg(at) => Ok(self.bindings.args.get(*at).map_or(Datum::Null, Datum::of)),
            What::Result => Ok(self.bindings.result.map_or(Datum::Null, Datum::of)),
            What::Var(at) => Ok(self.vars.get(*at).map_or(Datum::Null, |var| var.item.clone())),
            What::Fact(at, key) => self.fact(*at, key)?.map_err(Trouble::Unseen),
            What::Seen(at, key) => self.fact(*at, key).map(|found| Datum::Bool(found.is_ok())),
            What::Field(base, name) => self.present(base)?.field(name).ok_or_else(|| unfit(base)),
            What::Index(base, at) => self.index(node, base, at),
            What::List(items) => {
                Ok(Datum::List(items.iter().map(|item| self.eval(item)).collect::<Result<_, _>>()?))
            }
            What::Not(a) => Ok(Datum::Bool(!self.truth(a)?)),
            What::Negate(a) => match self.present(a)? {
                Datum::Int(n) => n.checked_neg().map(Datum::Int).ok_or_else(|| self.no_value(node)),
                Datum::Float(n) => Ok(Datum::Float(-n)),
                _ => Err(unfit(a)),
            },
            What::And(a, b) => self.decide(a, b, false),
            What::Or(a, b) => self.decide(a, b, true),
            What::Choose(test, a, b) => {
                let chosen = if self.truth(test)? { a } else { b };
                self.eval(chosen)
            }
            What::Arithmetic(op, a, b) => self.arithmetic(node, *op, a, b),
            What::Compare(op, a, b) => self.compare(*op, a, b).map(Datum::Bool),
            What::In(item, list) => self.within(item, list),
            What::Has(field) => self.has(field).map(Datum::Bool),
            What::Call(function, nodes) => self.call(node, function, nodes),
            What::Macro(which, list, body) => self.walk(*which, list, body),
            What::Now | What::Today(_) => self.time(node),
            What::Term(term) => self.term(term),
            What::Time(form, of) => {
                let of = self.present(of)?;
                form.read(&of).ok_or_else(|| self.unread(node, *form, &of))
            }
            What::Fold(which, form, list) => self.fold(node, *which, *form, list),
        }
    }

    /// The value of a part that must not be null.
    pub(super) fn present(&mut self, node: &'v Node) -> Evaluated<'v> {
        match self.eval(node)? {
            Datum::Null => Err(Trouble::Null(explain::called(self, node))),
            datum => Ok(datum),
        }
    }

    pub(super) fn truth(&mut self, node: &'v Node) -> Result<bool, Trouble> {
        if let Datum::Bool(value) = self.present(node)? { Ok(value) } else { Err(unfit(node)) }
    }

    /// Whether a field is present: it and everything on the way to it is not null.
    fn has(&mut self, field: &'v Node) -> Result<bool, Trouble> {
        match self.eval(field) {
            // Only a null is absence. Other errors are passed on, above all that of a spent meter.
            Ok(Datum::Null) | Err(Trouble::Null(_) | Trouble::Unseen(_)) => Ok(false),
            Ok(_) => Ok(true),
            Err(trouble) => Err(trouble),
        }
    }

    /// The fact with a key, or why there is none.
    fn fact(&mut self, at: usize, key: &'v Node) -> Result<Result<Datum<'v>, String>, Trouble> {
        let key = self.present(key)?;
        let number = if let Datum::Int(n) = key { Some(n.to_string()) } else { None };
        let key = number.as_deref().or(key.text()).unwrap_or_default();
        self.meter.spend(key.len() as u64 / BYTES_A_STEP)?;
        let none = "there is no session that could have seen it";
        Ok(match self.bindings.facts.map(|facts| facts.look(at, key)) {
            Some(Found::Fact(fact)) => Ok(Datum::of(&fact.value)),
            Some(Found::Nothing(why)) => Err(why),
            None => Err(none.to_owned()),
        })
    }

    /// `&&` and `||`: a decisive side wins over an error on the other side, in either order.
    fn decide(&mut self, a: &'v Node, b: &'v Node, decisive: bool) -> Evaluated<'v> {
        // CEL's definition: `false && error` is false and `error && false` too.
        let left = self.truth(a);
        if left == Ok(decisive) {
            return Ok(Datum::Bool(decisive));
        }
        let right = self.truth(b);
        if right == Ok(decisive) {
            return Ok(Datum::Bool(decisive));
        }
        // Neither side decided: the first error counts, or else both have the other value.
        left.and(right).map(Datum::Bool)
    }

    fn index(&mut self, node: &'v Node, base: &'v Node, at: &'v Node) -> Evaluated<'v> {
        let (list, key) = (self.present(base)?, self.present(at)?);
        let found = if matches!(list, Datum::Val(Val::Map(_))) {
            list.entry(&key, &mut self.meter)?
        } else if let Datum::Int(i) = key {
            usize::try_from(i).ok().and_then(|i| list.item(i))
        } else {
            None
        };
        found.ok_or_else(|| {
            let called = explain::called(self, node);
            Trouble::Other(format!("`{called}`: there is no item {}", explain::shown(&key)))
        })
    }

    fn arithmetic(&mut self, node: &'v Node, op: Arithmetic, a: &'v Node, b: &'v Node) -> Evaluated<'v> {
        let (left, right) = (self.present(a)?, self.present(b)?);
        if let (Some(left), Some(right)) = (left.text(), right.text()) {
            self.meter.spend((left.len() + right.len()) as u64 / BYTES_A_STEP)?;
            return Ok(Datum::Made(format!("{left}{right}").into()));
        }
        if let (Datum::Int(left), Datum::Int(right)) = (&left, &right) {
            // Integers are checked: an overflow or a division by zero is an error. Floats follow IEEE 754.
            return integers(op, *left, *right).map(Datum::Int).ok_or_else(|| {
                let called = explain::called(self, node);
                Trouble::Other(format!("`{called}` has no value: {left} and {right}"))
            });
        }
        let (Some(left), Some(right)) = (float(&left), float(&right)) else {
            return calendar::arithmetic(op, &left, &right).ok_or_else(|| self.no_value(node));
        };
        Ok(Datum::Float(match op {
            Arithmetic::Add => left + right,
            Arithmetic::Subtract => left - right,
            Arithmetic::Multiply => left * right,
            Arithmetic::Divide => left / right,
            Arithmetic::Modulo => left % right,
        }))
    }

    fn compare(&mut self, op: Compare, a: &'v Node, b: &'v Node) -> Result<bool, Trouble> {
        if matches!(op, Compare::Equal | Compare::NotEqual) {
            let (left, right) = (self.eval(a)?, self.eval(b)?);
            return Ok(left.equals(&right, &mut self.meter)? == (op == Compare::Equal));
        }
        let (left, right) = (self.present(a)?, self.present(b)?);
        // NaN has no order: no comparison by size holds.
        let Some(order) = left.order(&right, &mut self.meter)? else { return Ok(false) };
        Ok(match op {
            Compare::Less => order.is_lt(),
            Compare::LessEqual => order.is_le(),
            Compare::Greater => order.is_gt(),
            Compare::GreaterEqual => order.is_ge(),
            Compare::Equal => order.is_eq(),
            Compare::NotEqual => order.is_ne(),
        })
    }

    fn within(&mut self, item: &'v Node, list: &'v Node) -> Evaluated<'v> {
        let (item, among) = (self.eval(item)?, self.present(list)?);
        let count = among.items().ok_or_else(|| unfit(list))?;
        for other in (0..count).filter_map(|at| among.item(at)) {
            if other.equals(&item, &mut self.meter)? {
                return Ok(Datum::Bool(true));
            }
        }
        Ok(Datum::Bool(false))
    }

    fn call(&mut self, node: &'v Node, function: &'v Function, nodes: &'v [Node]) -> Evaluated<'v> {
        // All functions refuse null, so that `size(x)` of an absent list is an error and not 0.
        let values = nodes.iter().map(|node| self.present(node)).collect::<Result<Vec<_>, _>>()?;
        // Charged before the function reads its strings.
        for text in values.iter().filter_map(Datum::text) {
            self.meter.spend(text.len() as u64 / BYTES_A_STEP)?;
        }
        let made = match values.as_slice() {
            [a] => of_one(function, a, self.bindings.now_unix_ms),
            [a, b] => self.of_two(function, a, b)?,
            _ => None,
        };
        made.ok_or_else(|| self.no_value(node))
    }

    fn of_two(
        &mut self,
        function: &Function,
        a: &Datum<'v>,
        b: &Datum<'v>,
    ) -> Result<Option<Datum<'v>>, Trouble> {
        if let (Some(a), Some(b)) = (a.text(), b.text()) {
            return Ok(on_texts(function, a, b).map(Datum::Bool));
        }
        let order = a.order(b, &mut self.meter)?;
        Ok(match function {
            Function::Min => order.map(|order| if order.is_le() { a.clone() } else { b.clone() }),
            Function::Max => order.map(|order| if order.is_ge() { a.clone() } else { b.clone() }),
            _ => None,
        })
    }

    pub(super) fn no_value(&self, node: &'v Node) -> Trouble {
        Trouble::Other(format!("`{}` has no value", explain::called(self, node)))
    }
}

fn of_one<'v>(function: &Function, a: &Datum<'v>, now_unix_ms: Option<u64>) -> Option<Datum<'v>> {
    match function {
        Function::Size => a.size().map(|size| Datum::Int(size as i128)),
        Function::Matches(regex) => a.text().map(|text| Datum::Bool(regex.is_match(text))),
        Function::Int => int(a).map(Datum::Int),
        Function::Double => match a.text() {
            Some(text) => text.parse().ok().map(Datum::Float),
            None => float(a).map(Datum::Float),
        },
        Function::String => {
            Some(Datum::Made(a.text().map_or_else(|| explain::shown(a), str::to_owned).into()))
        }
        Function::Abs => match a {
            Datum::Int(n) => n.checked_abs().map(Datum::Int),
            Datum::Float(n) => Some(Datum::Float(n.abs())),
            _ => None,
        },
        Function::Period(unit) => {
            let period = period::canonical(a.text()?, *unit, now_unix_ms);
            Some(period.map_or(Datum::Null, |period| Datum::Made(period.into())))
        }
        Function::Span(seconds) => {
            // A part of a second has no use in a contract, and a part of a day no date.
            let is_whole = |n: &f64| n.fract() == 0.0;
            let count = if let Datum::Float(n) = a { whole(*n).filter(|_| is_whole(n)) } else { int(a) };
            calendar::span(count?, *seconds).map(Datum::Span)
        }
        // Functions of two operands.
        Function::Contains | Function::StartsWith | Function::EndsWith | Function::Min | Function::Max => {
            None
        }
    }
}

fn on_texts(function: &Function, a: &str, b: &str) -> Option<bool> {
    match function {
        Function::Contains => Some(a.contains(b)),
        Function::StartsWith => Some(a.starts_with(b)),
        Function::EndsWith => Some(a.ends_with(b)),
        _ => None,
    }
}

fn integers(op: Arithmetic, a: i128, b: i128) -> Option<i128> {
    match op {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Subtract => a.checked_sub(b),
        Arithmetic::Multiply => a.checked_mul(b),
        Arithmetic::Divide => a.checked_div(b),
        Arithmetic::Modulo => a.checked_rem(b),
    }
}

#[expect(clippy::cast_precision_loss, reason = "computing with a float is computing with floats")]
fn float(datum: &Datum<'_>) -> Option<f64> {
    match datum {
        Datum::Int(n) => Some(*n as f64),
        Datum::Float(n) => Some(*n),
        _ => None,
    }
}

fn int(datum: &Datum<'_>) -> Option<i128> {
    if let Some(text) = datum.text() {
        return text.parse().ok();
    }
    match datum {
        Datum::Int(n) => Some(*n),
        Datum::Float(n) => whole(*n),
        Datum::Bool(value) => Some(i128::from(*value)),
        _ => None,
    }
}

/// A value does not have the type that was checked at load. The host passed a wrong value; the rule is not at
/// fault.
pub(super) fn unfit(node: &Node) -> Trouble {
    Trouble::Other(format!("`{}` is not {}", node.text, node.kind))
}
