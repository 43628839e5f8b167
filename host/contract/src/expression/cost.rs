//! Estimates the cost of an expression from its shape.
//!
//! Every part costs one step. A macro over a list costs its body for each item. Reading a string costs a step
//! for each ten bytes. Comparing or searching a list or map costs a step for each ten items, plus the cost of
//! the items.
//!
//! All sums saturate: nested macros multiply, and a wrapped sum would pass the bound.

use super::kind::Kind;
use super::meter::{BYTES_A_STEP, PARTS_A_STEP};
use super::tree::{Function, Macro, Node, What};
use super::{LIST_ITEMS, STRING_BYTES};

/// An upper bound on the steps, with lists and strings at their assumed sizes.
pub(super) fn estimate(node: &Node) -> u64 {
    let parts = || node.parts().into_iter().fold(1u64, |sum, part| sum.saturating_add(estimate(part)));
    match &node.what {
        What::Arithmetic(_, a, b) => parts().saturating_add(text(a)).saturating_add(text(b)),
        // The comparison ends with the shorter side.
        What::Compare(_, a, b) => parts().saturating_add(reading(a).min(reading(b))),
        // Strings of different lengths differ at a glance: one item is read whole.
        What::In(item, list) => {
            parts().saturating_add(items(&list.kind) / PARTS_A_STEP).saturating_add(text(item))
        }
        // Maps are lists of entries, so a key is searched.
        What::Index(base, _) if matches!(base.kind.some(), Kind::Map(..)) => {
            parts().saturating_add(items(&base.kind) / PARTS_A_STEP)
        }
        What::Call(Function::Matches(regex), nodes) => {
            // `regex` matches in time proportional to the text times the size of the pattern.
            let states = 1 + regex.as_str().len() as u64 / PARTS_A_STEP;
            parts().saturating_add(nodes.iter().map(text).sum::<u64>().saturating_mul(states))
        }
        What::Call(_, nodes) => parts().saturating_add(nodes.iter().map(text).sum()),
        // The key is read whole; what is found by it is not.
        What::Fact(_, key) | What::Seen(_, key) => parts().saturating_add(text(key)),
        // Only one of the two is evaluated.
        What::Choose(test, a, b) => {
            estimate(test).saturating_add(1).saturating_add(estimate(a).max(estimate(b)))
        }
        What::Macro(which, list, body) => {
            // Keys are looked up, which reads them.
            let key = if *which == Macro::Unique { 1 + kind_text(&body.kind) } else { 0 };
            let each = estimate(body).saturating_add(1 + key);
            estimate(list).saturating_add(1).saturating_add(items(&list.kind).saturating_mul(each))
        }
        What::Fold(_, _, list) => {
            let each = 1 + list.kind.items().map_or(0, |(item, _)| kind_text(&item));
            estimate(list).saturating_add(1).saturating_add(items(&list.kind).saturating_mul(each))
        }
        // No wildcard: a new part that costs more than a step needs its row.
        What::Null
        | What::Bool(_)
        | What::Int(_)
        | What::Float(_)
        | What::Text(_)
        | What::Arg(_)
        | What::Result
        | What::Now
        | What::Today(_)
        // Evaluated once for the whole expression: `bounded` adds it.
        | What::Term(_)
        | What::Time(..)
        | What::Var(_)
        | What::Field(..)
        | What::List(_)
        | What::Not(_)
        | What::Negate(_)
        | What::And(..)
        | What::Or(..)
        | What::Index(..)
        | What::Has(_) => parts(),
    }
}

fn items(kind: &Kind) -> u64 {
    kind.items().and_then(|(_, len)| len).unwrap_or(LIST_ITEMS)
}

/// Steps to read a part that is a string. 0 for other parts.
fn text(node: &Node) -> u64 {
    match &node.what {
        What::Text(text) => text.len() as u64 / BYTES_A_STEP,
        _ => kind_text(&node.kind),
    }
}

/// Steps to read a string of this kind. 0 for other kinds.
fn kind_text(kind: &Kind) -> u64 {
    match kind.some() {
        Kind::Text(bytes) => bytes.unwrap_or(STRING_BYTES) / BYTES_A_STEP,
        // Longer ones are refused unread.
        Kind::Dated(_) => 4,
        _ => 0,
    }
}

/// Steps to compare a part with one of the same kind.
fn reading(node: &Node) -> u64 {
    match (&node.what, node.kind.some()) {
        (_, Kind::Text(_) | Kind::Dated(_)) => text(node),
        (What::List(nodes), _) => nodes.iter().fold(1, |sum, node| sum.saturating_add(reading(node))),
        (_, kind) => weight(kind) / PARTS_A_STEP,
    }
}

/// Number of parts of a value that the meter counts when it is compared.
fn weight(kind: &Kind) -> u64 {
    let sum = |kinds: &mut dyn Iterator<Item = &Kind>| {
        kinds.fold(1u64, |sum, kind| sum.saturating_add(weight(kind)))
    };
    match kind {
        Kind::Null | Kind::Bool | Kind::Number | Kind::Enum(_) | Kind::Any => 1,
        Kind::Time(_) | Kind::Span => 1,
        Kind::Dated(_) => kind_text(kind) * PARTS_A_STEP,
        Kind::Text(bytes) => bytes.unwrap_or(STRING_BYTES) / BYTES_A_STEP * PARTS_A_STEP,
        Kind::Bytes => LIST_ITEMS,
        Kind::List(item, len) => len.unwrap_or(LIST_ITEMS).saturating_mul(weight(item)).saturating_add(1),
        Kind::Tuple(items) => sum(&mut items.iter()),
        Kind::Record(fields) => sum(&mut fields.iter().map(|(_, kind)| kind)),
        // Each key is looked for in the other map.
        // Entries have no order, so the search takes the square of the length.
        Kind::Map(key, value, len) => {
            let len = len.unwrap_or(LIST_ITEMS);
            len.saturating_mul(len.saturating_add(weight(key)).saturating_add(weight(value)))
        }
        Kind::Option(inner) => weight(inner),
    }
}
