//! Confines this process before it has a second thread, for the verbs that make calls.
//!
//! Owns when this happens: after the registry was read, which says what must be reached, and before anything of a
//! component is. Must not know the rules.

use std::path::Path;
use std::sync::Arc;

use super::print::Printer;
use airlock::config::{ConfigFile, Confine};
use airlock::confinement::Confinement;
use airlock::host::JOURNAL_FILE;
use airlock::registry::OutOfReach;
use airlock::sandbox::cache::CacheError;
use airlock::sandbox::compiler::Compiler;
use airlock_journal::log::key_path;
use airlock_journal::state;
use airlock_server::confine::{self, Rules};
use airlock_types::diagnostic::Diagnostics;

/// This process, as it is confined.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) confinement: Confinement,
    /// What compiles from now on: a process that is not confined in this way, or this program as before.
    pub(super) compiler: Compiler,
    /// The rules for files, if the kernel enforces them.
    rules: Option<Arc<Rules>>,
}

impl Process {
    /// Confines this process, as the registry says. `listens_at` is the port that it will listen at.
    ///
    /// # Errors
    /// When the state folder cannot be used, or the process that starts compile processes does not start.
    pub(super) fn enter(file: &ConfigFile, listens_at: Option<u16>) -> anyhow::Result<Process> {
        if file.config.host.confine == Confine::Off {
            let confinement = Confinement::none("`host.confine` is \"off\"");
            return Ok(Process { confinement, compiler: Compiler::default(), rules: None });
        }
        // Before anything is opened: what the shell left open is not of the registry.
        confine::close_inherited()?;
        // Before the rest, since a confined process starts no other one.
        let compiler =
            Compiler::starter(&std::env::current_exe()?, &file.state()).map_err(|err| match err {
                CacheError::State(err) => anyhow::Error::from(err),
                err => err.into(),
            })?;
        let state = file.state();
        state::narrow(&state, &key_path(&state.join(JOURNAL_FILE)));
        let rules = Arc::new(Rules::of(file));
        let confinement = confine::enter(&rules, listens_at);
        // In part, too: files are what every version has rules for.
        let rules = confinement.landlock.is_in_force().then_some(rules);
        Ok(Process { confinement, compiler, rules })
    }

    /// Warns of what this kernel does not enforce, unless the operator said so.
    pub(super) fn report(&self, file: &ConfigFile, printer: &Printer) {
        if file.config.host.confine == Confine::Auto && !self.confinement.is_whole() {
            printer.note(format!("warning: this process is not wholly confined: {}", self.confinement));
        }
    }

    /// Gives up to listen at an address, since the process listens at its own by now.
    ///
    /// # Errors
    /// When the kernel does not do it.
    pub(super) fn listens(&self) -> anyhow::Result<()> {
        if self.confinement.seccomp.is_in_force() {
            confine::stop_listening()
                .map_err(|why| anyhow::anyhow!("listening cannot be given up: {why}"))?;
        }
        Ok(())
    }

    /// The entries of a registry that the rules do not cover.
    ///
    /// # Errors
    /// What belongs to no entry and is not covered.
    pub(super) fn out_of_reach(&self, file: &ConfigFile) -> Result<OutOfReach, Diagnostics> {
        self.rules.as_ref().map_or(Ok(OutOfReach::new()), |rules| rules.cover(file))
    }

    /// Whether the rules cover a registry's own files.
    ///
    /// # Errors
    /// Names what they do not cover.
    pub(super) fn covers_registry(&self, path: &Path) -> Result<(), Diagnostics> {
        self.rules.as_ref().map_or(Ok(()), |rules| rules.cover_registry(path))
    }
}
