//! Functions and macros, by name.

use cel::common::ast::{Expr, IdedExpr};

use super::{Checked, Checker, ExpressionError};
use crate::expression::calendar::Form;
use crate::expression::fold::Fold;
use crate::expression::kind::Kind;
use crate::expression::tree::{Function, Macro, Node, What};
use crate::foreign;
use crate::pattern as patterns;
use crate::period::{PERIOD_BYTES_MAX, Unit};
use airlock_types::words::did_you_mean;

/// Most macros inside each other. Each level multiplies the cost by the length of its list.
const NESTED_MAX: usize = 2;

const NAMES: [&str; 30] = [
    "abs",
    "all",
    "avg",
    "contains",
    "count",
    "date",
    "days",
    "distinct",
    "double",
    "endsWith",
    "exists",
    "exists_one",
    "filter",
    "has",
    "hours",
    "int",
    "map",
    "matches",
    "max",
    "min",
    "minutes",
    "period",
    "seconds",
    "size",
    "startsWith",
    "string",
    "sum",
    "timestamp",
    "today",
    "unique",
];

impl Checker<'_> {
    pub(super) fn named(
        &mut self,
        expr: &IdedExpr,
        name: &str,
        target: Option<&IdedExpr>,
        args: &[IdedExpr],
    ) -> Checked {
        match (name, target, args) {
            ("has", None, [field]) if matches!(field.expr, Expr::Select(_)) => {
                let node = self.node(field)?;
                Ok(self.made(expr, What::Has(Box::new(node)), Kind::Bool))
            }
            ("size", Some(of), []) | ("size", None, [of]) => {
                let sized = |kind: &Kind| {
                    matches!(kind, Kind::List(..) | Kind::Map(..) | Kind::Bytes) || kind.is_text()
                };
                let of = self.expect(of, sized, "a list, a map or a string")?;
                Ok(self.made(expr, What::Call(Function::Size, vec![of]), Kind::Number))
            }
            ("contains", Some(a), [b]) => self.on_text(expr, Function::Contains, a, b),
            ("startsWith", Some(a), [b]) => self.on_text(expr, Function::StartsWith, a, b),
            ("endsWith", Some(a), [b]) => self.on_text(expr, Function::EndsWith, a, b),
            ("matches", Some(a), [pattern]) | ("matches", None, [a, pattern]) => {
                self.matches(expr, a, pattern)
            }
            ("int", None, [a]) => self.convert(expr, Function::Int, a, Kind::Number),
            ("double", None, [a]) => self.convert(expr, Function::Double, a, Kind::Number),
            ("string", None, [a]) => self.convert(expr, Function::String, a, Kind::Text(None)),
            ("period", None, [a]) => self.period(expr, Unit::Day, a),
            ("period", None, [a, unit]) => {
                let unit = self.unit(unit)?;
                self.period(expr, unit, a)
            }
            ("abs", None, [a]) => {
                let a = self.number(a)?;
                Ok(self.made(expr, What::Call(Function::Abs, vec![a]), Kind::Number))
            }
            ("min", None, [a, b]) => self.of_two(expr, Function::Min, a, b),
            ("max", None, [a, b]) => self.of_two(expr, Function::Max, a, b),
            ("all", Some(list), [var, body]) => self.walk(expr, Macro::All, list, var, body),
            ("exists", Some(list), [var, body]) => self.walk(expr, Macro::Exists, list, var, body),
            ("exists_one", Some(list), [var, body]) => self.walk(expr, Macro::ExistsOne, list, var, body),
            ("filter", Some(list), [var, body]) => self.walk(expr, Macro::Filter, list, var, body),
            // The form of `map` with a filter. The list of the second walk is the checked first one.
            ("map", Some(list), [var, test, body]) => {
                let kept = self.walk(expr, Macro::Filter, list, var, test)?;
                self.walk_checked(expr, Macro::Map, kept, var, body)
            }
            ("map", Some(list), [var, body]) => self.walk(expr, Macro::Map, list, var, body),
            _ => self.added(expr, name, target, args),
        }
    }

    /// The functions and macros that CEL does not have.
    fn added(
        &mut self,
        expr: &IdedExpr,
        name: &str,
        target: Option<&IdedExpr>,
        args: &[IdedExpr],
    ) -> Checked {
        match (name, target, args) {
            ("count", Some(list), [var, test]) => self.walk(expr, Macro::Count, list, var, test),
            ("unique", Some(list), [var, key]) => self.walk(expr, Macro::Unique, list, var, key),
            ("count", None, [list]) => {
                let is_list = |kind: &Kind| matches!(kind, Kind::List(..) | Kind::Map(..));
                let list = self.expect(list, is_list, "a list")?;
                Ok(self.made(expr, What::Call(Function::Size, vec![list]), Kind::Number))
            }
            ("avg", None, [list]) => self.fold(expr, Fold::Average, list),
            ("distinct", None, [list]) => self.fold(expr, Fold::Distinct, list),
            ("max", None, [list]) => self.fold(expr, Fold::Max, list),
            ("min", None, [list]) => self.fold(expr, Fold::Min, list),
            ("sum", None, [list]) => self.fold(expr, Fold::Sum, list),
            ("date", None, [of]) => self.stamp(expr, Form::Date, of),
            ("timestamp", None, [of]) => self.stamp(expr, Form::Moment, of),
            ("today", None, [zone]) => self.today(expr, zone),
            ("days", None, [count]) => self.span(expr, 86_400, count),
            ("hours", None, [count]) => self.span(expr, 3_600, count),
            ("minutes", None, [count]) => self.span(expr, 60, count),
            ("seconds", None, [count]) => self.span(expr, 1, count),
            // After all forms: the name exists, so the operands are wrong.
            _ if NAMES.contains(&name) => {
                Err(self.error(expr, format!("`{name}` is called with other operands than it takes"), None))
            }
            _ => {
                let hint = did_you_mean(name, NAMES);
                let message = format!("there is no function `{name}`; there are `{}`", NAMES.join("`, `"));
                Err(self.error(expr, message, hint))
            }
        }
    }

    fn on_text(&mut self, expr: &IdedExpr, function: Function, a: &IdedExpr, b: &IdedExpr) -> Checked {
        let a = self.expect(a, Kind::is_text, "a string")?;
        let b = self.expect(b, Kind::is_text, "a string")?;
        Ok(self.made(expr, What::Call(function, vec![a, b]), Kind::Bool))
    }

    fn matches(&mut self, expr: &IdedExpr, a: &IdedExpr, pattern: &IdedExpr) -> Checked {
        let a = self.expect(a, Kind::is_text, "a string")?;
        let node = self.node(pattern)?;
        // A literal, so that the pattern is compiled and bounded once, at load.
        let What::Text(text) = &node.what else {
            return Err(self.error(pattern, "a pattern must be written out as a string".into(), None));
        };
        let regex = patterns::compile(text).map_err(|err| {
            let message = format!("the pattern does not parse: {}", err.to_string().replace('\n', " "));
            self.error(pattern, message, None)
        })?;
        // `compile` bounds the size of the program, this bounds the time of a match.
        foreign::pattern(text).map_err(|err| self.error(pattern, err.to_string(), None))?;
        Ok(self.made(expr, What::Call(Function::Matches(regex), vec![a]), Kind::Bool))
    }

    fn convert(&mut self, expr: &IdedExpr, function: Function, a: &IdedExpr, kind: Kind) -> Checked {
        let a = self.expect(a, Kind::is_scalar, "a number or a string")?;
        Ok(self.made(expr, What::Call(function, vec![a]), kind))
    }

    fn period(&mut self, expr: &IdedExpr, unit: Unit, a: &IdedExpr) -> Checked {
        let a = self.expect(a, Kind::is_text, "a string")?;
        // Null for a text that is no period, so that a rule can ask for it.
        let kind = Kind::Option(Box::new(Kind::Text(Some(PERIOD_BYTES_MAX))));
        Ok(self.made(expr, What::Call(Function::Period(unit), vec![a]), kind))
    }

    fn unit(&mut self, expr: &IdedExpr) -> Result<Unit, ExpressionError> {
        let node = self.node(expr)?;
        let unit = if let What::Text(text) = &node.what { Unit::parse(text) } else { None };
        unit.ok_or_else(|| self.error(expr, "the unit is `\"day\"`, `\"month\"` or `\"year\"`".into(), None))
    }

    fn of_two(&mut self, expr: &IdedExpr, function: Function, a: &IdedExpr, b: &IdedExpr) -> Checked {
        let (left, right) = (self.node(a)?, self.node(b)?);
        let kind = left.kind.form().or(right.kind.form()).map_or(Kind::Number, Kind::Time);
        let (left, right) = self.same_form((a, left), (b, right))?;
        for (operand, node) in [(a, &left), (b, &right)] {
            if *node.kind.some() != kind {
                return Err(self.error(
                    operand,
                    format!("`{}` is {}, not {kind}", node.text, node.kind),
                    None,
                ));
            }
        }
        Ok(self.made(expr, What::Call(function, vec![left, right]), kind))
    }

    fn fold(&mut self, expr: &IdedExpr, fold: Fold, list: &IdedExpr) -> Checked {
        let list_node = self.node(list)?;
        let (item, len) = self.items(list, &list_node)?;
        // Strings that are dates are read, so that they are compared as such.
        let form = item.form();
        let item = form.map_or(item, Kind::Time);
        let (fits, wanted) = match fold {
            Fold::Average | Fold::Sum => (matches!(item.some(), Kind::Number | Kind::Any), "numbers"),
            Fold::Max | Fold::Min => {
                (item.some().is_ordered() && !item.some().is_text(), "numbers, dates or time spans")
            }
            Fold::Distinct => (item.some().is_key(), "numbers, strings, dates or truth values"),
        };
        if !fits {
            let message = format!("`{}` has items that are {item}, not {wanted}", list_node.text);
            return Err(self.error(list, message, None));
        }
        let kind = match fold {
            Fold::Average | Fold::Sum => Kind::Number,
            Fold::Max | Fold::Min => item.some().clone(),
            Fold::Distinct => Kind::List(Box::new(item), len),
        };
        Ok(self.made(expr, What::Fold(fold, form, Box::new(list_node)), kind))
    }

    fn items(&self, expr: &IdedExpr, list: &Node) -> Result<(Kind, Option<u64>), ExpressionError> {
        list.kind
            .items()
            .ok_or_else(|| self.error(expr, format!("`{}` is {}, not a list", list.text, list.kind), None))
    }

    fn walk(
        &mut self,
        expr: &IdedExpr,
        which: Macro,
        list: &IdedExpr,
        var: &IdedExpr,
        body: &IdedExpr,
    ) -> Checked {
        if self.vars.len() == NESTED_MAX {
            let message = format!("at most {NESTED_MAX} lists may be walked within each other");
            return Err(self.error(expr, message, None));
        }
        let list = self.node(list)?;
        self.walk_checked(expr, which, list, var, body)
    }

    fn walk_checked(
        &mut self,
        expr: &IdedExpr,
        which: Macro,
        list: Node,
        var: &IdedExpr,
        body: &IdedExpr,
    ) -> Checked {
        let Expr::Ident(name) = &var.expr else {
            return Err(self.error(var, "the first operand names each item: a plain name".into(), None));
        };
        let (item, len) = self.items(expr, &list)?;
        self.vars.push((name.clone(), item.clone()));
        let checked = self.node(body);
        // Removed before the error is returned, so that the variables stay those of the enclosing macros.
        self.vars.pop();
        let made = checked?;
        let kind = match which {
            Macro::Map => Kind::List(Box::new(made.kind.clone()), len),
            Macro::Unique if made.kind.some().is_key() => Kind::Bool,
            Macro::Unique => {
                let message = format!("`{}` is {}, which is not a key", made.text, made.kind);
                return Err(self.error(body, message, None));
            }
            Macro::All | Macro::Count | Macro::Exists | Macro::ExistsOne | Macro::Filter
                if *made.kind.some() != Kind::Bool =>
            {
                return Err(self.error(body, format!("it is {}, not a truth value", made.kind), None));
            }
            Macro::Filter => Kind::List(Box::new(item), len),
            Macro::Count => Kind::Number,
            Macro::All | Macro::Exists | Macro::ExistsOne => Kind::Bool,
        };
        Ok(self.made(expr, What::Macro(which, Box::new(list), Box::new(made)), kind))
    }
}
