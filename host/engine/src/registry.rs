//! The tools that a host can call.
//!
//! Owns components, digests and public names, how a registry is loaded, and `resolve`. Must not know
//! arguments or what a call decides.

mod definition;
mod load;
mod name;
mod tool;

use std::collections::BTreeMap;
use std::sync::Arc;

use airlock_contract::phrase::nearest;
use airlock_types::shorten::{clean, clip, shorten};

pub use definition::{Definition, Relation, Terms, describe};
pub use load::{LoadEvent, Loading, inspect, unpacked};
pub(crate) use load::{STEP_MAX, Threads, Unloaded, load};
pub(crate) use tool::USEFUL_MS_MIN;
pub use tool::{Component, Tool};

/// The tools that a host can call, by public name.
#[derive(Debug, Default)]
pub struct Registry {
    tools: BTreeMap<Arc<str>, Arc<Tool>>,
    /// What a reviewer should know although it keeps nobody from running.
    pub warnings: Vec<String>,
}

/// There is no such tool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no tool `{name}`{}", did_you_mean(.nearest.as_deref()))]
pub struct UnknownTool {
    /// The name that was asked for.
    pub name: String,
    /// The nearest name that exists.
    pub nearest: Option<String>,
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"))
}

impl Registry {
    /// All tools, in the order of their names.
    pub fn tools(&self) -> impl Iterator<Item = &Arc<Tool>> {
        self.tools.values()
    }

    /// The tool of this name.
    ///
    /// # Errors
    /// When there is none, with the nearest name that exists.
    pub fn resolve(&self, name: &str) -> Result<&Arc<Tool>, UnknownTool> {
        self.resolve_among(name, |_| true)
    }

    /// The tool of this name, if it is one of the shown ones; the others might as well not exist.
    ///
    /// # Errors
    /// When there is none, with the nearest name that is shown.
    pub fn resolve_among(&self, name: &str, shown: impl Fn(&str) -> bool) -> Result<&Arc<Tool>, UnknownTool> {
        self.tools.get(name).filter(|tool| shown(&tool.name)).ok_or_else(|| UnknownTool {
            name: shorten(&clean(&clip(name, 400)), 80),
            nearest: nearest(name, self.tools.keys().map(|name| &**name).filter(|name| shown(name)))
                .map(str::to_owned),
        })
    }
}
