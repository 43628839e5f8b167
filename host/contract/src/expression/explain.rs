//! Explains a failed rule by the values of the parts that decided it.

use super::calendar::{moment_text, span_text};
use super::datum::Datum;
use super::eval::{Run, Var};
use super::fold::first_repeat;
use super::kind::Kind;
use super::tree::{Compare, Function, Macro, Node, What};
use airlock_types::shorten::{clean_lines, shorten};

/// Most values in one explanation.
const VALUES_MAX: usize = 6;

/// Longest text of one value, in characters.
const VALUE_CHARS_MAX: usize = 60;

/// The values that made a part false, as text.
pub(super) fn failing<'v>(run: &mut Run<'v>, node: &'v Node) -> String {
    let mut facts = Vec::new();
    decided(run, node, false, &mut facts);
    // A literal decided, as in `args.a > 0 && false`: then the values beside it, and where there are none the outcome.
    if facts.is_empty() {
        leaves(run, node, &mut facts);
    }
    if facts.is_empty() { "false".to_owned() } else { facts.join(", ") }
}

/// The values that made a part true, each as text.
pub(super) fn holding<'v>(run: &mut Run<'v>, node: &'v Node) -> Vec<String> {
    let mut facts = Vec::new();
    decided(run, node, true, &mut facts);
    facts
}

/// What would satisfy a comparison with an argument that is false, where one decides alone: `args.paid = 120`.
pub(super) fn satisfying<'v>(run: &mut Run<'v>, node: &'v Node) -> Option<String> {
    let (op, a, b) = match &node.what {
        What::And(a, b) => {
            let is_false = [a, b].map(|part| run.truth(part) == Ok(false));
            return match is_false {
                [true, false] => satisfying(run, a),
                [false, true] => satisfying(run, b),
                [true, true] | [false, false] => None,
            };
        }
        What::Compare(op, a, b) => (*op, a, b),
        _ => return None,
    };
    let (op, place, other) = match (is_place(a), is_place(b)) {
        (true, false) => (op, a, b),
        (false, true) => (mirrored(op), b, a),
        (true, true) | (false, false) => return None,
    };
    let sign = match op {
        Compare::Equal => "=",
        Compare::NotEqual => return None,
        Compare::Less => "<",
        Compare::LessEqual => "<=",
        Compare::Greater => ">",
        Compare::GreaterEqual => ">=",
    };
    let value = run.eval(other).ok()?;
    Some(format!("{} {sign} {}", place.text, shown(&value)))
}

/// Whether a part is an argument, or a field in one.
fn is_place(node: &Node) -> bool {
    match &node.what {
        What::Arg(_) => true,
        What::Field(base, _) => is_place(base),
        _ => false,
    }
}

/// The comparison with its sides exchanged.
fn mirrored(op: Compare) -> Compare {
    match op {
        Compare::Equal | Compare::NotEqual => op,
        Compare::Less => Compare::Greater,
        Compare::LessEqual => Compare::GreaterEqual,
        Compare::Greater => Compare::Less,
        Compare::GreaterEqual => Compare::LessEqual,
    }
}

/// Adds a value, unless the list is full or contains it.
fn add(facts: &mut Vec<String>, fact: String) {
    if facts.len() < VALUES_MAX && !facts.contains(&fact) {
        facts.push(fact);
    }
}

/// Collects the values that gave a part its outcome.
fn decided<'v>(run: &mut Run<'v>, node: &'v Node, outcome: bool, facts: &mut Vec<String>) {
    match &node.what {
        What::Not(a) => decided(run, a, !outcome, facts),
        // A false `&&` is explained by its false operands, a true one by all of them; dually for `||`.
        What::And(a, b) | What::Or(a, b) => {
            for part in [a, b] {
                if run.truth(part) == Ok(outcome) {
                    decided(run, part, outcome, facts);
                }
            }
        }
        What::Choose(test, a, b) => {
            leaves(run, test, facts);
            let chosen = if run.truth(test) == Ok(true) { a } else { b };
            decided(run, chosen, outcome, facts);
        }
        What::Term(term) => {
            leaves(run, node, facts);
            run.apart(|run| decided(run, &term.node, outcome, facts));
        }
        What::Macro(Macro::Unique, list, key) if !outcome => repeated(run, list, key, facts),
        What::Macro(which @ (Macro::All | Macro::Exists), list, body) => {
            walked(run, *which, list, body, outcome, facts);
        }
        _ => leaves(run, node, facts),
    }
}

/// The first item that decided a macro, or the length of the list where no single item did.
fn walked<'v>(
    run: &mut Run<'v>,
    which: Macro,
    list: &'v Node,
    body: &'v Node,
    outcome: bool,
    facts: &mut Vec<String>,
) {
    let Ok(items) = run.eval(list) else { return };
    let count = items.items().unwrap_or(0);
    let decisive = which == Macro::Exists;
    // Only `exists` that is true and `all` that is false are decided by one item.
    if outcome == decisive {
        for (at, item) in (0..count).filter_map(|at| items.item(at).map(|item| (at, item))) {
            let hit = run.with(Var { item, list, at }, |run| {
                let hit = run.truth(body) == Ok(decisive);
                if hit {
                    decided(run, body, decisive, facts);
                }
                hit
            });
            if hit {
                return;
            }
        }
    }
    add(facts, format!("size({}) = {count}", called(run, list)));
}

