//! What an entry of `[tools]` allows.

use std::collections::BTreeMap;

use toml::Spanned;

use super::{Found, hold as held, signature};
use crate::config::{
    Approval, BulkheadConfig, Config, FactConfig, Fallback, Fallbacks, Functions, ReportConfig, RetryConfig,
    ToolConfig,
};
use airlock_types::effect::Effect;
use airlock_types::grant::Grants;
use airlock_types::limit::{Limits, PartialLimits};
use airlock_types::plan::RetryPolicy;

pub(super) fn compare(
    found: &mut Found,
    place: &str,
    (old_file, old): (&Config, Option<&ToolConfig>),
    (new_file, new): (&Config, Option<&ToolConfig>),
) {
    match (old, new) {
        (Some(old), Some(new)) => one(found, place, (old_file, old), (new_file, new)),
        (old, new) => {
            let component = |tool: &ToolConfig| tool.component.get_ref().display().to_string();
            found.entry(place, old.map(component), new.map(component));
            found.below(place, granted(old).changes(&granted(new)));
            report(found, place, old, new);
        }
    }
}

fn one(
    found: &mut Found,
    place: &str,
    (old_file, old): (&Config, &ToolConfig),
    (new_file, new): (&Config, &ToolConfig),
) {
    let ToolConfig {
        component,
        functions,
        effects,
        grants: _,
        report: _,
        limits,
        retry,
        fallback,
        verify,
        facts,
        hold,
        approval,
        useful_ms_min,
        bulkhead,
        imports,
        // What is recorded, and for how long, allows nothing.
        journal: _,
        record: _,
        signatures: _,
    } = old;
    let at = |name: &str| format!("{place}.{name}");
    // Another component is not known to do less.
    let path = |tool: &ToolConfig| tool.component.get_ref().display().to_string();
    let is_same = component.get_ref() == new.component.get_ref();
    found.value(&at("component"), path(old), path(new), is_same);
    self::functions(found, &at("functions"), functions.as_ref(), new.functions.as_ref());
    self::effects(found, &at("effects"), effects.as_ref(), new.effects.as_ref());
    found.below(place, granted(Some(old)).changes(&granted(Some(new))));
    report(found, place, Some(old), Some(new));
    self::limits(found, &at("limits"), limits, &new.limits);
    self::retry(found, &at("retry"), retry, &new.retry);
    self::fallback(found, &at("fallback"), fallback, &new.fallback);
    // By the word of that tool an effect is repeated.
    let asked = |tool: &Option<Spanned<String>>| match tool {
        Some(name) => name.get_ref().clone(),
        None => "as the contract says".to_owned(),
    };
    found.value(&at("verify"), asked(verify), asked(&new.verify), false);
    // By the word of that tool a precondition is met.
    for (name, before, after) in super::both(facts, &new.facts) {
        let from = |fact: Option<&FactConfig>| fact.map_or("nobody", |fact| fact.from.get_ref()).to_owned();
        let (before, after) = (from(before), from(after));
        let is_same = before == after;
        found.value(&at(&format!("facts.{name}")), before, after, is_same);
    }
    held::of_tool(found, &at("hold"), hold, &new.hold);
    let waived = |approval: &Option<Approval>| match approval {
        Some(Approval::Waived) => "waived".to_owned(),
        None => "required where irreversible".to_owned(),
    };
    found.value(&at("approval"), waived(approval), waived(&new.approval), new.approval.is_none());
    let useful =
        |tool: &Option<u64>| tool.map_or_else(|| "as the contract says".to_owned(), |ms| ms.to_string());
    let is_later = useful_ms_min.zip(new.useful_ms_min).is_some_and(|(old, new)| new >= old);
    found.value(&at("useful_ms_min"), useful(useful_ms_min), useful(&new.useful_ms_min), is_later);
    let BulkheadConfig { run, wait } = bulkhead;
    found.bound(&at("bulkhead.run"), (*run).into(), new.bulkhead.run.into());
    found.bound(&at("bulkhead.wait"), (*wait).into(), new.bulkhead.wait.into());
    for (name, before, after) in super::both(imports, &new.imports) {
        let text = |stand_in: Option<&crate::config::ImportConfig>| stand_in.map(ToString::to_string);
        found.entry(&at(&format!("imports.{name:?}")), text(before), text(after));
    }
    signature::compare(found, &at("signatures"), (old_file, old), (new_file, new));
}

fn granted(tool: Option<&ToolConfig>) -> Grants {
    tool.and_then(|tool| tool.grants.as_ref()).map(|grants| grants.get_ref().clone()).unwrap_or_default()
}

/// Fewer functions are less, and another public name is another tool.
fn functions(
    found: &mut Found,
    place: &str,
    old: Option<&Spanned<Functions>>,
    new: Option<&Spanned<Functions>>,
) {
    let named = |functions: &Functions| -> BTreeMap<String, Option<String>> {
        match functions {
            Functions::Listed(names) => names.iter().map(|name| (name.clone(), None)).collect(),
            Functions::Named(names) => {
                names.iter().map(|(name, public)| (name.clone(), Some(public.clone()))).collect()
            }
        }
    };
    let text = |functions: Option<&BTreeMap<String, Option<String>>>| {
        let one = |(name, public): (&String, &Option<String>)| match public {
            Some(public) => format!("{name} as {public}"),
            None => name.clone(),
        };
        functions.map_or_else(|| "all".to_owned(), |all| all.iter().map(one).collect::<Vec<_>>().join(", "))
    };
    let (old, new) = (old.map(|old| named(old.get_ref())), new.map(|new| named(new.get_ref())));
    let is_within = match (&old, &new) {
        (_, None) => old.is_none(),
        (None, Some(new)) => new.values().all(Option::is_none),
        (Some(old), Some(new)) => new.iter().all(|(name, public)| old.get(name) == Some(public)),
    };
    found.value(place, text(old.as_ref()), text(new.as_ref()), is_within);
}

