//! The part of a registry that one tool needs, for programs that call or show one tool.
//!
//! Loading thousands of tools to call one of them would take seconds. Must not know components: which functions an entry
//! has is not known yet, so an entry is needed if it may show the name.

use std::collections::BTreeSet;

use toml::Spanned;

use super::ConfigFile;

impl ConfigFile {
    /// This registry with the entries that may show the tool, and those of its fallbacks. With all of them if none may:
    /// the error for an unknown name then suggests the nearest one.
    #[must_use]
    pub fn needed_by(&self, tool: &str) -> ConfigFile {
        let mut wanted = vec![tool.to_owned()];
        let mut needed: BTreeSet<&str> = BTreeSet::new();
        while let Some(name) = wanted.pop() {
            for (key, config) in &self.config.tools {
                if config.may_show(key.get_ref(), &name) && needed.insert(key.get_ref()) {
                    wanted.extend(config.fallback.lists().concat().into_iter().map(Spanned::into_inner));
                }
            }
        }
        let mut part = self.clone();
        if !needed.is_empty() {
            part.config.tools.retain(|key, _| needed.contains(key.get_ref().as_str()));
            part.config.idle_unused_secrets();
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_needs_the_entries_that_may_show_it_and_those_of_its_fallbacks() {
        let entry = |key: &str, more: &str| format!("[tools.{key}]\ncomponent = \"{key}.wasm\"\n{more}");
        let text = [
            entry("a", "fallback = [\"b_run\"]\n"),
            entry("b", "fallback = [\"public\"]\n"),
            entry("c", "functions = { run = \"public\" }\n"),
            entry("ab", ""),
        ];
        let file = ConfigFile::parse(&text.concat(), "airlock.toml".as_ref()).unwrap();
        let needed = |tool: &str| {
            let part = file.needed_by(tool);
            part.config.tools.keys().map(|key| key.get_ref().clone()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(needed("a_stop"), "a b c");
        assert_eq!(needed("public"), "c");
        assert_eq!(needed("c_run"), "a ab b c");
        assert_eq!(needed("ab"), "ab");
        assert_eq!(needed("none"), "a ab b c");
    }
}
