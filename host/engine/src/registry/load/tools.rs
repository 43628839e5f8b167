//! The tools of all entries, as they become a registry.
//!
//! Owns what holds between entries: names are unique, and fallbacks lead to tools that can stand in. An entry that breaks
//! a rule is left out, with all its tools. Must not know how one entry is loaded.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::Spanned;

use super::entry::policy::real_folder;
use super::{facts, fallback, holds, timing, verify};
use crate::config::{ConfigFile, Fallback, ToolConfig};
use crate::policy::idle_callers;
use crate::registry::{Registry, Tool};
use airlock_types::diagnostic::Diagnostic;
use airlock_types::words::did_you_mean;

/// What was loaded so far.
#[derive(Default)]
pub(super) struct Tools {
    pub(super) tools: BTreeMap<Arc<str>, Tool>,
    warnings: BTreeMap<String, Vec<String>>,
    pub(super) broken: BTreeMap<String, Vec<Diagnostic>>,
    /// Whether the host failed at one of them, which may pass.
    pub(super) may_pass: bool,
}

impl Tools {
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
        let mut numbered = (2_usize..).map(|n| format!("{name}_{n}"));
        numbered.find(|name| !self.tools.contains_key(name.as_str())).unwrap_or_default()
    }

    /// Leaves an entry out, with the tools that it has already given.
    pub(super) fn leave_out(&mut self, key: &str, problems: Vec<Diagnostic>) {
        self.tools.retain(|_, tool| tool.key != key);
        self.warnings.remove(key);
        self.broken.entry(key.to_owned()).or_default().extend(problems);
    }

    /// Notes something about an entry for a reviewer.
    pub(super) fn warn(&mut self, key: &str, note: String) {
        self.warnings.entry(key.to_owned()).or_default().push(note);
    }

    /// The registry. Fallbacks and tools that verify come last: they are other tools, which are complete only now.
    pub(super) fn finish(mut self, file: &ConfigFile) -> Registry {
        for (key, problems) in fallback::problems(file, &self) {
            self.leave_out(&key, problems);
        }
        verify::find(file, &mut self);
        facts::find(file, &mut self);
        holds::check(file, &mut self);
        holds::note_unanswered(file, &mut self);
        self.note_idle_callers(file);
        self.note_left_out_fallbacks(file);
        timing::note(file, &mut self);
        let warnings = file.warnings().into_iter().chain(self.warnings.into_values().flatten()).collect();
        let tools = self.tools.into_iter().map(|(name, tool)| (name, Arc::new(tool))).collect();
        let entries = file.config.tools.iter().filter(|(key, _)| self.broken.contains_key(key.get_ref()));
        let left_out = entries.map(|(key, config)| (key.get_ref().clone(), config.clone())).collect();
        let problems = self.broken.into_values().flatten().collect();
        Registry { tools, warnings, left_out, problems, may_pass: self.may_pass, webhook: None }
    }

    /// Notes what an entry of a caller leaves that no tool has: it leaves nothing of it, which may be a slip.
    fn note_idle_callers(&mut self, file: &ConfigFile) {
        // A tool that was left out may have it.
        if !self.broken.is_empty() || self.tools.is_empty() {
            return;
        }
        let tools = || self.tools.values().map(|tool| (&*tool.source, tool.allowances.most().effective()));
        let found =
            idle_callers(tools, |path| real_folder(file, path)).into_iter().map(|found| found.to_string());
        let found: Vec<String> = found.chain(self.idle_patterns(file)).collect();
        let key = file.config.tools.keys().next().map(|key| key.get_ref().clone()).unwrap_or_default();
        self.warnings.entry(key).or_default().extend(found);
    }

    /// A note on each name among the tools of a caller that no tool has.
    fn idle_patterns(&self, file: &ConfigFile) -> Vec<String> {
        let names = || self.tools.keys().map(|name| &**name);
        let mut notes = Vec::new();
        for (caller, config) in &file.config.callers {
            let idle = config.tools.iter().filter(|pattern| !names().any(|name| pattern.matches(name)));
            notes.extend(idle.map(|pattern| {
                let (caller, pattern) = (caller.get_ref(), pattern.to_string());
                let near =
                    did_you_mean(&pattern, names()).map_or_else(String::new, |near| format!("; {near}"));
                format!("`callers.{caller}.tools` has `{pattern}`, which is the name of no tool{near}")
            }));
        }
        notes
    }

    /// Notes the fallbacks whose entries are left out: their tools answer without them.
    fn note_left_out_fallbacks(&mut self, file: &ConfigFile) {
        for tool in self.tools.values() {
            let others = tool.fallback.iter().filter_map(Fallback::tool);
            let gone = others.filter(|name| self.is_left_out(file, name));
            let note =
                |name: &str| format!("`{}` has no fallback `{name}`: its entry was left out", tool.name);
            let notes: Vec<String> = gone.map(note).collect();
            self.warnings.entry(tool.key.clone()).or_default().extend(notes);
        }
    }

    /// Whether a tool of this name is missing because its entry was left out.
    pub(super) fn is_left_out(&self, file: &ConfigFile, name: &str) -> bool {
        let shows = |(key, config): (&Spanned<String>, &ToolConfig)| {
            self.broken.contains_key(key.get_ref()) && config.may_show(key.get_ref(), name)
        };
        !self.tools.contains_key(name) && file.config.tools.iter().any(shows)
    }
}
