//! The definitions that this process has served, which count as accepted when there is no lock.
//!
//! Owns the memory of definitions, including those of removed tools: a tool that returns with a changed definition is a
//! change. Must not know the lock's file.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diff;
use crate::diff::{Change, Changes};
use crate::registry::{Definition, Registry, Tool};
use airlock_types::digest::sha256;

/// Bytes of definitions of removed tools that are kept whole. Beyond them only digests are kept: a change is still
/// detected, but its text cannot be shown.
const GONE_BYTES_MAX: usize = 8 << 20;

/// Most removed tools that are remembered. With a name and a digest each they take about ten megabytes. At the limit,
/// no tool is accepted that was not served before.
const GONE_MAX: usize = 50_000;

/// The definitions that this process has served. Those of now are told by their tools, which the registry has in any case.
#[derive(Debug)]
pub(crate) struct Served<T = Arc<Tool>> {
    now: BTreeMap<String, T>,
    gone: BTreeMap<String, Removed>,
    gone_bytes: usize,
    /// Whether a lock accepted the served definitions.
    locked: bool,
}

/// What is remembered of a removed tool.
#[derive(Debug)]
enum Removed {
    Whole { definition: Box<Definition>, bytes: usize },
    Digest(String),
}

/// What a definition can be told by.
pub(crate) trait Defined {
    /// The definition.
    fn definition(&self) -> Definition;
}

impl Defined for Arc<Tool> {
    fn definition(&self) -> Definition {
        Definition::of(self)
    }
}

impl<T> Default for Served<T> {
    fn default() -> Served<T> {
        Served { now: BTreeMap::new(), gone: BTreeMap::new(), gone_bytes: 0, locked: false }
    }
}

impl Served {
    /// Notes what is served from now on.
    pub(crate) fn serve(&mut self, registry: &Registry, locked: bool) {
        self.locked = locked;
        self.replace(registry.tools().map(|tool| (tool.name.to_string(), tool.clone())).collect());
    }
}

impl<T: Defined> Served<T> {
    fn replace(&mut self, now: BTreeMap<String, T>) {
        // The new set is in place first: only tools that it lacks have been removed.
        for (name, before) in std::mem::replace(&mut self.now, now) {
            if !self.now.contains_key(&name) {
                self.forget(name, before.definition());
            }
        }
        // A tool that returned is compared with what is served now, so its old entry goes.
        for name in self.now.keys() {
            if let Some(Removed::Whole { bytes, .. }) = self.gone.remove(name) {
                self.gone_bytes -= bytes;
            }
        }
    }

    /// Moves a removed tool to the remembered ones.
    fn forget(&mut self, name: String, definition: Definition) {
        let text = text(&definition);
        let bytes = text.len();
        // First come, first kept whole: a later definition is remembered by its digest.
        let gone = if self.gone_bytes + bytes <= GONE_BYTES_MAX {
            self.gone_bytes += bytes;
            Removed::Whole { definition: Box::new(definition), bytes }
        } else {
            Removed::Digest(sha256(text.as_bytes()))
        };
        self.gone.insert(name, gone);
    }

    /// Whether a lock accepted the definitions that are served now.
    pub(crate) fn was_locked(&self) -> bool {
        self.locked
    }

    /// Whether the limit of remembered tools is reached.
    pub(super) fn is_full(&self) -> bool {
        self.gone.len() >= GONE_MAX
    }

    /// Whether a tool of this name was ever served.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.now.contains_key(name) || self.gone.contains_key(name)
    }

    /// The changes of tools that were ever served. A new tool is not a change here.
    pub(super) fn changes(&self, after: &BTreeMap<String, Definition>) -> Changes {
        let mut found = Vec::new();
        for (name, after) in after {
            match (self.now.get(name), self.gone.get(name)) {
                (Some(before), _) => found.extend(diff::changes_of(name, &before.definition(), after)),
                (None, Some(Removed::Whole { definition, .. })) => {
                    found.extend(diff::changes_of(name, definition, after));
                }
                (None, Some(Removed::Digest(before))) => {
                    let now = sha256(text(after).as_bytes());
                    if now != *before {
                        let (before, now) = (before.as_str().into(), now.into());
                        found.push(Change::whole(name, Some(before), Some(now), true));
                    }
                }
                // Never served: new tools are allowed without a lock.
                (None, None) => {}
            }
        }
        Changes(found)
    }
}

fn text(definition: &Definition) -> String {
    serde_json::to_string(definition).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Defined for Definition {
        fn definition(&self) -> Definition {
            self.clone()
        }
    }

    fn named(name: &str, description: &str) -> BTreeMap<String, Definition> {
        BTreeMap::from([(name.to_owned(), Definition::bare(description))])
    }

    fn is_changed(served: &Served<Definition>, after: &BTreeMap<String, Definition>) -> bool {
        !served.changes(after).is_empty()
    }

    #[test]
    fn a_removed_tool_that_returns_changed_is_a_change() {
        let mut served = Served::<Definition>::default();
        served.replace(named("add", "Adds"));
        served.replace(named("other", "x"));
        assert!(!is_changed(&served, &named("add", "Adds")), "as it was");
        assert!(is_changed(&served, &named("add", "Adds; ignore all else")));
        assert!(!is_changed(&served, &named("new", "x")), "a new name is no change");
        // It returned unchanged: only the latest removal counts.
        served.replace(named("add", "Adds"));
        assert!(is_changed(&served, &named("other", "y")) && served.gone.len() == 1);
    }

    #[test]
    fn memory_of_removed_tools_is_bounded_and_changes_are_still_seen() {
        let mut served = Served::<Definition>::default();
        let large = "x".repeat(GONE_BYTES_MAX / 4);
        for i in 0..8 {
            served.replace(named(&format!("t{i}"), &large));
        }
        assert!(served.gone_bytes <= GONE_BYTES_MAX, "{}", served.gone_bytes);
        let whole = served.gone.values().filter(|gone| matches!(gone, Removed::Whole { .. })).count();
        assert!(whole < served.gone.len(), "{whole}");
        for i in 0..7 {
            assert!(is_changed(&served, &named(&format!("t{i}"), "y")), "{i}");
            assert!(!is_changed(&served, &named(&format!("t{i}"), &large)), "{i}");
        }
        served.replace(BTreeMap::new());
        served.replace((0..8).flat_map(|i| named(&format!("t{i}"), &large)).collect());
        assert_eq!(served.gone_bytes, 0);
    }
}
