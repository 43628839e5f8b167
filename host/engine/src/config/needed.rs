//! The part of a registry that one tool needs, for programs that call or show one tool.
//!
//! Loading thousands of tools to call one of them would take seconds. Must not know components: which functions an entry
//! has is not known yet, so an entry is needed if it may show the name.

use std::collections::BTreeSet;

use toml::Spanned;

use super::{ConfigFile, Fallback, ToolConfig};

impl ConfigFile {
    /// This registry with the entries that may show the tool, those of its fallbacks, of what verifies it and of what gives it
    /// facts, and those of the same components, which may verify it, too. With all of them if none may show the tool: the error for an unknown name then
    /// suggests the nearest one.
    #[must_use]
    pub fn needed_by(&self, tool: &str) -> ConfigFile {
        let entries = |is_needed: &dyn Fn(&str, &ToolConfig) -> bool| -> Vec<_> {
            self.config.tools.iter().filter(|(key, config)| is_needed(key.get_ref(), config)).collect()
        };
        let mut open = entries(&|key, config| config.may_show(key, tool));
        let mut needed: BTreeSet<&str> = BTreeSet::new();
        while let Some((key, config)) = open.pop() {
            if needed.insert(key.get_ref()) {
                let fallbacks = config.fallback.lists().concat();
                let (component, verify) = (config.component.get_ref(), config.verify.as_ref());
                let facts = &config.facts;
                open.extend(entries(&|key, other| {
                    let stands_in = |fallback: &Spanned<Fallback>| {
                        fallback.get_ref().tool().is_some_and(|tool| other.may_show(key, tool))
                    };
                    let verifies = verify.is_some_and(|name| other.may_show(key, name.get_ref()));
                    let gives = facts.values().any(|fact| other.may_show(key, fact.from.get_ref()));
                    let is_same = other.component.get_ref() == component;
                    is_same || verifies || gives || fallbacks.iter().any(stands_in)
                }));
            }
        }
        let mut part = self.clone();
        if !needed.is_empty() {
            part.config.tools.retain(|key, _| needed.contains(key.get_ref().as_str()));
            part.config.only_possible_holds();
            part.config.idle_unused_secrets();
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_needs_the_entries_that_may_show_it_those_of_its_fallbacks_and_of_its_component() {
        let entry = |key: &str, more: &str| format!("[tools.{key}]\ncomponent = \"{key}.wasm\"\n{more}");
        let text = [
            entry("a", "fallback = [\"b_run\"]\n"),
            entry("b", "fallback = [\"public\"]\n"),
            entry("c", "functions = { run = \"public\" }\n"),
            entry("ab", "verify = \"public\"\n"),
            entry("d", "facts.fare = { from = \"c_fares\" }\n"),
            "[tools.also]\ncomponent = \"ab.wasm\"\n".to_owned(),
        ];
        let file = ConfigFile::parse(&text.concat(), "airlock.toml".as_ref()).unwrap();
        let needed = |tool: &str| {
            let part = file.needed_by(tool);
            part.config.tools.keys().map(|key| key.get_ref().clone()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(needed("a_stop"), "a b c");
        assert_eq!(needed("public"), "c");
        assert_eq!(needed("c_run"), "a ab also b c d");
        assert_eq!(needed("ab"), "ab also c");
        assert_eq!(needed("none"), "a ab also b c d");
    }
}
