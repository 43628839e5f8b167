//! Finds whose facts the relations of each tool are held against.
//!
//! Facts of its own component are those of its own entry. Those of another component count only where the registry names
//! the tool that gives them: no tool can feed the preconditions of another one unasked.

use std::sync::Arc;

use toml::Spanned;

use super::tools::Tools;
use crate::caller::facts::{FactGiver, FactSource};
use crate::config::{ConfigFile, FactConfig, NAME_CHARS_MAX};
use crate::registry::Tool;
use airlock_contract::facts::Reading;
use airlock_types::diagnostic::Diagnostic;
use airlock_types::words::{did_you_mean, one_line};

/// Sets the sources of the facts of each tool.
pub(super) fn find(file: &ConfigFile, found: &mut Tools) {
    for (key, problems) in idle(file, found) {
        found.leave_out(&key, problems);
    }
    let readers =
        found.tools.values().filter(|tool| tool.contract.facts.as_ref().is_some_and(|f| !f.reads.is_empty()));
    let looked: Vec<_> =
        readers.map(|tool| ((tool.name.clone(), tool.key.clone()), sources(file, found, tool))).collect();
    for ((name, key), sources) in looked {
        match sources {
            Ok(sources) => {
                if let Some(tool) = found.tools.get_mut(&name) {
                    tool.facts = sources;
                }
            }
            Err(problem) => found.leave_out(&key, vec![*problem]),
        }
    }
}

/// The bindings of facts that no contract of their entry needs: they would do nothing.
fn idle(file: &ConfigFile, found: &Tools) -> Vec<(String, Vec<Diagnostic>)> {
    let needs = |key: &str, name: &str| {
        let of = found
            .tools
            .values()
            .filter(|tool| tool.key == key)
            .filter_map(|tool| tool.contract.facts.as_ref());
        of.flat_map(|facts| &facts.reads).any(|reading| !reading.is_own && reading.name == name)
    };
    let entries = file
        .config
        .tools
        .iter()
        .filter(|(key, _)| found.tools.values().any(|tool| tool.key == *key.get_ref()));
    let idle = entries.map(|(key, config)| {
        let names = config.facts.keys().filter(|name| !needs(key.get_ref(), name.get_ref()));
        let problem = |name: &Spanned<String>| {
            let message =
                format!("no contract of this entry needs facts `{}` of another tool", name.get_ref());
            file.error(name.span(), message, "this setting", None)
        };
        (key.get_ref().clone(), names.map(problem).collect::<Vec<_>>())
    });
    idle.filter(|(_, problems)| !problems.is_empty()).collect()
}

fn sources(file: &ConfigFile, found: &Tools, tool: &Tool) -> Result<Box<[FactSource]>, Box<Diagnostic>> {
    let reads = tool.contract.facts.as_ref().map_or(&[][..], |facts| &facts.reads);
    reads
        .iter()
        .map(
            |reading| {
                if reading.is_own {
                    Ok(own(found, tool, reading))
                } else {
                    bound(file, found, (tool, reading))
                }
            },
        )
        .collect()
}

/// Facts of the tool's own entry.
fn own(found: &Tools, tool: &Tool, reading: &Reading) -> FactSource {
    let gives = |other: &&Tool| {
        let facts = other.contract.facts.as_ref().filter(|_| other.key == tool.key);
        facts.is_some_and(|facts| facts.gives.iter().any(|gives| *gives.name == *reading.name))
    };
    let givers = found.tools.values().filter(gives).map(|tool| tool.name.clone()).collect();
    FactSource { name: reading.name.clone(), giver: FactGiver::Own, givers }
}

/// Facts of the tool that the registry names.
fn bound(
    file: &ConfigFile,
    found: &Tools,
    (tool, reading): (&Tool, &Reading),
) -> Result<FactSource, Box<Diagnostic>> {
    let entry = file.config.tools.iter().find(|(key, _)| *key.get_ref() == tool.key);
    let config =
        entry.and_then(|(_, config)| config.facts.iter().find(|(name, _)| *name.get_ref() == reading.name));
    let name = &reading.name;
    let Some((_, FactConfig { from })) = config else {
        let message =
            format!("`{}` is held against facts `{name}` of another tool, and none is named", tool.name);
        let span = entry.map(|(key, _)| key.span()).unwrap_or_default();
        let hint = format!("name the tool that gives them: `facts.{name} = {{ from = \"TOOL\" }}`");
        return Err(Box::new(file.error(span, message, "this tool", Some(hint))));
    };
    let problem = |message: String, hint| Box::new(file.error(from.span(), message, "this tool", hint));
    let shown = one_line(from.get_ref(), NAME_CHARS_MAX);
    let Some(giver) = found.tools.get(from.get_ref().as_str()) else {
        let why =
            if found.is_left_out(file, from.get_ref()) { "its entry was left out" } else { "there is none" };
        let hint = did_you_mean(from.get_ref(), found.tools.keys().map(|name| &**name));
        return Err(problem(format!("no tool `{shown}` gives facts `{name}`: {why}"), hint));
    };
    let given = giver.contract.facts.as_ref();
    let gives = given.and_then(|facts| facts.gives.iter().find(|gives| *gives.name == **name));
    let gives =
        gives.ok_or_else(|| problem(format!("the contract of `{shown}` gives no facts `{name}`"), None))?;
    let fits = gives.ty.serves(&reading.ty);
    fits.map_err(|why| problem(format!("the facts `{name}` of `{shown}` do not fit: {why}"), None))?;
    let (name, digest) = (giver.name.clone(), giver.component.digest.clone());
    let givers = vec![Arc::clone(&name)];
    Ok(FactSource { name: reading.name.clone(), giver: FactGiver::Tool { name, digest }, givers })
}