/// The first two items that share a key.
fn repeated<'v>(run: &mut Run<'v>, list: &'v Node, key: &'v Node, facts: &mut Vec<String>) {
    let Ok(items) = run.eval(list) else { return };
    let vars = (0..items.items().unwrap_or(0)).filter_map(|at| Some(Var { item: items.item(at)?, list, at }));
    let vars: Vec<Var<'v>> = vars.collect();
    let keys =
        vars.iter().map(|var| run.with(var.clone(), |run| run.eval(key))).collect::<Result<Vec<_>, _>>();
    let pair = keys.and_then(|keys| first_repeat(&keys, &mut run.meter));
    let Ok(Some((first, second))) = pair else { return };
    for var in [first, second].into_iter().filter_map(|at| vars.get(at)) {
        run.with(var.clone(), |run| leaves(run, key, facts));
    }
}

/// The values that a part reads, each with its name.
fn leaves<'v>(run: &mut Run<'v>, node: &'v Node, facts: &mut Vec<String>) {
    match &node.what {
        What::Var(_)
        | What::Arg(_)
        | What::Result
        | What::Fact(..)
        | What::Field(..)
        | What::Index(..)
        | What::Term(_) => {
            let value = run.eval(node).map_or_else(|trouble| trouble.to_string(), |value| shown(&value));
            // The name of a map key is its own value, which would explain nothing. The text of the expression is used
            // instead.
            let name =
                Some(called(run, node)).filter(|name| *name != value).unwrap_or_else(|| node.text.clone());
            add(facts, format!("{name} = {value}"));
        }
        What::Now
        | What::Today(_)
        | What::Fold(..)
        | What::Macro(Macro::Count, ..)
        | What::Call(Function::Size | Function::Int | Function::Double | Function::Period(_), _) => {
            match run.eval(node) {
                Ok(value) => add(facts, format!("{} = {}", called(run, node), shown(&value))),
                Err(_) => node.parts().into_iter().for_each(|part| leaves(run, part, facts)),
            }
        }
        // The variable of the body is unbound after the walk, so only the list can be evaluated.
        What::Macro(_, list, _) => leaves(run, list, facts),
        _ => node.parts().into_iter().for_each(|part| leaves(run, part, facts)),
    }
}

/// The name of a part: its text, with the variables of macros replaced by the items they are bound to.
pub(super) fn called(run: &Run<'_>, node: &Node) -> String {
    name(run, node, run.vars.len())
}

/// The name with only the first `vars` variables bound. Variables bound deeper belong to another macro.
fn name(run: &Run<'_>, node: &Node, vars: usize) -> String {
    let mut places = Vec::new();
    variables(node, vars, &mut places);
    let mut text = node.text.clone();
    // Replaces from the end, so that earlier positions stay valid.
    places.sort_unstable();
    for (start, len, at) in places.into_iter().rev() {
        let (Some(var), Some(from)) = (run.vars.get(at), start.checked_sub(node.start)) else { continue };
        if text.get(from..from + len).is_some() {
            text.replace_range(from..from + len, &item_name(run, var, at));
        }
    }
    text
}

/// The positions of variables in a part: start, length, and index of the variable.
fn variables(node: &Node, vars: usize, places: &mut Vec<(usize, usize, usize)>) {
    if let What::Var(at) = node.what
        && at < vars
    {
        places.push((node.start, node.text.len(), at));
    }
    for part in node.parts() {
        variables(part, vars, places);
    }
}

fn item_name(run: &Run<'_>, var: &Var<'_>, at: usize) -> String {
    match var.list.kind.some() {
        Kind::Map(..) => shown(&var.item),
        _ => format!("{}[{}]", name(run, var.list, at), var.at),
    }
}

/// A scalar as text: a date or a period as it is, other strings in quotes, so that they do not read as the host's words.
pub(super) fn plain(datum: &Datum<'_>) -> String {
    let is_date = |text: &&str| text.bytes().all(|b| b.is_ascii_digit() || b"-.:".contains(&b));
    datum.text().filter(is_date).map_or_else(|| shown(datum), |text| shorten(text, VALUE_CHARS_MAX))
}

/// A value as text: strings quoted as in JSON, everything shortened.
pub(super) fn shown(datum: &Datum<'_>) -> String {
    // Shortened before cleaning, so that the cost does not depend on the length of the string.
    if let Some(text) = datum.text() {
        return serde_json::Value::from(clean_lines(&shorten(text, VALUE_CHARS_MAX))).to_string();
    }
    let text = match datum {
        Datum::Bool(value) => value.to_string(),
        Datum::Int(n) => n.to_string(),
        Datum::Float(n) => n.to_string(),
        Datum::Date(day) => day.to_string(),
        Datum::Moment(at) => moment_text(*at),
        Datum::Span(span) => span_text(*span),
        Datum::Val(_) | Datum::List(_) => match datum.items() {
            Some(count) => format!("a list of {count}"),
            None => "a record".to_owned(),
        },
        Datum::Null | Datum::Text(_) | Datum::Made(_) => "null".to_owned(),
    };
    shorten(&text, VALUE_CHARS_MAX)
}
