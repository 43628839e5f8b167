//! Parses the text of an expression, within bounds. The author is untrusted, and the parser recurses.

use std::collections::BTreeSet;
use std::ops::Range;

use cel::ParseErrors;
use cel::common::ast::{Expr, IdedExpr, LiteralValue, SourceInfo};

use super::ExpressionError;

/// Longest expression in bytes. The parser's stack grows with the text. At this length it needs less than half
/// of a thread's 2 MiB.
const TEXT_MAX: usize = 2_048;

/// Deepest nesting of parts. Checking, estimating and evaluating recurse by it.
const DEPTH_MAX: usize = 64;

/// The text, with the positions of its parts.
pub(super) struct Source<'t> {
    text: &'t str,
    tokens: SourceInfo,
}

/// Parses an expression. Macros stay calls, so that the checker sees them as written.
pub(super) fn parse(text: &str) -> Result<(IdedExpr, Source<'_>), ExpressionError> {
    let whole = |message: String| ExpressionError { message, span: 0..text.len(), hint: None };
    // Before the parser runs, whose own limit counts recursion and not length.
    if text.len() > TEXT_MAX {
        return Err(whole(format!("it is longer than {TEXT_MAX} bytes")));
    }
    let parser = cel::Env::default().with_optional_support(false).parser();
    let (expr, tokens) = parser.parse_with_source_info(text).map_err(|errors| fault(text, &errors))?;
    // Long chains such as `a + b + …` nest in the tree without recursion in the text.
    if is_deeper(&expr, DEPTH_MAX) {
        return Err(whole(format!("its parts are nested more than {DEPTH_MAX} deep")));
    }
    Ok((expr, Source { text, tokens }))
}

/// The plain names in an expression, with those of its variables. Empty for a text that does not parse.
pub(super) fn names(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if let Ok((root, _)) = parse(text) {
        let mut left = vec![&root];
        while let Some(expr) = left.pop() {
            if let Expr::Ident(name) = &expr.expr {
                names.insert(name.clone());
            }
            left.extend(children(expr));
        }
    }
    names
}

fn is_deeper(expr: &IdedExpr, most: usize) -> bool {
    most == 0 || children(expr).into_iter().any(|child| is_deeper(child, most - 1))
}

/// The parser's first error, without its list of expected tokens.
fn fault(text: &str, errors: &ParseErrors) -> ExpressionError {
    let Some(first) = errors.errors.first() else {
        return ExpressionError { message: "it does not parse".into(), span: 0..text.len(), hint: None };
    };
    if first.msg.contains("Recursion limit") {
        let message = "it does not parse: it is nested too deep".into();
        return ExpressionError { message, span: 0..text.len(), hint: None };
    }
    let said = first.msg.trim_start_matches("Syntax error: ");
    let said = said.split_once(" expecting ").map_or(said, |(said, _)| said);
    let hint =
        said.contains("int literal").then(|| "above 9223372036854775807 an integer ends in `u`".into());
    let start = offset(text, first.pos);
    ExpressionError { message: format!("it does not parse: {said}"), span: start..text.len(), hint }
}

/// The byte offset of a line and column. Both count from 1, columns in characters.
fn offset(text: &str, (line, column): (isize, isize)) -> usize {
    let before = usize::try_from(line - 1).unwrap_or(0);
    let start: usize = text.split_inclusive('\n').take(before).map(str::len).sum();
    let chars = usize::try_from(column - 1).unwrap_or(0);
    text[start..].char_indices().nth(chars).map_or(text.len(), |(at, _)| start + at)
}

impl Source<'_> {
    /// The text at a byte range. Empty for a range that is not in the text.
    pub(super) fn text(&self, place: Range<usize>) -> &str {
        self.text.get(place).unwrap_or_default()
    }

    /// The byte range of a part: from the start of its first operand to the end of its last one. Brackets that
    /// open or close inside it are included.
    pub(super) fn span(&self, expr: &IdedExpr) -> Range<usize> {
        let own = self.own_span(expr);
        let spans = children(expr).into_iter().map(|child| self.span(child));
        let whole = spans.fold(own, |whole, part| whole.start.min(part.start)..whole.end.max(part.end));
        balanced(
            self.text,
            self.text.floor_char_boundary(whole.start)..self.text.ceil_char_boundary(whole.end),
        )
    }

    /// The byte range of the one token that the parser gives for a part: a dot, a bracket, an operator, a
    /// literal or a name.
    fn own_span(&self, expr: &IdedExpr) -> Range<usize> {
        let (first, last) = self.tokens.offset_for(expr.id).unwrap_or((0, 0));
        let (first, last) = (first as usize, last as usize);
        match &expr.expr {
            Expr::Select(select) => first..self.after(first + 1) + select.field.len(),
            // The token of a call is its bracket, and the name is before it.
            Expr::Call(call) if call.func_name.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                let name = self.text.get(..first).unwrap_or_default().trim_end();
                name.len().saturating_sub(call.func_name.len())..last + 1
            }
            // The token of a negative number begins after its sign.
            Expr::Literal(LiteralValue::Int(n)) if *n.inner() < 0 => first.saturating_sub(1)..last + 1,
            Expr::Literal(LiteralValue::Double(n)) if n.inner().is_sign_negative() => {
                first.saturating_sub(1)..last + 1
            }
            _ => first..last + 1,
        }
    }

    /// The next offset that is not whitespace.
    fn after(&self, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        at + rest.len() - rest.trim_start().len()
    }
}

/// The range, extended until each bracket inside has its counterpart.
fn balanced(text: &str, place: Range<usize>) -> Range<usize> {
    let (missing_before, missing_after) = unmatched(text.get(place.clone()).unwrap_or_default());
    let (mut start, mut end) = (place.start, place.end);
    for _ in 0..missing_before {
        start = text[..start].rfind(['(', '[']).unwrap_or(start);
    }
    for _ in 0..missing_after {
        end = text[end..].find([')', ']']).map_or(end, |at| end + at + 1);
    }
    start..end
}

/// The number of closing brackets without an opening one, and of opening brackets without a closing one.
/// Brackets inside strings do not count.
fn unmatched(text: &str) -> (usize, usize) {
    let (mut closed, mut opened) = (0, 0);
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => drop(chars.next()),
            (Some(mark), c) if c == mark => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[') => opened += 1,
            (None, ')' | ']') if opened > 0 => opened -= 1,
            (None, ')' | ']') => closed += 1,
            (None, _) => {}
        }
    }
    (closed, opened)
}

fn children(expr: &IdedExpr) -> Vec<&IdedExpr> {
    match &expr.expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        // All others are leaves, or refused as they are.
        _ => Vec::new(),
    }
}
