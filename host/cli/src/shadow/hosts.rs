//! The registries that the cases of a suite are run with, and their hosts.
//!
//! Owns which component runs for which case: the recorded one, which the registry or the suite has, and the candidate. Must not
//! know what is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;

use super::folder::Folder;
use crate::confined::Process;
use crate::open;
use crate::open::ReplayedOn;
use crate::print::Message;
use crate::tried::{alone, reaching_folder, with_component};
use airlock::Host;
use airlock::config::ConfigFile;
use airlock_shadow::case::Case;
use airlock_types::digest::sha256;

/// Most components that the cases of a suite were recorded with.
const COMPONENTS_MAX: usize = 64;

/// Legs that read what is real read the pairs of tools, too; the others are answered from their cassettes.
const ON: ReplayedOn = ReplayedOn { is_interpreted: false, is_reading_real: true };

/// The registries of a run.
pub(super) struct Registries {
    /// Those with the recorded components, by digest, or why there is none.
    base: BTreeMap<String, Result<ConfigFile, String>>,
    /// The one with what is tried.
    candidate: ConfigFile,
    /// The tools that are tried whatever their component is; none for those whose component has changed.
    tried: Option<BTreeSet<String>>,
    /// The digest of the component of each tool of the candidate.
    digests: BTreeMap<String, String>,
    /// Whether anything is tried for any case.
    is_tried: bool,
}

/// What is tried.
pub(super) enum Tried {
    /// The registry as it is.
    Registry,
    /// A component for these tools, which are of one entry.
    Component(PathBuf, BTreeSet<String>),
    /// Another registry.
    Other(Box<ConfigFile>),
}

/// The hosts of a run.
pub(super) struct Hosts {
    base: BTreeMap<String, Result<Arc<Host>, String>>,
    candidate: Option<Arc<Host>>,
    tried: Option<BTreeSet<String>>,
    digests: BTreeMap<String, String>,
}

/// The components of a registry that can be read: path, digest and bytes.
pub(super) fn components(file: &ConfigFile) -> impl Iterator<Item = (PathBuf, String, Vec<u8>)> + '_ {
    let most = file.config.compile.limits().component_bytes_max;
    let paths: BTreeSet<PathBuf> =
        file.config.tools.values().map(|tool| file.folder().join(tool.component.get_ref())).collect();
    paths.into_iter().filter_map(move |path| {
        let bytes = airlock::file::read(&path, most).ok()?;
        Some((path, sha256(&bytes), bytes))
    })
}

/// The key of the entry that shows a tool: the longest that may.
pub(super) fn entry_of<'f>(file: &'f ConfigFile, tool: &str) -> Option<&'f str> {
    let entries = file.config.tools.iter().filter(|(key, config)| config.may_show(key.get_ref(), tool));
    entries.map(|(key, _)| key.get_ref().as_str()).max_by_key(|key| key.len())
}

/// The registry whose tools answer from recordings: its entries that have cases, each with the component that the newest of
/// its cases was recorded with. With it, the cases of these components.
///
/// # Errors
/// When a component is not there.
pub(super) fn answering(
    file: &ConfigFile,
    folder: &Folder,
    cases: BTreeMap<String, Case>,
) -> anyhow::Result<(ConfigFile, Vec<Case>)> {
    let mut by_entry: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for case in cases.into_values() {
        let tool = &case.stratum.tool;
        let none = || Message(format!("the registry has no entry for `{tool}`"));
        by_entry.entry(entry_of(file, tool).ok_or_else(none)?.to_owned()).or_default().push(case);
    }
    if by_entry.is_empty() {
        return Err(Message("the suite has no case, so that no call can be answered".to_owned()).into());
    }
    let there = by_path(file);
    let (mut part, mut kept) = (only(file, &BTreeSet::new()), Vec::new());
    for cases in by_entry.into_values() {
        let newest = cases.iter().max_by_key(|case| case.record.started_unix_ms);
        let digest = newest.map(|case| case.component().to_owned()).unwrap_or_default();
        let tools = cases.iter().map(|case| case.stratum.tool.as_str()).collect();
        let with = with_recorded(file, folder, &there, tools, &digest).map_err(Message)?;
        part.config.tools.extend(with.config.tools);
        kept.extend(cases.into_iter().filter(|case| case.component() == digest));
    }
    part.config.secrets = file.config.secrets.clone();
    part.config.idle_unused_secrets();
    Ok((part, kept))
}

