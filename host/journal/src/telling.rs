//! A call in words: what its record says, as a person would tell it.
//!
//! Owns the words, their order and their bounds: a text is short whatever a call said, each of its lines is one, and no
//! character in it hides text or commands a terminal. Must not know how a text is shown. To add a section: a file here, and its
//! line in [`show`] or [`why`].

mod confidential;
mod doors;
mod facts;
mod grades;
mod head;
mod policy;
mod reply;
mod route;
mod text;
mod usage;

use std::fmt;

use crate::grade::Given;
use airlock_types::code::{Code, Status};
use airlock_types::record::Record;
use airlock_types::reply::Reply;
use serde::Deserialize as _;

pub use text::{moment, plain};

/// Width of the column with the titles of sections, in characters.
const TITLE_CHARS: usize = 12;

/// A call, told in sections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The sections, in order.
    pub sections: Vec<Section>,
}

/// A part of what is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What it is about, in a word or two.
    pub title: &'static str,
    /// Its lines; never none.
    pub lines: Vec<Line>,
}

/// One line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it means for its reader.
    pub tone: Tone,
    /// The text, without a line end.
    pub text: String,
}

/// What a line means for its reader, for doors that color it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// A fact.
    Plain,
    /// A fact for those who look closer.
    Quiet,
    /// All is well.
    Good,
    /// There is a reservation.
    Doubt,
    /// Something failed or was refused.
    Bad,
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It has ended.
    Ended,
    /// It runs; its record has what was known when it began.
    Running,
    /// Its process ended while it ran.
    Interrupted,
}

/// Tells one call: what was asked, what each door found, why this route, what it cost, what it touched, the reply, and what was
/// said of it afterwards.
pub fn show(record: &Record, stand: Stand, graded: &[Given]) -> Told {
    let reply = reply_of(record);
    Told::of([
        head::call(record, stand),
        confidential::fields(record),
        head::asked(record),
        facts::looked(record),
        doors::inner(record, reply.as_ref()),
        policy::brief(record),
        route::taken(record),
        doors::outer(record, reply.as_ref()),
        usage::cost(record),
        usage::touched(record),
        usage::log(record),
        reply::given(record, reply.as_ref()),
        grades::given(graded),
    ])
}

/// Tells why a call ended as it did: the decision and its rules, denials with the grants that would allow them, violations,
/// the route, findings, and whether that was right.
pub fn why(record: &Record, stand: Stand, graded: &[Given]) -> Told {
    let reply = reply_of(record);
    Told::of([
        head::call(record, stand),
        facts::looked(record),
        doors::inner(record, reply.as_ref()),
        policy::whole(record),
        route::planned(record),
        route::taken(record),
        doors::outer(record, reply.as_ref()),
        reply::notice(reply.as_ref()),
        policy::digests(record),
        grades::given(graded),
    ])
}

/// The tone of an outcome.
pub fn tone(code: &str) -> Tone {
    let known = Code::ALL.into_iter().find(|known| known.as_str() == code);
    match known.map(|code| code.facts().status) {
        Some(Status::Ok) => Tone::Good,
        Some(Status::Degraded | Status::Clarify | Status::Refused | Status::Held) => Tone::Doubt,
        // A code of another version is none that is known to be good.
        Some(_) | None => Tone::Bad,
    }
}

/// The reply of this version's form. None for a call without one, and for one with words of another version.
fn reply_of(record: &Record) -> Option<Reply> {
    record.reply.as_ref().and_then(|reply| Reply::deserialize(reply).ok())
}

impl Told {
    fn of(sections: impl IntoIterator<Item = Section>) -> Told {
        // A section with nothing to say is left out.
        Told { sections: sections.into_iter().filter(|section| !section.lines.is_empty()).collect() }
    }
}

impl Section {
    fn new(title: &'static str, lines: Vec<Line>) -> Section {
        Section { title, lines }
    }

    /// The lines as they are printed: the title stands beside the first one.
    pub fn printed(&self) -> impl Iterator<Item = (&'static str, &Line)> {
        let titles = std::iter::once(self.title).chain(std::iter::repeat(""));
        titles.zip(&self.lines)
    }
}

impl Line {
    fn new(tone: Tone, text: impl Into<String>) -> Line {
        Line { tone, text: text.into() }
    }

    fn plain(text: impl Into<String>) -> Line {
        Line::new(Tone::Plain, text)
    }

    fn quiet(text: impl Into<String>) -> Line {
        Line::new(Tone::Quiet, text)
    }

    /// The same line, moved to the right: it belongs to the one above.
    fn below(self) -> Line {
        Line { text: format!("  {}", self.text), ..self }
    }
}

/// The title of a line, with spaces up to the column of the text.
pub fn column(title: &str) -> String {
    format!("{title:TITLE_CHARS$}")
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, section) in self.sections.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            for (title, line) in section.printed() {
                writeln!(f, "{}{}", column(title), line.text)?;
            }
        }
        Ok(())
    }
}
