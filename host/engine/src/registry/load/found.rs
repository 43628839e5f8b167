//! The tools of all entries, as they become a registry.
//!
//! Owns what holds between entries: names are unique, and fallbacks lead to tools that can stand in. An entry that breaks
//! a rule is left out, with all its tools. Must not know how one entry is loaded.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::Spanned;

use super::fallback;
use crate::config::ConfigFile;
use crate::registry::{Registry, Tool};
use airlock_types::diagnostic::Diagnostic;

/// What was loaded so far.
#[derive(Default)]
pub(super) struct Found {
    pub(super) tools: BTreeMap<Arc<str>, Tool>,
    warnings: BTreeMap<String, Vec<String>>,
    pub(super) broken: BTreeMap<String, Vec<Diagnostic>>,
}

impl Found {
    /// Adds a tool, unless its name is taken. The entry that comes later is then left out, in the order of keys.
    pub(super) fn add(
        &mut self,
        file: &ConfigFile,
        key: &Spanned<String>,
        (tool, warnings): (Tool, Vec<String>),
    ) {
        let key_text = key.get_ref();
        // Keys are unique, but names made from keys and functions may collide.
        if let Some(other) = self.tools.get(&tool.name) {
            let message = format!("two tools would be called `{}`", tool.name);
            let hint = format!(
                "the other one is from `[tools.{}]`; give this one another name: `functions = {{ \"{}\" = \"{}\" }}`",
                other.key,
                tool.contract.function.address(),
                self.free_name(&tool.name)
            );
            let problem = file.error(key.span(), message, "one of them is from here", Some(hint));
            return self.leave_out(key_text, vec![problem]);
        }
        if self.broken.contains_key(key_text) {
            return;
        }
        self.warnings.entry(key_text.clone()).or_default().extend(warnings);
        self.tools.insert(tool.name.clone(), tool);
    }

    /// The name with the first number that makes it free.
    fn free_name(&self, name: &str) -> String {
        let numbered = (2_usize..).map(|n| format!("{name}_{n}"));
        numbered.into_iter().find(|name| !self.tools.contains_key(name.as_str())).unwrap_or_default()
    }

    /// Leaves an entry out, with the tools that it has already given.
    pub(super) fn leave_out(&mut self, key: &str, problems: Vec<Diagnostic>) {
        self.tools.retain(|_, tool| tool.key != key);
        self.warnings.remove(key);
        self.broken.entry(key.to_owned()).or_default().extend(problems);
    }

    /// The registry. Fallbacks come last: they refer to other tools, which are complete only now.
    pub(super) fn finish(mut self, file: &ConfigFile) -> Registry {
        self.drop_broken_fallbacks(file);
        // An entry that is left out may have been another one's fallback, so until nothing is left out any more.
        loop {
            let problems = fallback::problems(file, &self.tools);
            if problems.is_empty() {
                break;
            }
            problems.into_iter().for_each(|(key, problems)| self.leave_out(&key, problems));
            self.drop_broken_fallbacks(file);
        }
        let warnings = file.warnings().into_iter().chain(self.warnings.into_values().flatten()).collect();
        let tools = self.tools.into_iter().map(|(name, tool)| (name, Arc::new(tool))).collect();
        Registry { tools, warnings, broken: self.broken }
    }

    /// A tool answers without those of its fallbacks that were left out.
    fn drop_broken_fallbacks(&mut self, file: &ConfigFile) {
        let Found { tools, warnings, broken } = self;
        let names: Vec<Arc<str>> = tools.keys().cloned().collect();
        let is_left_out = |name: &str| {
            !names.iter().any(|known| **known == *name)
                && file.config.tools.iter().any(|(key, config)| {
                    broken.contains_key(key.get_ref()) && config.may_show(key.get_ref(), name)
                })
        };
        for tool in tools.values_mut() {
            let (gone, kept): (Vec<String>, Vec<String>) =
                std::mem::take(&mut tool.fallback).into_iter().partition(|name| is_left_out(name));
            tool.fallback = kept;
            let note =
                |name: &String| format!("`{}` has no fallback `{name}`: its entry was left out", tool.name);
            warnings.entry(tool.key.clone()).or_default().extend(gone.iter().map(note));
        }
    }
}
