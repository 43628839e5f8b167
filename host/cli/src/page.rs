//! Text for a person: in color on a terminal, and through a pager where it is longer than the screen.
//!
//! Owns when the pager starts, and which color a tone has. Everywhere else the text is plain, and `NO_COLOR` keeps it so. Must
//! not know what the text says.

use std::io::{IsTerminal as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use rustix::termios::tcgetwinsize;
use tokio::signal::unix::{SignalKind, signal};

use super::print::Printer;
use airlock_journal::telling::{Told, Tone, column};
use airlock_types::text::visible;

/// The pager where `PAGER` is not set.
const PAGER: &str = "less";

/// What less is told where `LESS` says nothing: end if all fits the screen, keep colors, leave the text on the screen.
const LESS: &str = "FRX";

/// A text that is being written, line by line.
pub(super) struct Page<'p> {
    printer: &'p Printer,
    to: To,
    has_colors: bool,
}

enum To {
    /// Stdout, at once: it is no terminal, or there is no pager.
    Stdout,
    /// Kept until it is known whether the screen is large enough.
    Screen(Screen),
    /// The pager.
    Pager(Child),
    /// The pager ended before the text did: its reader has enough.
    Closed,
}

struct Screen {
    lines: Vec<String>,
    /// Rows that are left.
    rows: usize,
    columns: usize,
}

impl<'p> Page<'p> {
    /// A page on stdout, with a pager where one is of use.
    pub(super) fn new(printer: &'p Printer) -> Page<'p> {
        let screen = Screen::of_stdout().filter(|_| pager().is_some());
        let to = screen.map_or(To::Stdout, To::Screen);
        Page { to, ..Page::unpaged(printer) }
    }

    /// A page on stdout whose lines are seen at once.
    pub(super) fn unpaged(printer: &'p Printer) -> Page<'p> {
        let has_colors = AutoStream::choice(&std::io::stdout()) != ColorChoice::Never;
        Page { printer, to: To::Stdout, has_colors }
    }

    /// Writes a line.
    pub(super) fn line(&mut self, tone: Tone, text: &str) {
        let styled = self.styled(style(tone), text);
        self.push(&styled, text.chars().count());
    }

    /// Writes what is told of a call.
    pub(super) fn told(&mut self, told: &Told) {
        for (i, section) in told.sections.iter().enumerate() {
            if i > 0 {
                self.push("", 0);
            }
            for (title, line) in section.printed() {
                let title = column(title);
                let both =
                    self.styled(Style::new().bold(), &title) + &self.styled(style(line.tone), &line.text);
                self.push(&both, title.chars().count() + line.text.chars().count());
            }
        }
    }

    /// Whether more lines would not be read.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.to, To::Closed) || self.printer.is_closed()
    }

    /// Writes what is kept, and waits until the pager has ended.
    pub(super) fn end(self) {
        match self.to {
            To::Screen(screen) => screen.lines.iter().for_each(|line| self.printer.styled_line(line)),
            To::Pager(mut child) => {
                // The end of its input. It ends when its reader wants it to.
                drop(child.stdin.take());
                ended(child.wait(), self.printer);
            }
            To::Stdout | To::Closed => {}
        }
    }

    /// The text with what is hidden in it as escapes, and the style around it.
    fn styled(&self, style: Style, text: &str) -> String {
        let text = visible(text);
        if self.has_colors { format!("{style}{text}{style:#}") } else { text.into_owned() }
    }

    fn push(&mut self, line: &str, chars: usize) {
        if let To::Screen(screen) = &mut self.to {
            let rows = 1 + chars.saturating_sub(1) / screen.columns;
            if rows <= screen.rows {
                screen.rows -= rows;
                screen.lines.push(line.to_owned());
                return;
            }
            let kept = std::mem::take(&mut screen.lines);
            self.to = started();
            kept.iter().for_each(|line| self.write(line));
        }
        self.write(line);
    }

    fn write(&mut self, line: &str) {
        match &mut self.to {
            To::Stdout | To::Screen(_) => self.printer.styled_line(line),
            To::Pager(child) => {
                let stdin = child.stdin.as_mut();
                if !stdin.is_some_and(|stdin| writeln!(stdin, "{line}").is_ok()) {
                    ended(child.wait(), self.printer);
                    self.to = To::Closed;
                }
            }
            To::Closed => {}
        }
    }
}

/// What a shell ends with that finds no such program.
const NOT_FOUND: i32 = 127;

/// Says so when there was no pager, since the text was lost then.
fn ended(status: std::io::Result<ExitStatus>, printer: &Printer) {
    if status.is_ok_and(|status| status.code() == Some(NOT_FOUND)) {
        printer.note("error: the program that `PAGER` names is not there; `PAGER=cat` prints without one");
    }
}

impl Screen {
    /// The screen behind stdout; none where stdout is no terminal or has no size.
    fn of_stdout() -> Option<Screen> {
        let stdout = std::io::stdout();
        let size = stdout.is_terminal().then(|| tcgetwinsize(&stdout).ok()).flatten()?;
        let (rows, columns) = (usize::from(size.ws_row), usize::from(size.ws_col));
        // One row is the shell's.
        (rows > 1 && columns > 0).then(|| Screen { lines: Vec::new(), rows: rows - 1, columns })
    }
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Quiet => Style::new().dimmed(),
        Tone::Good => AnsiColor::Green.on_default(),
        Tone::Doubt => AnsiColor::Yellow.on_default(),
        Tone::Bad => AnsiColor::Red.on_default(),
    }
}

/// The command line of the pager; none where the user wants none.
fn pager() -> Option<String> {
    let pager = variable("PAGER").unwrap_or_else(|| PAGER.to_owned());
    (!matches!(pager.trim(), "" | "cat")).then_some(pager)
}

#[expect(
    clippy::disallowed_methods,
    reason = "pagers are set up for all programs of a user, in the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Starts the pager. Without one the text goes to stdout.
fn started() -> To {
    let Some(pager) = pager() else { return To::Stdout };
    // By the shell, as the variable may have options. The default directly, so that its absence is known.
    let mut command = Command::new(if pager == PAGER { PAGER } else { "sh" });
    if pager != PAGER {
        command.args(["-c", &pager]);
    }
    if variable("LESS").is_none() {
        command.env("LESS", LESS);
    }
    let Ok(child) = command.stdin(Stdio::piped()).spawn() else { return To::Stdout };
    // With a handler, which stays for good, Ctrl-C is the pager's: a pager that outlives this program would share the
    // terminal with the shell.
    let _ = signal(SignalKind::interrupt());
    To::Pager(child)
}
