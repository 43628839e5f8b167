//! Writing to stdout and stderr. A closed pipe ends the output, not the program. Hidden characters of whatever is
//! written are shown as escapes: an operator reviews what tools and callers say.

use std::cell::Cell;
use std::io::Write as _;

use serde::Serialize;

use airlock::host::OpenError;
use airlock_types::diagnostic::Diagnostics;
use airlock_types::text::{visible, visible_json};

use super::{EXIT_HOST, EXIT_NO};

/// Writes what a verb has to say.
#[derive(Debug, Default)]
pub(super) struct Printer {
    closed: Cell<bool>,
}

impl Printer {
    /// A line on stdout, plain where stdout is no terminal.
    pub(super) fn line(&self, text: impl std::fmt::Display) {
        self.keep(writeln!(anstream::stdout(), "{}", visible(&text.to_string())));
    }

    /// One JSON document on stdout.
    pub(super) fn json(&self, value: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        self.keep(writeln!(anstream::stdout(), "{}", visible_json(&text)));
        Ok(())
    }

    /// A line on stderr.
    pub(super) fn note(&self, text: impl std::fmt::Display) {
        self.styled(&visible(&text.to_string()));
    }

    fn styled(&self, text: &str) {
        // Nobody can be told that stderr is closed.
        let _ = writeln!(anstream::stderr(), "{text}");
    }

    /// Says why the program failed, and with which exit code it ends.
    pub(super) fn failed(&self, err: &anyhow::Error) -> u8 {
        let opening = match err.downcast_ref() {
            Some(OpenError::Registry(diagnostics)) => Some(diagnostics),
            _ => None,
        };
        if let Some(diagnostics) = opening.or_else(|| err.downcast_ref::<Diagnostics>()) {
            use std::io::IsTerminal as _;
            self.styled(&diagnostics.render(std::io::stderr().is_terminal()));
            return EXIT_NO;
        }
        self.note(format!("error: {err:#}"));
        if err.is::<Said>() { EXIT_NO } else { EXIT_HOST }
    }

    /// Whether whoever read stdout is gone.
    pub(super) fn closed(&self) -> bool {
        self.closed.get()
    }

    fn keep(&self, written: std::io::Result<()>) {
        if written.is_err() {
            self.closed.set(true);
        }
    }
}

/// A "no" that is not a failure of the host: bad input, or a check that did not pass.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Said(pub(super) String);
