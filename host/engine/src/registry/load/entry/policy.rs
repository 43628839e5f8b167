//! What an entry of a registry may have: the operator's grants on this machine, the author's requests, and the callers'.
//!
//! Owns how the sides are found. Must not know how they meet.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::reserved::reserved;
use super::{Entry, secrets};
use crate::capability;
use crate::config::ReportConfig;
use crate::policy::{Allowances, PolicySource, Sides};
use airlock_contract::component::ComponentInfo;
use airlock_contract::manifest::Manifest;
use airlock_types::diagnostic::Diagnostics;
use airlock_types::grant::{Grants, Narrowing, Requests};
use airlock_types::limit::Limits;

impl Entry {
    /// The operator's grants, checked against this machine and this host.
    pub(super) fn grants(&self) -> Result<Grants, Diagnostics> {
        let Some(spanned) = &self.config.grants else { return Ok(Grants::default()) };
        self.resolved(spanned.get_ref(), spanned.span())
    }

    /// The grants that are tried, checked in the same way, with those that are granted. `None` where nothing is tried.
    fn tried(&self, grants: &Grants) -> Result<Option<(u64, Grants)>, Diagnostics> {
        let Some(report) = &self.config.report else { return Ok(None) };
        let ReportConfig { until, grants: more, .. } = report.get_ref();
        let more = self.resolved(more, report.span())?;
        Ok(Some((until.begins_ms(), grants.with(&more))))
    }

    fn resolved(&self, grants: &Grants, span: Range<usize>) -> Result<Grants, Diagnostics> {
        let problem = |message: String, hint: Option<&str>| {
            let hint = hint.map(str::to_owned);
            Diagnostics::from(self.file.error(span.clone(), message, "in these grants", hint))
        };
        let mut grants = grants.clone();
        capability::resolve(&mut grants, self.file.folder(), &reserved(&self.file, self.apart.as_deref()))
            .map_err(|err| problem(err.to_string(), err.hint()))?;
        secrets::check(self, span.clone(), &grants)?;
        match self.capabilities.unregistered(grants.custom.keys()) {
            Some(message) => {
                Err(problem(message, Some("the program that embeds the host adds capabilities")))
            }
            None => Ok(grants),
        }
    }

    /// What calls of the entry may have, for each caller, and while extra grants are tried.
    pub(super) fn allowances(
        &self,
        info: &ComponentInfo,
        manifest: &Manifest,
        (requests, grants): (&Requests, &Grants),
        limits: &Limits,
    ) -> Result<Allowances, Diagnostics> {
        let tried = self.tried(grants)?;
        let tried = tried.map(|(until, more)| (until, self.requests(info, manifest, &more), more));
        let tried = tried.as_ref().map(|(until, requests, grants)| (*until, Sides { requests, grants }));
        let resolved = |written: Arc<Narrowing>| {
            let mut resolved = Narrowing::clone(&written);
            // As for the grants of tools. What is not there is in no granted folder either.
            let folder = |path: &Path| self.file.folder().join(path);
            resolved.resolve(|path| folder(path).canonicalize().unwrap_or_else(|_| folder(path)));
            (written, resolved)
        };
        let callers = self.callers().into_iter().map(|(name, written)| (name, resolved(written))).collect();
        Ok(Allowances::new(Sides { requests, grants }, tried, limits, &callers))
    }

    /// The grants of callers, by their entry.
    fn callers(&self) -> BTreeMap<String, Arc<Narrowing>> {
        let callers = self.file.config.callers.iter();
        let with_grants = callers.filter_map(|(name, caller)| Some((name, caller.grants.as_ref()?)));
        with_grants.map(|(name, grants)| (name.get_ref().clone(), Arc::new(grants.clone()))).collect()
    }

    /// Where the policy of the entry is written.
    pub(super) fn source(&self, has_contract: bool, requests: &Requests) -> PolicySource {
        PolicySource {
            file: self.file.path.display().to_string(),
            lines: self.lines.clone(),
            texts: self.texts.clone(),
            forms: self.forms.clone(),
            key: self.key.get_ref().clone(),
            grants: self.config.grants.as_ref().map(|grants| grants.get_ref().clone()).unwrap_or_default(),
            asks: has_contract.then(|| requests.clone()),
            tried: self.config.report.as_ref().map(|report| {
                let ReportConfig { until, grants, .. } = report.get_ref();
                (grants.clone(), *until)
            }),
            callers: self.callers(),
        }
    }

    /// The capabilities that a component requests: those of its contract, or without one those that own its imports.
    pub(super) fn requests(&self, info: &ComponentInfo, manifest: &Manifest, grants: &Grants) -> Requests {
        if info.contract.is_some() {
            return manifest.capabilities.clone();
        }
        let owners = info.imports.iter().filter_map(|import| self.capabilities.owner(&import.name));
        let names: BTreeSet<&str> = owners.map(|capability| capability.facts().name).collect();
        Requests::implied(|name| names.contains(name), grants)
    }
}
