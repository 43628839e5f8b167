//! Reload: what a running host takes from the current content of its registry's file.
//!
//! Owns the order: access that the file no longer gives ends first, then tools are loaded and exchanged as a whole. A file
//! that is refused takes away all the same: tools that it does not name, and those whose grants it narrows. Must not know
//! when to reload.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::load::{Means, Older, accepted, load, note, withdrawn};
use super::{Host, OpenError};
use crate::config::ConfigFile;
use crate::generation::{Access, Generation};
use crate::registry::OutOfReach;
use airlock_types::diagnostic::{Diagnostic, Diagnostics};

/// One reading of a registry's file. Later readings compare as greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(u64);

impl Host {
    /// Replaces the registry by the current content of its file. Running calls end on the old one. If the registry has
    /// problems, nothing is added, and what the file no longer gives is revoked all the same: access of callers, tools that
    /// it does not name, and tools whose grants it narrows.
    ///
    /// # Errors
    /// When the registry or its lock has problems, or a setting changed that only a restart can apply.
    pub async fn reload(&self, file: &ConfigFile) -> Result<(), OpenError> {
        self.exchange(file, self.revoke(file), &OutOfReach::new()).await
    }

    /// Revokes the access that a file no longer gives to callers: tokens, entries, tools, rates. Access that it newly
    /// gives is granted with its tools, by [`Host::exchange`]. Waits for nothing.
    pub fn revoke(&self, file: &ConfigFile) -> Revision {
        let mut accesses = self.accesses.lock().unwrap_or_else(PoisonError::into_inner);
        let (revision, access) = accesses.read(Access::of(file));
        self.swap(self.current.load().with_access(access));
        Revision(revision)
    }

    /// Loads the tools of a file and serves them. Callers then have the access of that file, narrowed by a later
    /// reading if there was one meanwhile. Entries that are out of reach count as broken.
    ///
    /// # Errors
    /// As [`Host::reload`].
    pub async fn exchange(
        &self,
        file: &ConfigFile,
        revision: Revision,
        out_of_reach: &OutOfReach,
    ) -> Result<(), OpenError> {
        let exchanged = self.exchanged(file, revision, out_of_reach).await;
        match &exchanged {
            Ok(is_whole) => self.condition.is_behind.store(!is_whole, Ordering::Release),
            Err(_) => {
                // Of an earlier file.
                self.condition.may_pass.store(false, Ordering::Release);
                self.refuse(Some(file)).await;
            }
        }
        exchanged.map(drop)
    }

    /// Notes that a reload was refused. Tools that the file no longer names or narrows are not served any more; without a
    /// file, since it cannot be read, nothing is known of them.
    pub async fn refuse(&self, file: Option<&ConfigFile>) {
        self.condition.is_behind.store(true, Ordering::Release);
        let Some(file) = file else { return };
        let before = self.current.load().registry().clone();
        match withdrawn(file, self.older(), &self.threads).await {
            Ok(kept) => {
                let _exchanging = self.accesses.lock().unwrap_or_else(PoisonError::into_inner);
                let current = self.current.load();
                // Otherwise another file was served meanwhile.
                if Arc::ptr_eq(current.registry(), &before) {
                    self.swap(current.with_fewer(Arc::new(kept)));
                }
            }
            Err(err) => tracing::error!("whether tools are to be withdrawn is not known: {err}"),
        }
    }

    /// Returns whether all of the file is served.
    async fn exchanged(
        &self,
        file: &ConfigFile,
        revision: Revision,
        out_of_reach: &OutOfReach,
    ) -> Result<bool, OpenError> {
        self.only_what_a_reload_can(file)?;
        let means = Means {
            engine: &self.parts.engine,
            capabilities: &self.capabilities,
            compiler: &self.compiler,
            apart: self.journal_folder.as_deref(),
            threads: &self.threads,
            environment: &*self.parts.environment,
            purpose: self.purpose,
            out_of_reach,
            older: &self.older().registry,
        };
        // Everything that can fail or wait comes before the lock on `accesses` is taken.
        let loaded = load(file, &means, &|_| {}).await?;
        self.condition.may_pass.store(loaded.may_pass(), Ordering::Release);
        let problems = loaded.problems();
        if let Some(problems) = &problems {
            tracing::error!("these entries stay as they were, as far as the registry lets them:\n{problems}");
        }
        // After loading, because definitions are made of components. Before anything is served.
        let accepted = accepted(file, loaded, self.older(), Some(self.served.clone()), &self.threads).await?;
        let (registry, locked, quarantine) = accepted;
        if let Some(quarantine) = &quarantine {
            tracing::error!("{quarantine}\nuntil then they stay as they were");
        }
        let mut accesses = self.accesses.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.current.load_full();
        // A load that is tried again for a failure that may pass, and that came to the same: callers see no change.
        if accesses.is_served(revision.0) && registry.is_like(old.registry()) {
            return Ok(problems.is_none() && quarantine.is_none());
        }
        note(&self.served).serve(&registry, locked);
        // Under the lock until the swap: a revocation in between would otherwise be overwritten.
        let access = accesses.serve(Access::of(file), revision.0);
        // A lower bound may remove records, so it applies only once nothing can fail any more.
        self.parts.journal.bound(file.config.journal.bytes_max);
        self.swap(Generation::new(self.parts.clone(), file, registry, access, Some(&old)));
        Ok(problems.is_none() && quarantine.is_none())
    }

    fn older(&self) -> Older {
        Older {
            registry: self.current.load().registry().clone(),
            apart: self.journal_folder.clone(),
            now_s: self.parts.environment.wall().as_secs(),
        }
    }

    fn swap(&self, generation: Generation) {
        // Stored before the number grows: a task that is woken finds the new generation.
        self.current.store(Arc::new(generation));
        self.generations.send_modify(|count| *count += 1);
    }

    /// Refuses changes of settings that parts of the running server were built with.
    fn only_what_a_reload_can(&self, file: &ConfigFile) -> Result<(), Diagnostics> {
        let Some(changed) = self.fixed.changed(file) else { return Ok(()) };
        let message = format!("`{changed}` changed, and a server that runs cannot follow");
        Err(Diagnostic::without_place(message, Some("restart it, or take the change back".into())).into())
    }
}