impl Registries {
    /// The registries for these cases, as tools and digests of components.
    pub(super) fn of(
        file: &ConfigFile,
        folder: &Folder,
        cases: &BTreeSet<(String, String)>,
        tried: Tried,
    ) -> anyhow::Result<Registries> {
        let digests: BTreeSet<&String> = cases.iter().map(|(_, digest)| digest).collect();
        if digests.len() > COMPONENTS_MAX {
            let text = format!(
                "the cases are of {} components, and at most {COMPONENTS_MAX} are run: capture anew",
                digests.len()
            );
            return Err(Message(text).into());
        }
        let there = by_path(file);
        let of = |digest: &String| {
            let tools = cases.iter().filter(|(_, of)| of == digest).map(|(tool, _)| tool.as_str());
            (digest.clone(), with_recorded(file, folder, &there, tools.collect(), digest))
        };
        let base = digests.into_iter().map(of).collect();
        let tools: BTreeSet<&str> = cases.iter().map(|(tool, _)| tool.as_str()).collect();
        let (candidate, tried) = match tried {
            Tried::Registry => (only(file, &tools), None),
            Tried::Other(other) => {
                (only(&other, &tools), Some(tools.iter().map(|tool| (*tool).to_owned()).collect()))
            }
            Tried::Component(path, tools) => {
                let names = tools.iter().map(String::as_str).collect();
                (with_component(only(file, &names), &path), Some(tools))
            }
        };
        let paths = by_path(&candidate);
        let digest = |tool: &&str| {
            let config = candidate.config.tools.get(entry_of(&candidate, tool)?)?;
            let path = candidate.folder().join(config.component.get_ref());
            Some(((*tool).to_owned(), paths.get(&path)?.clone()))
        };
        let digests: BTreeMap<String, String> = tools.iter().filter_map(digest).collect();
        let is_changed = |(tool, digest): &(String, String)| digests.get(tool) != Some(digest);
        let is_tried = tried.is_some() || cases.iter().any(is_changed);
        Ok(Registries { base, candidate, tried, digests, is_tried })
    }

    /// The registry of this process with everything that a run reaches beside it: the other components, what a candidate
    /// is granted, and the folder to write the night into.
    pub(super) fn reaching(&self, file: &ConfigFile, history: Option<&Path>) -> ConfigFile {
        let mut reaching = match history {
            Some(history) => reaching_folder(file, history),
            None => file.clone(),
        };
        let others = self.base.values().flatten().chain([&self.candidate]);
        let tools = others.flat_map(|other| absolute(other).config.tools.into_values());
        for (at, config) in tools.enumerate() {
            reaching.config.tools.insert(Spanned::new(0..0, format!("to run again {at}")), config);
        }
        let secrets = self.candidate.config.secrets.iter();
        let new = secrets.filter(|(name, _)| !file.config.secrets.contains_key(name.get_ref().as_str()));
        reaching.config.secrets.extend(new.map(|(name, secret)| (name.clone(), secret.clone())));
        reaching
    }

