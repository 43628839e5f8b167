//! What one caller may know of the tools.
//!
//! The only way from a name to a tool for whatever serves a caller. A tool that the caller may not call is resolved,
//! listed, suggested and named as if it did not exist; it may still answer, as the fallback of one that the caller may
//! call, and then it goes without its name.

use std::sync::Arc;

use serde_json::Value;

use crate::caller::Rules;
use crate::registry::{Registry, Tool, UnknownTool, describe};
use airlock_types::event::Event;
use airlock_types::reply::HIDDEN_ROUTE;

/// The tools that one caller may see.
pub struct Visible {
    registry: Arc<Registry>,
    rules: Option<Arc<Rules>>,
}

/// A tool that exists and that its caller may see, with those that stand in for it, in order.
pub(crate) struct Resolved {
    pub(crate) called: Candidate,
    pub(crate) fallbacks: Vec<Candidate>,
}

impl Resolved {
    /// The tool that is called.
    pub(crate) fn tool(&self) -> &Arc<Tool> {
        &self.called.tool
    }

    /// That the tool is known.
    pub(crate) fn event(&self) -> Event {
        let tool = self.tool();
        Event::Resolved { component: tool.component.digest.clone(), effect: tool.effect }
    }
}

/// A tool that may answer a call.
pub(crate) struct Candidate {
    pub(crate) tool: Arc<Tool>,
    /// Whether the caller may know which one it is.
    is_shown: bool,
}

impl Visible {
    pub(crate) fn new(registry: Arc<Registry>, rules: Option<Arc<Rules>>) -> Visible {
        Visible { registry, rules }
    }

    /// The tools, in the order of their names.
    pub fn tools(&self) -> impl Iterator<Item = &Arc<Tool>> {
        self.registry.tools().filter(|tool| self.shows(&tool.name))
    }

    /// The tool of this name.
    ///
    /// # Errors
    /// When there is none that the caller may see; the nearest name is one that it may see.
    pub fn resolve(&self, name: &str) -> Result<&Arc<Tool>, UnknownTool> {
        self.registry.resolve_among(name, |name| self.shows(name))
    }

    /// A tool as programs read it, without what else there may be.
    pub fn describe(&self, tool: &Tool) -> Value {
        describe(tool, |name| self.shows(name))
    }

    /// The tool of this name and those that stand in for it, in order.
    ///
    /// # Errors
    /// When there is none that the caller may see.
    pub(crate) fn candidates(&self, name: &str) -> Result<Resolved, UnknownTool> {
        let tool = self.resolve(name)?.clone();
        // Loading refuses a fallback that does not exist.
        let fallbacks = tool.fallback.iter().filter_map(|name| self.registry.resolve(name).ok());
        let fallback = |tool: &Arc<Tool>| Candidate { tool: tool.clone(), is_shown: self.shows(&tool.name) };
        let fallbacks = fallbacks.map(fallback).collect();
        Ok(Resolved { called: Candidate { tool, is_shown: true }, fallbacks })
    }

    fn shows(&self, name: &str) -> bool {
        self.rules.as_ref().is_some_and(|rules| rules.shows(name))
    }
}

impl Candidate {
    /// Its name, as the caller may read it.
    pub(crate) fn shown_name(&self) -> Arc<str> {
        if self.is_shown { self.tool.name.clone() } else { HIDDEN_ROUTE.into() }
    }

    /// The digest of its component, where the caller may read it.
    pub(crate) fn shown_digest(&self) -> Option<Arc<str>> {
        self.is_shown.then(|| self.tool.component.digest.clone())
    }
}
