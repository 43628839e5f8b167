//! What an entry of a registry may have: the operator's grants on this machine, the author's requests, and the callers'.
//!
//! Owns how the sides are found. Must not know how they meet.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::reserved::reserved;
use super::{Entry, secrets};
use crate::capability;
use crate::config::{ConfigFile, ReportConfig};
use crate::policy::{Allowances, PolicySource, Sides};
use airlock_contract::component::ComponentInfo;
use airlock_contract::manifest::Manifest;
use airlock_types::diagnostic::Diagnostics;
use airlock_types::grant::{Grants, Narrowing, Requests, files};
use airlock_types::limit::Limits;

/// A folder of the host that a caller's entry names, as it is on this machine, like those of the grants of tools. What is
/// not there is in no granted folder either.
pub(in crate::registry::load) fn real_folder(file: &ConfigFile, written: &Path) -> PathBuf {
    let path = file.folder().join(written);
    path.canonicalize().unwrap_or(path)
}

impl Entry {
    /// The operator's grants, checked against this machine and this host.
    pub(super) fn grants(&self) -> Result<Grants, Diagnostics> {
        let Some(spanned) = &self.config.grants else { return Ok(Grants::default()) };
        self.resolved(spanned.get_ref(), spanned.span(), "grants")
    }

    /// The grants that are tried, checked in the same way, with those that are granted. `None` where nothing is tried.
    fn tried(&self, grants: &Grants) -> Result<Option<(u64, Grants)>, Diagnostics> {
        let Some(report) = &self.config.report else { return Ok(None) };
        let ReportConfig { until, grants: more, .. } = report.get_ref();
        let more = self.resolved(more, report.span(), "report.grants")?;
        Ok(Some((until.begins_ms(), grants.with(&more))))
    }

    /// Grants that stand in this table of the entry, and at this place.
    fn resolved(&self, grants: &Grants, span: Range<usize>, table: &str) -> Result<Grants, Diagnostics> {
        // The grant itself, where it can be told from the others.
        let place = |setting: &str| {
            let name = format!("tools.{}.{table}.{setting}", self.key.get_ref());
            self.file.span_of(&name).unwrap_or_else(|| span.clone())
        };
        let problem = |setting: &str, message: String, hint: Option<&str>| {
            let hint = hint.map(str::to_owned);
            Diagnostics::from(self.file.error(place(setting), message, "in these grants", hint))
        };
        let (written, mut grants) = (grants, grants.clone());
        capability::resolve(&mut grants, self.file.folder(), &reserved(&self.file, self.apart.as_deref()))
            .map_err(|(setting, err)| problem(&setting, err.to_string(), err.hint()))?;
        for (i, (written, resolved)) in written.files.iter().zip(&grants.files).enumerate() {
            let path = self.file.folder().join(&written.host);
            self.capabilities
                .folders()
                .check(path, &resolved.host)
                .map_err(|err| problem(&format!("{}[{i}]", files::NAME), err.to_string(), err.hint()))?;
        }
        secrets::check(self, place, &grants)?;
        match self.capabilities.unregistered(grants.custom.keys()) {
            Some(message) => {
                Err(problem("custom", message, Some("the program that embeds the host adds capabilities")))
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
            resolved.resolve(|path| real_folder(&self.file, path));
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