    /// Opens the hosts. One that does not open says so for each of its cases.
    pub(super) async fn open(
        self,
        process: &Process,
        printer: &crate::print::Printer,
    ) -> anyhow::Result<Hosts> {
        let mut base = BTreeMap::new();
        for (digest, file) in self.base {
            let host = match file {
                Ok(file) => Ok(Arc::new(open::host_to_replay(process, &file, ON).await?)),
                Err(why) => Err(why),
            };
            base.insert(digest, host);
        }
        let candidate = match self.is_tried && !self.candidate.config.tools.is_empty() {
            true => Some(Arc::new(open::host_to_replay(process, &self.candidate, ON).await?)),
            false => None,
        };
        let opened = base.values().filter_map(|host| host.as_ref().ok()).chain(&candidate);
        for problems in opened.filter_map(|host| host.problems()) {
            printer.note(problems);
        }
        Ok(Hosts { base, candidate, tried: self.tried, digests: self.digests })
    }
}

impl Hosts {
    /// The host with the recorded component of a case.
    pub(super) fn base(&self, component: &str) -> Result<Arc<Host>, String> {
        self.base.get(component).cloned().unwrap_or_else(|| Err("no host was opened for it".to_owned()))
    }

    /// The host with what is tried for a case; none where nothing is.
    pub(super) fn candidate(&self, tool: &str, component: &str) -> Option<Result<Arc<Host>, String>> {
        let is_tried = match &self.tried {
            Some(tried) => tried.contains(tool),
            None => self.digests.get(tool).is_none_or(|digest| digest != component),
        };
        let gone = || format!("the registry has no tool `{tool}` any more");
        is_tried.then(|| self.candidate.clone().ok_or_else(gone))
    }
}

/// The digests of the components of a registry, by path.
fn by_path(file: &ConfigFile) -> BTreeMap<PathBuf, String> {
    components(file).map(|(path, digest, _)| (path, digest)).collect()
}

/// A registry with the entries of these tools alone.
fn only(file: &ConfigFile, tools: &BTreeSet<&str>) -> ConfigFile {
    let keys: BTreeSet<&str> = tools.iter().filter_map(|tool| entry_of(file, tool)).collect();
    let mut part = alone(file, |key, _| keys.contains(key));
    part.config.idle_unused_secrets();
    part
}

/// The registry with a recorded component in the place of that of its entries, unless it is that.
fn with_recorded(
    file: &ConfigFile,
    folder: &Folder,
    there: &BTreeMap<PathBuf, String>,
    tools: BTreeSet<&str>,
    digest: &str,
) -> Result<ConfigFile, String> {
    let mut part = only(file, &tools);
    if part.config.tools.is_empty() {
        return Err(format!(
            "the registry has no entry for {}",
            airlock_types::words::quoted_list(tools.into_iter())
        ));
    }
    let stored = folder.component(digest);
    for config in part.config.tools.values_mut() {
        let path = file.folder().join(config.component.get_ref());
        if there.get(&path).is_some_and(|there| there == digest) {
            continue;
        }
        let absolute = stored.canonicalize().map_err(|_| {
            format!(
                "the registry has another component now, and the suite does not have `{}`",
                stored.display()
            )
        })?;
        let bytes = airlock::file::read(&absolute, file.config.compile.limits().component_bytes_max);
        let bytes = bytes.map_err(|err| format!("`{}`: {err}", stored.display()))?;
        if sha256(&bytes) != digest {
            return Err(format!("`{}` is not the component of its name: it was changed", stored.display()));
        }
        config.component = Spanned::new(0..0, absolute);
    }
    Ok(part)
}

/// The registry with its folders and files named from the root.
pub(super) fn absolute(file: &ConfigFile) -> ConfigFile {
    let mut absolute = file.clone();
    let folder = file.folder().canonicalize().unwrap_or_else(|_| file.folder().to_owned());
    for config in absolute.config.tools.values_mut() {
        config.component = Spanned::new(0..0, folder.join(config.component.get_ref()));
        let (granted, tried) = (config.grants.as_mut().map(Spanned::get_mut), config.report.as_mut());
        let tried = tried.map(|report| &mut report.get_mut().grants);
        for grant in granted.into_iter().chain(tried).flat_map(|grants| &mut grants.files) {
            grant.host = folder.join(&grant.host);
        }
    }
    absolute
}
