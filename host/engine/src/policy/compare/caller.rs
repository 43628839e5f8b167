//! What callers may call and have.

use std::collections::BTreeMap;

use toml::Spanned;

use super::{Found, both};
use crate::caller::ApproveAccess;
use crate::caller::token::TokenDigest;
use crate::config::{BudgetConfig, CallerConfig};
use airlock_types::caller::{ANONYMOUS, LOCAL};
use airlock_types::grant::{Narrowing, Turn};

/// The entries of callers, and whether requests without a token may call.
type Callers<'c> = (&'c BTreeMap<Spanned<String>, CallerConfig>, bool);

pub(super) fn compare(found: &mut Found, old: Callers<'_>, new: Callers<'_>) {
    let open = CallerConfig::open();
    for (name, before, after) in both(old.0, new.0) {
        let place = format!("callers.{name}");
        // Without an entry these two have all there is, so an entry narrows, and its removal widens.
        let is_open = |(_, anonymous): Callers<'_>| name == LOCAL || (name == ANONYMOUS && anonymous);
        let before = before.or_else(|| is_open(old).then_some(&open));
        let after = after.or_else(|| is_open(new).then_some(&open));
        match (before, after) {
            (Some(before), Some(after)) => one(found, &place, before, after),
            (before, after) => found.entry(&place, before.map(whole), after.map(whole)),
        }
    }
}

fn patterns(caller: &CallerConfig) -> String {
    caller.tools.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// An entry that came or went: the tools, and what it leaves of their grants.
fn whole(caller: &CallerConfig) -> String {
    let grants = caller.grants.iter().flat_map(Narrowing::lines);
    [patterns(caller)].into_iter().chain(grants).collect::<Vec<_>>().join("\n")
}

fn one(found: &mut Found, place: &str, old: &CallerConfig, new: &CallerConfig) {
    let CallerConfig { tools, tokens, run, wait, metrics, grades, approve, grants, budgets } = old;
    let is_covered = new.tools.iter().all(|pattern| tools.iter().any(|old| pattern.is_within(old)));
    found.value(&format!("{place}.tools"), patterns(old), patterns(new), is_covered);
    // Digests, as the registry has them: a reviewer sees which token came.
    let digests = |tokens: &[TokenDigest]| tokens.iter().map(ToString::to_string).collect();
    found.set(&format!("{place}.tokens"), &digests(tokens), &digests(&new.tokens));
    found.bound(&format!("{place}.run"), (*run).into(), new.run.into());
    found.bound(&format!("{place}.wait"), (*wait).into(), new.wait.into());
    let metrics_text = |caller: &CallerConfig| format!("{:?}", caller.metrics).to_lowercase();
    found.value(&format!("{place}.metrics"), metrics_text(old), metrics_text(new), new.metrics <= *metrics);
    let grades_text = |caller: &CallerConfig| format!("{:?}", caller.grades).to_lowercase();
    found.value(&format!("{place}.grades"), grades_text(old), grades_text(new), new.grades <= *grades);
    let (before, after) = (approve.as_str().to_owned(), new.approve.as_str().to_owned());
    let is_within = new.approve == *approve || new.approve == ApproveAccess::None;
    found.value(&format!("{place}.approve"), before, after, is_within);
    narrowing(found, place, grants.as_ref(), new.grants.as_ref());
    self::budgets(found, &format!("{place}.budgets"), budgets, &new.budgets);
}

/// A caller without grants of its own has all that tools are granted.
fn narrowing(found: &mut Found, outer: &str, old: Option<&Narrowing>, new: Option<&Narrowing>) {
    let place = format!("{outer}.grants");
    let text = |narrowing: &Narrowing| match narrowing.lines() {
        lines if lines.is_empty() => "nothing".to_owned(),
        lines => lines.join("\n"),
    };
    match (old, new) {
        (None, None) => {}
        (Some(old), None) => found.turn(Turn::Widened, &place, Some(text(old)), None),
        (None, Some(new)) => found.turn(Turn::Narrowed, &place, None, Some(text(new))),
        (Some(old), Some(new)) => found.below(outer, old.changes(new)),
    }
}

fn budgets(found: &mut Found, place: &str, old: &BudgetConfig, new: &BudgetConfig) {
    let BudgetConfig {
        calls_per_minute,
        calls_per_day,
        fuel_per_minute,
        fuel_per_day,
        bytes_per_minute,
        bytes_per_day,
    } = old;
    for (name, old, new) in [
        ("calls_per_minute", calls_per_minute, new.calls_per_minute),
        ("calls_per_day", calls_per_day, new.calls_per_day),
        ("fuel_per_minute", fuel_per_minute, new.fuel_per_minute),
        ("fuel_per_day", fuel_per_day, new.fuel_per_day),
        ("bytes_per_minute", bytes_per_minute, new.bytes_per_minute),
        ("bytes_per_day", bytes_per_day, new.bytes_per_day),
    ] {
        found.optional_bound(&format!("{place}.{name}"), *old, new);
    }
}
