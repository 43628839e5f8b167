//! The capabilities of one host: the built-in ones and those that the embedding program adds.
//!
//! Owns the look-up of an import's owner, and the order of linking: first everything, then denial. Must not know what a
//! capability does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wasmtime::component::Linker;

use super::facts::interface;
use super::files::FirstFolders;
use super::http::{Resolve, TlsError, Upstream, Watched};
use super::keyvalue::{KeyValues, Opened, StoreError};
use super::{BUILT_IN, Capability, Facts, Granting, Import, State, built_in};
use crate::blocking::Lane;
use crate::config::ConfigFile;
use crate::secret::{Seal, Secrets, Unseal};
use airlock_contract::component::ComponentInfo;
use airlock_types::effect::Effect;
use airlock_types::grant::Effective;
use airlock_types::words;

/// Most characters of a capability's name, which is a key in registries.
const NAME_CHARS_MAX: usize = 45;

/// The capabilities of one host.
#[derive(Clone, Debug, Default)]
pub struct Capabilities {
    // Shared: every entry that loads in parallel has its own handle.
    added: Arc<[Capability]>,
    /// Where the addresses of hosts come from, if not from the operating system.
    resolver: Option<Resolver>,
    /// What tools keep.
    keyvalues: Arc<KeyValues>,
    /// What reads age files, if the program has such.
    unseal: Option<Unsealer>,
    /// What encrypts to age recipients, if the program has such.
    seal: Option<Sealer>,
    /// The secrets of the registry that is loaded. None until they are read.
    secrets: Arc<Secrets>,
    /// To which hosts they are sent, and were by the generations before.
    watched: Arc<Watched>,
    /// What granted folders were at first.
    folders: Arc<FirstFolders>,
}

/// A reader of age files that the embedding program gives.
#[derive(Clone)]
struct Unsealer(Arc<dyn Unseal>);

impl std::fmt::Debug for Unsealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unsealer")
    }
}

/// What encrypts to age recipients, given by the embedding program.
#[derive(Clone)]
struct Sealer(Arc<dyn Seal>);

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

/// A source of addresses that the embedding program gives.
#[derive(Clone)]
struct Resolver(Arc<dyn Resolve>);

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