/// A class bounds what a tool may do. Without the setting the contract and the grants say it, which is not known here.
fn effects(found: &mut Found, place: &str, old: Option<&Spanned<Effect>>, new: Option<&Spanned<Effect>>) {
    let text = |effect: Option<&Spanned<Effect>>| match effect {
        Some(effect) => effect.get_ref().as_str().to_owned(),
        None => "as contract and grants say".to_owned(),
    };
    let is_within = old.zip(new).is_some_and(|(old, new)| new.get_ref() <= old.get_ref());
    found.value(place, text(old), text(new), is_within);
}

/// What is tried, with its end: another grant or a later end is more.
fn report(found: &mut Found, place: &str, old: Option<&ToolConfig>, new: Option<&ToolConfig>) {
    let report = |tool: Option<&ToolConfig>| {
        tool.and_then(|tool| tool.report.as_ref()).map(|report| report.get_ref().clone())
    };
    let (old, new) = (report(old), report(new));
    let grants = |report: &Option<ReportConfig>| {
        report.as_ref().map(|report| report.grants.clone()).unwrap_or_default()
    };
    let place = format!("{place}.report");
    found.below(&place, grants(&old).changes(&grants(&new)));
    if let (Some(old), Some(new)) = (&old, &new) {
        let is_within = new.until.begins_ms() <= old.until.begins_ms();
        found.value(&format!("{place}.until"), old.until.to_string(), new.until.to_string(), is_within);
    }
}

/// A limit that is left out is that of the contract, and the default at most.
fn limits(found: &mut Found, place: &str, old: &PartialLimits, new: &PartialLimits) {
    let PartialLimits {
        fuel,
        deadline_ms,
        memory_bytes_max,
        table_elements_max,
        output_bytes_max,
        log_bytes_max,
    } = old;
    let default = Limits::default();
    for (name, old, new, default) in [
        ("fuel", fuel, new.fuel, default.fuel),
        ("deadline_ms", deadline_ms, new.deadline_ms, default.deadline_ms),
        ("memory_bytes_max", memory_bytes_max, new.memory_bytes_max, default.memory_bytes_max),
        ("table_elements_max", table_elements_max, new.table_elements_max, default.table_elements_max),
        ("output_bytes_max", output_bytes_max, new.output_bytes_max, default.output_bytes_max),
        ("log_bytes_max", log_bytes_max, new.log_bytes_max, default.log_bytes_max),
    ] {
        let text = |limit: &Option<u64>| {
            limit.map_or_else(|| "as the contract says".to_owned(), |limit| limit.to_string())
        };
        // What the contract says is not known here: it may be less than what the registry says.
        let is_within = old.is_some_and(|old| new.unwrap_or(default) <= old);
        found.value(&format!("{place}.{name}"), text(old), text(&new), is_within);
    }
}

fn retry(found: &mut Found, place: &str, old: &RetryConfig, new: &RetryConfig) {
    let RetryConfig { attempts, implausible } = old;
    let count = |attempts: &Option<Spanned<u32>>| {
        attempts.as_ref().map_or(RetryPolicy::default().attempts_max, |attempts| *attempts.get_ref())
    };
    found.bound(&format!("{place}.attempts"), count(attempts).into(), count(&new.attempts).into());
    found.flag(&format!("{place}.implausible"), *implausible, new.implausible);
}

/// Fewer fallbacks are less, and a kept answer may be younger.
fn fallback(found: &mut Found, place: &str, old: &Fallbacks, new: &Fallbacks) {
    // One list for all functions has no name of a function.
    let lists = |fallbacks: &Fallbacks| -> BTreeMap<String, Vec<Fallback>> {
        let plain = |list: &Vec<Spanned<Fallback>>| list.iter().map(|one| one.get_ref().clone()).collect();
        match fallbacks {
            Fallbacks::Same(list) => [(String::new(), plain(list))].into(),
            Fallbacks::Each(lists) => {
                lists.iter().map(|(name, list)| (name.get_ref().clone(), plain(list))).collect()
            }
        }
    };
    let (old, new) = (lists(old), lists(new));
    let is_allowed = |by: &Fallback, list: &[Fallback]| {
        list.iter().any(|own| match (own, by) {
            (Fallback::Cached(own), Fallback::Cached(by)) => by.cached.ms() <= own.cached.ms(),
            (Fallback::Tool(own), Fallback::Tool(by)) => own == by,
            (Fallback::Cached(_) | Fallback::Tool(_), _) => false,
        })
    };
    let is_within = new.iter().all(|(name, list)| {
        list.iter().all(|by| old.get(name).or_else(|| old.get("")).is_some_and(|own| is_allowed(by, own)))
    });
    let text = |lists: &BTreeMap<String, Vec<Fallback>>| {
        let one = |(name, list): (&String, &Vec<Fallback>)| {
            let list = list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            if name.is_empty() { list } else { format!("{name}: {list}") }
        };
        let text = lists.iter().map(one).collect::<Vec<_>>().join("\n");
        if text.is_empty() { "none".to_owned() } else { text }
    };
    found.value(place, text(&old), text(&new), is_within);
}
