//! Checks fallbacks against the tools that they stand in for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::tools::Tools;
use crate::config::{ConfigFile, Fallback, NAME_CHARS_MAX};
use crate::registry::{Tool, name};
use airlock_types::diagnostic::Diagnostic;
use airlock_types::effect::Effect;
use airlock_types::grant::keyvalue::Scope;
use airlock_types::words::{did_you_mean, one_line, quoted_list};

/// The problems of all fallbacks, by the key of the entry that names them. A fallback must exist, have the same type, have
/// no stronger effects, and not lead back to its tool.
pub(super) fn problems(file: &ConfigFile, found: &Tools) -> BTreeMap<String, Vec<Diagnostic>> {
    let tools = &found.tools;
    let mut problems: BTreeMap<String, Vec<Diagnostic>> = BTreeMap::new();
    for from in tools.values() {
        let config = file.config.tools.iter().find(|(key, _)| *key.get_ref() == from.key);
        let of_tool = |config| name::fallbacks(config, &from.contract.function);
        for target in config.iter().flat_map(|(_, config)| of_tool(&config.fallback)) {
            let problem = match target.get_ref() {
                // A broken fallback is not its tool's fault: the tool answers without it.
                Fallback::Tool(name) if found.is_left_out(file, name) => None,
                Fallback::Tool(name) => problem(tools, from, name),
                Fallback::Cached(_) => of_cached(tools, from),
            };
            if let Some(message) = problem {
                let problem = file.error(target.span(), message, "this fallback", None);
                problems.entry(from.key.clone()).or_default().push(problem);
            }
        }
    }
    problems
}

fn problem(tools: &BTreeMap<Arc<str>, Tool>, from: &Tool, target: &str) -> Option<String> {
    let Some(to) = tools.get(target) else {
        let nearest =
            did_you_mean(target, tools.keys().map(|name| &**name).filter(|name| **name != *from.name));
        let nearest = nearest.unwrap_or_else(|| match tools.len() {
            0 | 1 => "no other tool is there".to_owned(),
            _ => {
                let others = tools.keys().map(|name| &**name).filter(|name| **name != *from.name);
                format!("the others are {}", quoted_list(others))
            }
        });
        return Some(format!("there is no tool `{}`; {nearest}", one_line(target, NAME_CHARS_MAX)));
    };
    let (from_ty, to_ty) = (&from.contract.function.ty, &to.contract.function.ty);
    if to.name == from.name {
        Some(format!("`{}` cannot stand in for itself", from.name))
    } else if reaches(tools, to, &from.name) {
        Some(format!("`{}` and `{}` fall back to each other", from.name, to.name))
    } else if to_ty != from_ty {
        // A fallback receives the same arguments, and its caller expects the same result.
        Some(format!(
            "`{0}` cannot stand in for `{1}`: their types differ\n  {1}: {from_ty}\n  {0}: {to_ty}",
            to.name, from.name
        ))
    } else if let Some((place, other, own)) = other_unit(from, to) {
        Some(format!(
            "`{}` cannot stand in for `{}`: `{place}` is in `{other}` there, and in `{own}` here",
            to.name, from.name
        ))
    } else if to.effect > from.effect {
        Some(format!(
            "`{}` is {} and `{}` is {}: a fallback must not do more to the world",
            to.name,
            to.effect.as_str(),
            from.name,
            from.effect.as_str()
        ))
    } else {
        None
    }
}

/// The first place whose unit differs, with the unit that the fallback declares and that of its tool.
fn other_unit(from: &Tool, to: &Tool) -> Option<(String, String, String)> {
    let others = to.contract.units();
    from.contract.units().into_iter().find_map(|(place, own)| {
        let other = others.get(&place).filter(|other| **other != own)?;
        Some((place, other.clone(), own))
    })
}

/// Why the answers of a tool cannot stand in for later ones.
fn of_cached(tools: &BTreeMap<Arc<str>, Tool>, from: &Tool) -> Option<String> {
    let Tool { name, effect, .. } = from;
    // A fallback is asked with the same arguments, and may mark them.
    let others = from.fallback.iter().filter_map(Fallback::tool).filter_map(|name| tools.get(name));
    let confidential =
        std::iter::once(from).chain(others).find(|tool| !tool.contract.confidential.is_empty());
    let keeps_by_session =
        from.allowance.effective().keyvalue.as_ref().is_some_and(|grant| grant.scope == Scope::Session);
    if !matches!(effect, Effect::Pure | Effect::Read) {
        // Its answer says that it did something, which a kept answer did not.
        Some(format!("`{name}` is {}: answers of pure and read tools alone can be kept", effect.as_str()))
    } else if keeps_by_session {
        Some(format!(
            "`{name}` keeps keys and values for each session: an answer of one session must not be given in another"
        ))
    } else {
        confidential.map(|Tool { name, .. }| {
            format!("`{name}` has confidential fields, and a kept answer lies on the disk in the clear")
        })
    }
}

/// Whether the chain of fallbacks from a tool leads to `name`.
fn reaches(tools: &BTreeMap<Arc<str>, Tool>, from: &Tool, name: &str) -> bool {
    let mut open: Vec<&str> = vec![&from.name];
    // Without it a circle that does not contain `name` would be followed forever.
    let mut seen = BTreeSet::new();
    while let Some(next) = open.pop() {
        if next == name {
            return true;
        }
        if seen.insert(next)
            && let Some(tool) = tools.get(next)
        {
            open.extend(tool.fallback.iter().filter_map(Fallback::tool));
        }
    }
    false
}
