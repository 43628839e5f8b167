//! Dates, points in time and the spans between them.

use cel::common::ast::IdedExpr;
use chrono_tz::Tz;

use super::{Checked, Checker, ExpressionError};
use crate::expression::calendar::Form;
use crate::expression::datum::Datum;
use crate::expression::kind::Kind;
use crate::expression::tree::{Arithmetic, Function, Node, What};

/// A checked operand, and where it is in the text.
type Operand<'e> = (&'e IdedExpr, Node);

/// Whether an operation is one of dates and spans. Two strings are joined by `+`, dates or not.
pub(super) fn is_of_time(op: Arithmetic, a: &Kind, b: &Kind) -> bool {
    let is_span = |kind: &Kind| *kind.some() == Kind::Span;
    let is_time = |kind: &Kind| is_span(kind) || kind.form().is_some();
    match op {
        Arithmetic::Add => is_span(a) && is_time(b) || is_time(a) && is_span(b),
        Arithmetic::Subtract => is_time(a) || is_time(b),
        Arithmetic::Multiply | Arithmetic::Divide | Arithmetic::Modulo => false,
    }
}

impl Checker<'_> {
    /// A date or point in time: one that was computed, a string that is declared as one, or one that is written out.
    fn timed(&self, (expr, node): Operand<'_>, form: Form) -> Checked {
        match (node.kind.some(), &node.what) {
            (Kind::Time(found), _) if *found == form => Ok(node),
            (Kind::Dated(found), _) if *found == form => Ok(self.read(expr, node, form)),
            (_, What::Text(text)) if form.read(&Datum::Text(text)).is_some() => {
                Ok(self.read(expr, node, form))
            }
            (_, What::Text(text)) => Err(self.error(expr, format!("`{text}` is not {form}"), None)),
            (Kind::Dated(_) | Kind::Time(_), _) => {
                let message = format!("`{}` is {}, not {form}", node.text, node.kind);
                Err(self.error(expr, message, Some("`date(…)` takes the date of a date and time".into())))
            }
            (kind, _) => {
                let hint = kind.is_text().then(|| {
                    format!("declare its `format`, or write `date({0})` or `timestamp({0})`", node.text)
                });
                Err(self.error(expr, format!("`{}` is {}, not {form}", node.text, node.kind), hint))
            }
        }
    }

    /// A node that reads the text of another.
    fn read(&self, expr: &IdedExpr, node: Node, form: Form) -> Node {
        self.made(expr, What::Time(form, Box::new(node)), Kind::Time(form))
    }

    /// `date(text)` and `timestamp(text)`: for strings that no contract declares.
    pub(super) fn stamp(&mut self, expr: &IdedExpr, form: Form, of: &IdedExpr) -> Checked {
        let fits =
            |kind: &Kind| kind.is_text() || *kind == Kind::Time(Form::Moment) || *kind == Kind::Time(form);
        let node = self.expect(of, fits, "a string")?;
        Ok(self.read(expr, node, form))
    }

    /// Both operands as dates or points in time, where one is and the other is not null. Others are left as they are: a
    /// declared string compares with an undeclared one as strings do.
    pub(super) fn same_form(&self, a: Operand<'_>, b: Operand<'_>) -> Result<(Node, Node), ExpressionError> {
        let computed = |node: &Node| if let Kind::Time(form) = node.kind.some() { Some(*form) } else { None };
        let is_written = |node: &Node| matches!(node.what, What::Text(_));
        let form = match (a.1.kind.form(), b.1.kind.form()) {
            (Some(form), Some(_)) => Some(form),
            (form, None) if is_written(&b.1) => form,
            (None, form) if is_written(&a.1) => form,
            _ => computed(&a.1).or(computed(&b.1)),
        };
        match form {
            Some(form) if a.1.kind != Kind::Null && b.1.kind != Kind::Null => {
                Ok((self.timed(a, form)?, self.timed(b, form)?))
            }
            _ => Ok((a.1, b.1)),
        }
    }

    pub(super) fn time_arithmetic(
        &self,
        expr: &IdedExpr,
        op: Arithmetic,
        a: Operand<'_>,
        b: Operand<'_>,
    ) -> Checked {
        let is_span = |node: &Node| *node.kind.some() == Kind::Span;
        let (left, right, kind) = match (is_span(&a.1), is_span(&b.1)) {
            (true, true) => (a.1, b.1, Kind::Span),
            (false, false) => {
                // `is_of_time` found one of them.
                let form = a.1.kind.form().or(b.1.kind.form()).unwrap_or(Form::Date);
                (self.timed(a, form)?, self.timed(b, form)?, Kind::Span)
            }
            // Only a sum begins with a span.
            (true, false) if op == Arithmetic::Subtract => {
                let message = format!("{} cannot be taken from a time span", b.1.kind);
                return Err(self.error(expr, message, None));
            }
            (left_is_span, _) => {
                let ((at, time), span) = if left_is_span { (b, a.1) } else { (a, b.1) };
                let Some(form) = time.kind.form() else {
                    let message = format!("{} does not move by a time span", time.kind);
                    return Err(self.error(at, message, None));
                };
                (self.timed((at, time), form)?, span, Kind::Time(form))
            }
        };
        Ok(self.made(expr, What::Arithmetic(op, Box::new(left), Box::new(right)), kind))
    }

    /// `days(n)` and the other units, which count in so many seconds.
    pub(super) fn span(&mut self, expr: &IdedExpr, seconds: i64, count: &IdedExpr) -> Checked {
        let count = self.number(count)?;
        Ok(self.made(expr, What::Call(Function::Span(seconds), vec![count]), Kind::Span))
    }

    pub(super) fn today(&mut self, expr: &IdedExpr, zone: &IdedExpr) -> Checked {
        let node = self.node(zone)?;
        // Written out, so that a wrong name is found at load.
        let zone_of = |text: &String| text.parse::<Tz>().ok();
        let found = if let What::Text(text) = &node.what { zone_of(text) } else { None };
        let zone = found.ok_or_else(|| {
            let hint = "zones are named as in the IANA database: `'America/New_York'`, `'UTC'`";
            self.error(zone, format!("`{}` is not a time zone", node.text), Some(hint.into()))
        })?;
        Ok(self.made(expr, What::Today(zone), Kind::Time(Form::Date)))
    }
}
