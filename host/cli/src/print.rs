//! Writes to stdout and stderr.
//!
//! Owns that a closed pipe ends the output and not the program, and that hidden characters are printed as escapes,
//! since an operator reviews text of tools and callers. Must not know verbs.

use std::cell::Cell;
use std::io::Write as _;

use serde::Serialize;

use airlock::host::OpenError;
use airlock_types::diagnostic::Diagnostics;
use airlock_types::text::{visible, visible_json};

use super::{EXIT_HOST, EXIT_NO};

/// The output of a verb.
#[derive(Debug, Default)]
pub(super) struct Printer {
    /// Whether a write to stdout failed.
    closed: Cell<bool>,
}

impl Printer {
    /// Prints a line on stdout, without styles when stdout is not a terminal.
    pub(super) fn line(&self, text: impl std::fmt::Display) {
        // `writeln!` and not `println!`, which panics if stdout is closed.
        self.keep(writeln!(anstream::stdout(), "{}", visible(&text.to_string())));
    }

    /// Prints one indented JSON document on stdout.
    pub(super) fn json(&self, value: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        self.keep(writeln!(anstream::stdout(), "{}", visible_json(&text)));
        Ok(())
    }

    /// Prints a line on stderr.
    pub(super) fn note(&self, text: impl std::fmt::Display) {
        self.styled(&visible(&text.to_string()));
    }

    fn styled(&self, text: &str) {
        // There is no other place to report that stderr is closed.
        let _ = writeln!(anstream::stderr(), "{text}");
    }

    /// Prints the error that ended the program, and returns the exit code.
    pub(super) fn failed(&self, err: &anyhow::Error) -> u8 {
        // Problems of a registry are rendered with their source lines, also when they came up while opening a host.
        let opening = match err.downcast_ref() {
            Some(OpenError::Registry(diagnostics)) => Some(diagnostics),
            _ => None,
        };
        if let Some(diagnostics) = opening.or_else(|| err.downcast_ref::<Diagnostics>()) {
            self.problems(diagnostics);
            return EXIT_NO;
        }
        self.note(format!("error: {err:#}"));
        // Only a `Message` is a refusal. An unexpected error type counts as a failure of the host.
        if err.is::<Message>() { EXIT_NO } else { EXIT_HOST }
    }

    /// Prints problems of a registry with their source lines on stderr.
    pub(super) fn problems(&self, problems: &Diagnostics) {
        use std::io::IsTerminal as _;
        self.styled(&problems.render(std::io::stderr().is_terminal()));
    }

    /// Whether the reader of stdout closed it.
    pub(super) fn closed(&self) -> bool {
        self.closed.get()
    }

    fn keep(&self, written: std::io::Result<()>) {
        if written.is_err() {
            self.closed.set(true);
        }
    }
}

/// A negative answer that is not a failure of the host: bad input, or a check that did not pass. Exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Message(pub(super) String);
