//! What differs between the policies of two registries, without their components: grants of tools, what callers may call
//! and have, effect classes, and what is tried.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;

use crate::caller::ToolPattern;
use crate::config::{CallerConfig, Config, ReportConfig, ToolConfig};
use airlock_types::effect::Effect;
use airlock_types::grant::{Change, Grants, Narrowing, Turn};

/// What differs in a newer registry, by setting.
pub fn compare(old: &Config, new: &Config) -> Vec<Change> {
    let mut changes = Vec::new();
    for (key, before, after) in both(&old.tools, &new.tools) {
        changes.extend(tool(&format!("tools.{key}"), before, after));
    }
    for (name, before, after) in both(&old.callers, &new.callers) {
        changes.extend(caller(&format!("callers.{name}"), before, after));
    }
    changes
}

/// The entries of two tables, by their keys.
fn both<'c, T>(
    old: &'c BTreeMap<Spanned<String>, T>,
    new: &'c BTreeMap<Spanned<String>, T>,
) -> Vec<(&'c str, Option<&'c T>, Option<&'c T>)> {
    // By text: the place of a key is part of its own order.
    let texts = |table: &'c BTreeMap<Spanned<String>, T>| -> BTreeMap<&'c str, &'c T> {
        table.iter().map(|(key, entry)| (key.get_ref().as_str(), entry)).collect()
    };
    let (old, new) = (texts(old), texts(new));
    let keys: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    keys.into_iter().map(|key| (key, old.get(key).copied(), new.get(key).copied())).collect()
}

fn tool(place: &str, old: Option<&ToolConfig>, new: Option<&ToolConfig>) -> Vec<Change> {
    let component =
        |tool: Option<&ToolConfig>| tool.map(|tool| tool.component.get_ref().display().to_string());
    let mut changes = Vec::new();
    if old.is_none() || new.is_none() {
        changes.extend(Change::of(place.to_owned(), component(old), component(new), false));
    }
    let grants = |tool: Option<&ToolConfig>| {
        tool.and_then(|tool| tool.grants.as_ref()).map(|grants| grants.get_ref().clone()).unwrap_or_default()
    };
    changes.extend(within(place, grants(old).changes(&grants(new))));
    let effects = |tool: Option<&ToolConfig>| {
        tool.and_then(|tool| tool.effects.as_ref()).map(|effect| *effect.get_ref())
    };
    // Without the setting the contract and the grants say it, which is not known here.
    changes.extend(effect(place, effects(old), effects(new)));
    changes.extend(report(place, old, new));
    changes
}

fn within(place: &str, changes: Vec<Change>) -> Vec<Change> {
    changes
        .into_iter()
        .map(|change| Change { place: format!("{place}.{}", change.place), ..change })
        .collect()
}

fn effect(place: &str, old: Option<Effect>, new: Option<Effect>) -> Option<Change> {
    let text = |effect: Option<Effect>| effect.map(|effect| effect.as_str().to_owned());
    let is_within = old.zip(new).is_some_and(|(old, new)| new <= old);
    Change::of(format!("{place}.effects"), text(old), text(new), is_within)
}

/// What is tried, with its end: another grant or a later end is more.
fn report(place: &str, old: Option<&ToolConfig>, new: Option<&ToolConfig>) -> Vec<Change> {
    let report = |tool: Option<&ToolConfig>| {
        tool.and_then(|tool| tool.report.as_ref()).map(|report| report.get_ref().clone())
    };
    let (old, new) = (report(old), report(new));
    let grants = |report: &Option<ReportConfig>| {
        report.as_ref().map(|report| report.grants.clone()).unwrap_or_default()
    };
    let place = format!("{place}.report");
    let mut changes = within(&place, grants(&old).changes(&grants(&new)));
    if let (Some(old), Some(new)) = (&old, &new) {
        let is_within = new.until.begins_ms() <= old.until.begins_ms();
        changes.extend(Change::of(
            format!("{place}.until"),
            Some(old.until.to_string()),
            Some(new.until.to_string()),
            is_within,
        ));
    }
    changes
}

fn caller(place: &str, old: Option<&CallerConfig>, new: Option<&CallerConfig>) -> Vec<Change> {
    let patterns = |caller: Option<&CallerConfig>| caller.map(|caller| caller.tools.clone());
    let list = |patterns: &Option<Vec<ToolPattern>>| {
        let list = |patterns: &Vec<ToolPattern>| {
            patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        patterns.as_ref().map(list)
    };
    let (before, after) = (patterns(old), patterns(new));
    let is_covered = |pattern: &ToolPattern| before.iter().flatten().any(|old| pattern.is_within(old));
    let is_within = after.iter().flatten().all(is_covered);
    let mut changes: Vec<Change> =
        Change::of(format!("{place}.tools"), list(&before), list(&after), is_within).into_iter().collect();
    if let (Some(old), Some(new)) = (old, new) {
        changes.extend(narrowing(place, old.grants.as_ref(), new.grants.as_ref()));
    }
    changes
}

/// A caller without grants of its own has all that tools are granted.
fn narrowing(place: &str, old: Option<&Narrowing>, new: Option<&Narrowing>) -> Vec<Change> {
    let place = format!("{place}.grants");
    let text = |narrowing: &Narrowing| narrowing.as_grants().to_string();
    match (old, new) {
        (None, None) => Vec::new(),
        (Some(old), None) => {
            vec![Change { turn: Turn::Widened, place, before: Some(text(old)), after: None }]
        }
        (None, Some(new)) => {
            vec![Change { turn: Turn::Narrowed, place, before: None, after: Some(text(new)) }]
        }
        (Some(old), Some(new)) => {
            let (old, new): (Grants, Grants) = (old.as_grants(), new.as_grants());
            let outer = place.trim_end_matches(".grants");
            within(outer, old.changes(&new))
        }
    }
}
