//! The tools that a host can call.
//!
//! Owns components, digests and public names, how a registry is loaded, and `resolve`. Must not know arguments or what
//! a call decides. To add a check of loading: `load/entry.rs` if it concerns one entry, otherwise `load.rs`.

mod code;
mod definition;
mod load;
mod name;
mod tool;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::ToolConfig;
use crate::webhook::Webhook;
use airlock_types::diagnostic::{Diagnostic, Diagnostics};
use airlock_types::shorten::shorten;
use airlock_types::text::visible_name;
use airlock_types::words::nearest;

use code::Code;
pub(crate) use code::Form;
pub use definition::{AcceptedSigner, Definition, HoldTerm, Relation, Terms, describe};
pub use load::{
    LoadEvent, Loading, OutOfReach, SignableError, Unpacked, inspect, signable, unpacked, verified,
};
pub(crate) use load::{LoadFailure, Purpose, STEP_MAX, Threads, load, may_stay};
pub use tool::{Component, Tool};
pub(crate) use tool::{Sealer, USEFUL_MS_MIN};

/// Characters of an unknown name that are shown, and the bytes that are looked at for them.
const NAME_CHARS_MAX: usize = 80;
const NAME_BYTES_MAX: usize = 8 * NAME_CHARS_MAX;

/// The tools that a host can call, by public name.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    tools: BTreeMap<Arc<str>, Arc<Tool>>,
    /// Notes for a reviewer that do not keep the tools from running.
    pub warnings: Vec<String>,
    /// The entries that were left out, by key.
    left_out: BTreeMap<String, ToolConfig>,
    /// The problems of the entries that were left out, in the order of their keys.
    problems: Vec<Diagnostic>,
    /// Whether an entry was left out since the host failed at it, which may pass.
    may_pass: bool,
    /// Who is told of held calls.
    webhook: Option<Arc<Webhook>>,
}

/// No tool of this name exists, or the caller may not see it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no tool `{name}`{}", did_you_mean(.nearest.as_deref()))]
pub struct UnknownTool {
    /// The requested name, shortened, with hidden characters as escapes.
    pub name: String,
    /// The most similar name, if one is near enough.
    pub nearest: Option<String>,
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"))
}

impl Registry {
    /// Whether an entry was left out since the host failed at it, which may pass.
    pub fn may_pass(&self) -> bool {
        self.may_pass
    }

    /// The problems of the entries that were left out; none if every entry was loaded.
    pub fn problems(&self) -> Option<Diagnostics> {
        (!self.problems.is_empty()).then(|| Diagnostics(self.problems.clone()))
    }

    /// Whether a tool of this name may be missing because its entry was left out.
    pub fn may_lack(&self, name: &str) -> bool {
        !self.tools.contains_key(name) && self.left_out.iter().any(|(key, config)| config.may_show(key, name))
    }

    /// Whether it has the same tools, of the same bytes, and lacks the same for the same reasons as another one of its file.
    pub(crate) fn is_like(&self, other: &Registry) -> bool {
        let tools = |registry: &'_ Registry| -> Vec<(Arc<str>, Arc<str>)> {
            registry.tools().map(|tool| (tool.name.clone(), tool.component.digest.clone())).collect()
        };
        self.problems == other.problems
            && self.left_out.keys().eq(other.left_out.keys())
            && tools(self) == tools(other)
    }

    /// With the tools of an older registry in the place of those that are not accepted, and of those whose entry was
    /// left out, as far as they may stay. Names that are new and not accepted are not served.
    pub(crate) fn with_older(
        mut self,
        older: &Registry,
        unaccepted: &BTreeSet<String>,
        may_stay: impl Fn(&Tool) -> bool,
    ) -> Registry {
        let lacks = |name: &str| unaccepted.contains(name) || self.may_lack(name);
        let kept = older.tools.iter().filter(|(name, tool)| lacks(name) && may_stay(tool));
        let kept: Vec<_> = kept.map(|(name, tool)| (name.clone(), tool.clone())).collect();
        self.tools.retain(|name, _| !unaccepted.contains(&**name));
        self.tools.extend(kept);
        self
    }

    /// The tools that may stay under a newer file of which nothing is loaded.
    pub(crate) fn only(&self, may_stay: impl Fn(&Tool) -> bool) -> Registry {
        let mut kept = self.clone();
        kept.tools.retain(|_, tool| may_stay(tool));
        kept
    }

    /// With problems that no single entry has.
    pub(crate) fn with_problems(mut self, Diagnostics(problems): Diagnostics) -> Registry {
        self.problems.extend(problems);
        self
    }

    /// Who is told of held calls.
    pub(crate) fn webhook(&self) -> Option<&Arc<Webhook>> {
        self.webhook.as_ref()
    }

    /// The code of its tools, by the key of their entry.
    pub(crate) fn code(&self) -> BTreeMap<String, Arc<Code>> {
        let of = |tool: &Arc<Tool>| Some((tool.key.clone(), tool.runnable.as_ref()?.code.clone()));
        self.tools().filter_map(of).collect()
    }

    /// All tools, ordered by name.
    pub fn tools(&self) -> impl Iterator<Item = &Arc<Tool>> {
        self.tools.values()
    }

    /// The tool of this name.
    ///
    /// # Errors
    /// When no tool has this name. The error suggests the most similar name.
    pub fn resolve(&self, name: &str) -> Result<&Arc<Tool>, UnknownTool> {
        self.resolve_among(name, |_| true)
    }

    /// The tool of this name, if `shown` admits it. Other tools are treated as if they did not exist.
    ///
    /// # Errors
    /// When no shown tool has this name. The error suggests the most similar shown name.
    pub fn resolve_among(&self, name: &str, shown: impl Fn(&str) -> bool) -> Result<&Arc<Tool>, UnknownTool> {
        self.tools.get(name).filter(|tool| shown(&tool.name)).ok_or_else(|| UnknownTool {
            // The name is the caller's text, and the error is shown.
            name: shorten(&visible_name(&name[..name.floor_char_boundary(NAME_BYTES_MAX)]), NAME_CHARS_MAX),
            // Only among shown names: a suggestion must not reveal a hidden tool.
            nearest: self
                .published_as(name, &shown)
                .or_else(|| nearest(name, self.tools.keys().map(|name| &**name).filter(|name| shown(name))))
                .map(str::to_owned),
        })
    }

    /// The tool that a team published under this name.
    fn published_as(&self, name: &str, shown: impl Fn(&str) -> bool) -> Option<&str> {
        let mut tools = self.tools.values().filter(|tool| shown(&tool.name));
        tools.find(|tool| tool.contract.name.as_deref() == Some(name)).map(|tool| &*tool.name)
    }
}
