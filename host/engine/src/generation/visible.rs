//! The tools that one caller may know of.
//!
//! Owns the only way from a name to a tool for code that serves a caller. A tool that the caller may not call is
//! resolved, listed, suggested and named as if it did not exist. It may still answer as the fallback of a tool that the
//! caller may call; the answer then hides its name. Must not know why a rule exists.

use std::sync::Arc;

use serde_json::Value;

use crate::caller::Rules;
use crate::config::{Cached, Fallback, Unavailable};
use crate::registry::{Registry, Tool, UnknownTool, describe};
use airlock_types::event::Event;
use airlock_types::reply::HIDDEN_ROUTE;

/// The tools that one caller may see. Without rules it sees none.
pub struct Visible {
    registry: Arc<Registry>,
    rules: Option<Arc<Rules>>,
    unavailable: Unavailable,
    /// The wall clock, in milliseconds since the Unix epoch.
    now_unix_ms: u64,
}

/// A tool that exists and that the caller may see, with its fallbacks in order.
pub(crate) struct Resolved {
    pub(crate) called: Candidate,
    pub(crate) fallbacks: Vec<Candidate>,
}

impl Resolved {
    /// The tool that is called.
    pub(crate) fn tool(&self) -> &Arc<Tool> {
        &self.called.tool
    }

    /// The event that the tool was resolved.
    pub(crate) fn event(&self) -> Event {
        let tool = self.tool();
        Event::Resolved { component: tool.component.digest.clone(), effect: tool.effect }
    }
}

/// A tool that may answer a call.
pub(crate) struct Candidate {
    pub(crate) tool: Arc<Tool>,
    /// Whether the caller may see the tool's name.
    is_shown: bool,
    /// The tool that verifies its effects, if the caller may call that one.
    pub(crate) verify: Option<Arc<Tool>>,
    /// The greatest age of an answer, in milliseconds, where not the tool answers but what it answered before.
    pub(crate) cached_ms_max: Option<u64>,
}

impl Visible {
    pub(crate) fn new(
        registry: Arc<Registry>,
        rules: Option<Arc<Rules>>,
        unavailable: Unavailable,
        now_unix_ms: u64,
    ) -> Visible {
        Visible { registry, rules, unavailable, now_unix_ms }
    }

    /// The visible tools, ordered by name.
    pub fn tools(&self) -> impl Iterator<Item = &Arc<Tool>> {
        self.registry.tools().filter(|tool| self.shows(&tool.name))
    }

    /// The visible tools that agents are offered, ordered by name: without those that can never run, unless these are
    /// named as such, and without those whose signature has ended.
    pub fn offered(&self) -> impl Iterator<Item = &Arc<Tool>> {
        let signed = self.tools().filter(|tool| tool.component.is_signed_at(self.now_unix_ms));
        signed.filter(|tool| self.unavailable == Unavailable::Name || tool.unavailable().is_none())
    }

    /// The tool of this name.
    ///
    /// # Errors
    /// When the caller sees no tool of this name. The suggested name is one that it sees.
    pub fn resolve(&self, name: &str) -> Result<&Arc<Tool>, UnknownTool> {
        self.registry.resolve_among(name, |name| self.shows(name))
    }

    /// A tool as JSON, for programs. Invisible fallbacks are left out.
    pub fn describe(&self, tool: &Tool) -> Value {
        describe(tool, |name| self.shows(name))
    }

    /// The tool of this name and its fallbacks, in order.
    ///
    /// # Errors
    /// When the caller sees no tool of this name.
    pub(crate) fn candidates(&self, name: &str) -> Result<Resolved, UnknownTool> {
        let tool = self.resolve(name)?.clone();
        // One whose entry was left out is skipped. After a reload an older tool may stand in its place, which was never
        // held against this one. Rules do not apply to fallbacks.
        let fits = |other: &&Arc<Tool>| {
            other.contract.function.ty == tool.contract.function.ty && other.effect <= tool.effect
        };
        let candidate = |tool: &Arc<Tool>| Candidate {
            tool: tool.clone(),
            is_shown: self.shows(&tool.name),
            verify: self.verifying(tool),
            cached_ms_max: None,
        };
        let fallback = |fallback: &Fallback| match fallback {
            Fallback::Tool(name) => self.registry.resolve(name).ok().filter(fits).map(candidate),
            // Of this tool itself, so it needs the same permit.
            Fallback::Cached(Cached { cached }) => {
                Some(Candidate { cached_ms_max: Some(cached.ms()), ..candidate(&tool) })
            }
        };
        let fallbacks = tool.fallback.iter().filter_map(fallback).collect();
        Ok(Resolved { called: candidate(&tool), fallbacks })
    }

    /// The tool that verifies the effects of another one. Rules apply: a caller must not reach by a call what it may not
    /// call. After a reload an older tool may stand in its place, which was never held against this one.
    fn verifying(&self, tool: &Tool) -> Option<Arc<Tool>> {
        let by = self.resolve(tool.verify.as_ref()?).ok()?;
        let contract = &by.contract;
        let params = &tool.contract.function.ty.params;
        let fits = tool.contract.verify.as_ref()?.fits(params, &contract.function, contract.shape.value_ty());
        (by.effect.repeatable() && fits.is_ok()).then(|| by.clone())
    }

    fn shows(&self, name: &str) -> bool {
        // Without rules nothing is shown: a caller without an entry must not learn that tools exist.
        self.rules.as_ref().is_some_and(|rules| rules.shows(name))
    }
}

impl Candidate {
    /// A tool that is asked about the effects of another one. The caller may see it, or it is not asked.
    pub(crate) fn asked(tool: Arc<Tool>) -> Candidate {
        Candidate { tool, is_shown: true, verify: None, cached_ms_max: None }
    }

    /// The tool's name, or a placeholder when the caller may not see it.
    pub(crate) fn shown_name(&self) -> Arc<str> {
        if self.is_shown { self.tool.name.clone() } else { HIDDEN_ROUTE.into() }
    }

    /// The digest of the tool's component, if the caller may see the tool.
    pub(crate) fn shown_digest(&self) -> Option<Arc<str>> {
        self.is_shown.then(|| self.tool.component.digest.clone())
    }
}
