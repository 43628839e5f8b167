//! Parts of an expression that read nothing: their value is the same in every call, and known at load.
//!
//! Owns which parts these are, and the refusal of a part that can never have a value. Must not know what the whole
//! expression is for.

use super::ExpressionError;
use super::calendar::{Form, is_whole_days};
use super::eval::Run;
use super::kind::Kind;
use super::meter::Trouble;
use super::tree::{Arithmetic, Function, Node, What};

/// Whether a part reads no argument, no result, no clock and no item of a list.
pub(super) fn is_constant(node: &Node) -> bool {
    match &node.what {
        What::Arg(_) | What::Result | What::Var(_) | What::Now | What::Today(_) => false,
        What::Fact(..) | What::Seen(..) => false,
        // Texts such as `last month` count from the time of the call.
        What::Call(Function::Period(_), _) => false,
        What::Term(term) => term.is_constant,
        _ => node.parts().into_iter().all(is_constant),
    }
}

/// Whether a whole expression is the same for every call. Unlike in a part of one, an item of a list in it is an item of a list that
/// the expression has itself.
pub(super) fn reads_nothing(root: &Node) -> bool {
    match &root.what {
        What::Var(_) => true,
        What::Term(term) => term.reads_nothing,
        What::Arg(_) | What::Result | What::Now | What::Today(_) => false,
        What::Fact(..) | What::Seen(..) | What::Call(Function::Period(_), _) => false,
        _ => root.parts().into_iter().all(reads_nothing),
    }
}

/// Refuses an expression with a part that has no value whatever the arguments are.
pub(super) fn refuse_valueless(root: &Node) -> Result<(), ExpressionError> {
    let Some((node, why)) = valueless(&mut Run::default(), root) else { return Ok(()) };
    Err(ExpressionError {
        message: format!("it never has a value: {why}"),
        span: node.start..node.start + node.text.len(),
        hint: None,
    })
}

/// The innermost part without a value that is found first, with the reason. One run for all parts, so that its meter
/// bounds them together.
fn valueless<'n>(run: &mut Run<'n>, node: &'n Node) -> Option<(&'n Node, String)> {
    let inside = |run: &mut Run<'n>| node.parts().into_iter().find_map(|part| valueless(run, part));
    if !is_constant(node) {
        return moved_by_hours(run, node).or_else(|| inside(run));
    }
    match run.eval(node) {
        // What costs more than a call may spend is stopped by the meter of each call, too.
        Ok(_) | Err(Trouble::Spent) => None,
        Err(why) => inside(run).or_else(|| Some((node, why.to_string()))),
    }
}

/// A date that moves by a known span which is not of whole days.
fn moved_by_hours<'n>(run: &mut Run<'n>, node: &'n Node) -> Option<(&'n Node, String)> {
    let What::Arithmetic(Arithmetic::Add | Arithmetic::Subtract, a, b) = &node.what else { return None };
    let spans = [a, b].into_iter().filter(|part| *part.kind.some() == Kind::Span && is_constant(part));
    let mut spans = spans.filter(|_| node.kind == Kind::Time(Form::Date));
    let span = run.eval(spans.next()?).ok()?;
    (!is_whole_days(&span)).then(|| (node, format!("`{}`: a date moves by whole days", node.text)))
}