/// Why a capability cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CapabilityError {
    /// A built-in capability, which every host already has.
    #[error("the capability `{0}` is built in and cannot be added again")]
    BuiltIn(&'static str),
    /// The name cannot be a key of a registry.
    #[error(
        "`{0}` cannot be the name of a capability: write lower-case letters, digits, `-` and `_`, \
         {NAME_CHARS_MAX} at most, a letter first"
    )]
    Name(&'static str),
    /// Another capability has the same name.
    #[error("there are two capabilities `{0}`")]
    Twice(&'static str),
    /// The capability owns no interface, so no component could import it.
    #[error("the capability `{0}` owns no interface")]
    Empty(&'static str),
    /// An interface of the capability has an owner already.
    #[error("the interface `{interface}` belongs to the capability `{owner}`; `{name}` cannot own it, too")]
    Owned {
        /// The capability that was to be added.
        name: &'static str,
        /// The interface.
        interface: &'static str,
        /// The name of its owner.
        owner: &'static str,
    },
}

impl Capabilities {
    /// The built-in capabilities and the added ones.
    ///
    /// # Errors
    /// Fails when an added capability is invalid or conflicts with another.
    pub fn with(added: Vec<Capability>) -> Result<Capabilities, CapabilityError> {
        let mut owners: BTreeMap<&str, &'static str> = BTreeMap::new();
        let mut names: BTreeSet<&str> = BTreeSet::new();
        // Built-in names and interfaces are taken first, so that an added capability can replace none of them.
        for facts in BUILT_IN.iter().map(Capability::facts) {
            names.insert(facts.name);
            owners.extend(facts.interfaces.iter().map(|interface| (*interface, facts.name)));
        }
        for capability in &added {
            let facts = capability.facts();
            let name = facts.name;
            // A built-in one first: its names and interfaces would only cause misleading errors below.
            if !matches!(capability, Capability::Custom(_)) {
                return Err(CapabilityError::BuiltIn(name));
            }
            if !is_name(name) {
                return Err(CapabilityError::Name(name));
            }
            if !names.insert(name) {
                return Err(CapabilityError::Twice(name));
            }
            if facts.interfaces.is_empty() {
                return Err(CapabilityError::Empty(name));
            }
            for interface in facts.interfaces {
                if let Some(owner) = owners.insert(interface, name) {
                    return Err(CapabilityError::Owned { name, interface, owner });
                }
            }
        }
        Ok(Capabilities { added: added.into(), ..Capabilities::default() })
    }

    /// The same capabilities, with another source of addresses than the operating system.
    #[must_use]
    pub(crate) fn resolving(self, resolver: Option<Arc<dyn Resolve>>) -> Capabilities {
        Capabilities { resolver: resolver.map(Resolver), ..self }
    }

    /// The same capabilities, with this place for what tools keep.
    #[must_use]
    pub(crate) fn keeping(self, keyvalues: KeyValues) -> Capabilities {
        Capabilities { keyvalues: Arc::new(keyvalues), ..self }
    }

    /// The store of a tool that may keep something. Blocks while its file is opened for the first one.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub(crate) fn keyvalues(&self, effective: &Effective) -> Result<Option<Arc<Opened>>, StoreError> {
        effective.keyvalue.as_ref().map(|_| self.keyvalues.open()).transpose()
    }

    /// The same capabilities, with a reader of age files.
    #[must_use]
    pub(crate) fn unsealing(self, unseal: Option<Arc<dyn Unseal>>) -> Capabilities {
        Capabilities { unseal: unseal.map(Unsealer), ..self }
    }

    /// The same capabilities, with what encrypts to age recipients.
    #[must_use]
    pub(crate) fn sealing(self, seal: Option<Arc<dyn Seal>>) -> Capabilities {
        Capabilities { seal: seal.map(Sealer), ..self }
    }

    /// What encrypts to age recipients.
    pub(crate) fn sealer(&self) -> Option<Arc<dyn Seal>> {
        self.seal.as_ref().map(|Sealer(seal)| seal.clone())
    }

    /// The same capabilities, with the secrets of a registry. Reads files.
    #[must_use]
    pub(crate) fn with_secrets(&self, file: &ConfigFile) -> Capabilities {
        let unseal = self.unseal.as_ref().map(|Unsealer(unseal)| &**unseal);
        let secrets = Secrets::read(file, unseal);
        self.watched.load(&file.config, &secrets);
        Capabilities { secrets: Arc::new(secrets), ..self.clone() }
    }

    /// What granted folders were at first.
    pub(crate) fn folders(&self) -> &FirstFolders {
        &self.folders
    }

    /// The secrets of the registry that is loaded.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The source of addresses, where it is not the operating system.
    pub(crate) fn resolver(&self) -> Option<Arc<dyn Resolve>> {
        self.resolver.as_ref().map(|Resolver(resolver)| resolver.clone())
    }

    /// The way out of a tool; `None` for one that may reach no host. `lane` holds the threads for lookups.
    ///
    /// # Errors
    /// When a host is to be reached over TLS and this machine has no trusted roots.
    pub(crate) fn upstream(&self, effective: &Effective, lane: Lane) -> Result<Option<Upstream>, TlsError> {
        let resolver = self.resolver();
        let is_needed = !effective.http.is_empty();
        let secrets = (&*self.secrets, &self.watched);
        is_needed.then(|| Upstream::new(&effective.http, secrets, resolver, lane)).transpose()
    }

    /// Whether all of them come with this version of the host, so that what could be linked once can be again.
    pub(crate) fn are_built_in(&self) -> bool {
        self.added.is_empty()
    }

    /// The capability that owns an import.
    pub fn owner(&self, import: &str) -> Option<&Capability> {
        built_in(import).or_else(|| self.added.iter().find(|capability| capability.facts().owns(import)))
    }

    /// Imports with functions that no capability owns. An import that only names types needs no owner.
    pub fn unknown<'s>(&'s self, info: &'s ComponentInfo) -> impl Iterator<Item = &'s Import> {
        let functions = info.imports.iter().filter(|import| !import.functions.is_empty());
        functions.filter(|import| self.owner(&import.name).is_none())
    }

    /// The error text for the first granted custom capability that this host does not have.
    pub(crate) fn unregistered<'g>(&self, mut names: impl Iterator<Item = &'g String>) -> Option<String> {
        let is_added = |name: &str| self.added.iter().any(|capability| capability.facts().name == name);
        let name = names.find(|name| !is_added(name))?;
        let known = words::quoted_list(self.added.iter().map(|capability| capability.facts().name));
        Some(if self.added.is_empty() {
            format!("this host has no custom capability, and so no `{name}`")
        } else {
            format!("this host has no custom capability `{name}`; it has {known}")
        })
    }

    /// Links everything that a component imports, as if all of it were granted.
    pub(crate) fn link(&self, linker: &mut Linker<State>, imports: &[Import]) -> wasmtime::Result<()> {
        // The engine's library links one version of an interface, which serves all compatible versions.
        let mut linked = BTreeSet::new();
        for import in imports {
            let Some(owner) = self.owner(&import.name) else { continue };
            let key = match owner.facts().versions {
                super::Versions::Wasi02 => interface(&import.name),
                super::Versions::Exact(_) | super::Versions::Any => &import.name,
            };
            if linked.insert(key) {
                owner.link(linker, import)?;
            }
        }
        Ok(())
    }

    /// Replaces the functions of ungranted imports by ones that deny. Returns whether there were any. A denying
    /// function accepts any signature, so signatures must be checked first against those of [`Capabilities::link`].
    pub(crate) fn deny(
        &self,
        linker: &mut Linker<State>,
        imports: &[Import],
        effective: &Effective,
    ) -> wasmtime::Result<bool> {
        // Only from here on: in `link`, an interface that is defined twice stays an error.
        linker.allow_shadowing(true);
        let mut denied = false;
        for import in imports {
            if let Some(owner) = self.owner(&import.name).filter(|owner| !is_granted(owner, effective)) {
                denied |= owner.deny(linker, import)?;
            }
        }
        Ok(denied)
    }

    /// The facts of the capabilities that a component imports without having them, with the imports.
    pub(crate) fn lacking<'s>(
        &'s self,
        imports: &'s [Import],
        effective: &Effective,
    ) -> Vec<(Facts, Vec<&'s str>)> {
        let mut lacking: Vec<(Facts, Vec<&str>)> = Vec::new();
        for import in imports.iter().filter(|import| !import.functions.is_empty()) {
            let Some(owner) = self.owner(&import.name).filter(|owner| !is_granted(owner, effective)) else {
                continue;
            };
            let facts = owner.facts();
            match lacking.iter_mut().find(|(known, _)| known.name == facts.name) {
                Some((_, imports)) => imports.push(&import.name),
                None => lacking.push((facts, vec![&import.name])),
            }
        }
        lacking
    }

    /// The strongest effect that a set of grants makes possible.
    pub(crate) fn effect(&self, effective: &Effective) -> Effect {
        let effects = self.granted(effective).map(|capability| capability.effect(effective));
        effects.max().unwrap_or(Effect::Pure)
    }

    /// Whether a set of grants reaches beyond this host.
    pub(crate) fn is_open_world(&self, effective: &Effective) -> bool {
        self.granted(effective).any(|capability| capability.facts().is_open_world)
    }

    /// Whether an attempt of a component with these imports needs the context of the engine's library.
    pub(crate) fn need_context(&self, imports: &[Import]) -> bool {
        let mut functions = imports.iter().filter(|import| !import.functions.is_empty());
        functions.any(|import| self.owner(&import.name).is_some_and(Capability::is_in_context))
    }

    fn granted(&self, effective: &Effective) -> impl Iterator<Item = &Capability> {
        // Capabilities that need no grant are pure and stay within the host, so leaving them out changes no answer.
        BUILT_IN.iter().chain(&*self.added).filter(|capability| effective.has(capability.facts().name))
    }
}

fn is_granted(capability: &Capability, effective: &Effective) -> bool {
    let facts = capability.facts();
    facts.granting == Granting::Always || effective.has(facts.name)
}

fn is_name(name: &str) -> bool {
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    name.len() <= NAME_CHARS_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(valid)
}

#[cfg(test)]
mod tests;
