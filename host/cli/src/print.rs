//! Writes to stdout and stderr.
//!
//! Owns that a closed pipe ends the output and not the program, and that hidden characters are printed as escapes,
//! since an operator reviews text of tools and callers. Must not know verbs.

use std::cell::RefCell;
use std::io::Write as _;

use serde::Serialize;

use airlock::host::OpenError;
use airlock_journal::JournalError;
use airlock_types::diagnostic::Diagnostics;
use airlock_types::text::{visible, visible_json};

use super::{EXIT_HOST, EXIT_NO};

/// The output of a verb.
#[derive(Debug, Default)]
pub(super) struct Printer {
    /// The first error of a write to stdout.
    failed: RefCell<Option<std::io::Error>>,
}

/// What became of the output on stdout.
pub(super) enum Written {
    /// All of it was written.
    Whole,
    /// Its reader closed it, as `head` does: the output was wanted up to there.
    Closed,
    /// It was lost, for example because the disk is full.
    Lost(std::io::Error),
}

impl Printer {
    /// Prints a line on stdout, without styles when stdout is not a terminal.
    pub(super) fn line(&self, text: impl std::fmt::Display) {
        // `writeln!` and not `println!`, which panics if stdout is closed.
        self.keep(writeln!(anstream::stdout(), "{}", visible(&text.to_string())));
    }

    /// Prints a line on stdout that is styled already and has no other escapes.
    pub(super) fn styled_line(&self, text: &str) {
        self.keep(writeln!(anstream::stdout(), "{text}"));
    }

    /// Prints one indented JSON document on stdout.
    pub(super) fn json(&self, value: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        self.keep(writeln!(anstream::stdout(), "{}", visible_json(&text)));
        Ok(())
    }

    /// Prints one JSON document as a line on stdout.
    pub(super) fn json_line(&self, value: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string(value)?;
        self.keep(writeln!(anstream::stdout(), "{}", visible_json(&text)));
        Ok(())
    }

    /// Whether nothing more can be written to stdout.
    pub(super) fn is_closed(&self) -> bool {
        self.failed.borrow().is_some()
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
        self.note(format!("error: {}", chain(err)));
        if is_no(err) { EXIT_NO } else { EXIT_HOST }
    }

    /// Prints problems of a registry with their source lines on stderr.
    pub(super) fn problems(&self, problems: &Diagnostics) {
        use std::io::IsTerminal as _;
        self.styled(&problems.render(std::io::stderr().is_terminal()));
    }

    /// What became of the output so far.
    pub(super) fn written(&self) -> Written {
        // A line is written at once, but the last one may lack its end.
        self.keep(std::io::stdout().flush());
        match self.failed.take() {
            None => Written::Whole,
            Some(err) if err.kind() == std::io::ErrorKind::BrokenPipe => Written::Closed,
            Some(err) => Written::Lost(err),
        }
    }

    fn keep(&self, written: std::io::Result<()>) {
        // The first error explains the others.
        let first = self.failed.take();
        self.failed.replace(first.or(written.err()));
    }
}

/// Whether an error is the answer no: a [`Message`], or a journal that works and says it. Every verb has this one rule; an
/// unexpected error counts as a failure of the host.
pub(super) fn is_no(err: &anyhow::Error) -> bool {
    err.is::<Message>() || err.downcast_ref().is_some_and(JournalError::is_refusal)
}

/// An error with its causes. Some errors contain the text of their cause, which is not said again.
fn chain(err: &anyhow::Error) -> String {
    err.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.contains(&cause) {
        true => said,
        false if said.is_empty() => cause,
        false => format!("{said}: {cause}"),
    })
}

/// A negative answer that is not a failure of the host: bad input, or a check that did not pass. Exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Message(pub(super) String);

impl Message {
    /// An input that cannot be read, such as a folder.
    pub(super) fn of_stdin(err: &std::io::Error) -> Message {
        Message(format!("stdin cannot be read: {err}"))
    }
}
