//! The search for values in a stream, across the borders of its parts.
//!
//! Owns two promises. Which bytes wait, and for how long, depends on the stream alone: if it depended on the value, a guest
//! that has a service repeat its guesses could read the value from the borders of what it gets. And no byte of what is found
//! was handed on before, in spellings of up to `WINDOW_FACTOR` bytes a character. Memory is bounded by the length of the values.
//! Catches what a service repeats by accident. One that means to give the value away can always write it in a way that is
//! not searched for.

mod escapes;
mod lane;

use std::fmt;
use std::sync::Arc;

use aho_corasick::Anchored;
use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous::NFA;
use bytes::{Bytes, BytesMut};
use zeroize::Zeroizing;

use super::Secret;
use super::forms::forms;
use lane::Lane;

/// How often a spelling may be escaped: a redirect to a redirect, in a page of errors.
const ROUNDS_MAX: u8 = 3;

/// Bytes that wait for each character of the longest value of its size class. `\u002B` takes 6, `%252525` 7.
const WINDOW_FACTOR: usize = 8;

/// Values of up to this length are of one size class, which nearly all keys are. Longer ones, such as tokens with claims,
/// are in classes of powers of two: the window tells the class, and nothing else of the value.
const SMALLEST_CLASS: usize = 256;

/// The value of this secret was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Echo {
    pub(crate) secret: Arc<str>,
}

/// A form of the value ends here.
struct Found;

/// The forms of one value, as an automaton that reads a byte at a time.
pub(super) struct Patterns {
    automaton: NFA,
    start: StateID,
    longest: usize,
    /// Most bytes that wait.
    window: usize,
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The automaton's own would show the value.
        f.write_str("Patterns")
    }
}

impl Patterns {
    /// `None` if there is no automaton for them.
    pub(super) fn of(value: &str, case: Case) -> Option<Patterns> {
        let mut forms = forms(value);
        // A value that looks like an escape is read as one where another part of it is escaped.
        let decoded = Zeroizing::new(escapes::decoded(value.as_bytes()));
        if let Ok(decoded) = super::value(decoded) {
            forms.extend(super::forms::forms(&decoded));
        }
        let automaton = NFA::builder().ascii_case_insensitive(case == Case::Lost).build(&forms).ok()?;
        let start = automaton.start_state(Anchored::No).ok()?;
        let longest = forms.iter().map(Vec::len).max().unwrap_or_default();
        let window = value.len().next_power_of_two().max(SMALLEST_CLASS) * WINDOW_FACTOR;
        Some(Patterns { automaton, start, longest, window })
    }

    /// Reads one byte.
    fn next(&self, state: StateID, byte: u8) -> Result<StateID, Found> {
        let state = self.automaton.next_state(Anchored::No, state, byte);
        if self.automaton.is_match(state) { Err(Found) } else { Ok(state) }
    }
}

/// Whether letters are as they were sent. Names of headers come in lower case, whatever was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Kept,
    Lost,
}

/// The search in one stream. Without `Debug`: what waits may be the beginning of a value.
pub(crate) struct Scan {
    readers: Vec<Reader>,
    /// Most bytes that wait: enough for the longest value.
    window: usize,
    /// The last byte but for carriage returns.
    last: u8,
    /// Bytes since the last one that no spelling of any value goes across.
    run: usize,
    /// The bytes that wait: the last ones of the run.
    held: BytesMut,
}

/// The search for one of the values.
struct Reader {
    secret: Arc<str>,
    patterns: Arc<Patterns>,
    lane: Lane,
}

impl Scan {
    /// A search for the values of these secrets.
    pub(crate) fn values(secrets: &[Arc<Secret>]) -> Scan {
        Scan::new(secrets, |secret| &secret.patterns)
    }

    /// The same in a text whose letters have lost their case.
    pub(crate) fn names(secrets: &[Arc<Secret>]) -> Scan {
        Scan::new(secrets, |secret| &secret.caseless)
    }

    fn new(secrets: &[Arc<Secret>], patterns: fn(&Secret) -> &Arc<Patterns>) -> Scan {
        let reader = |secret: &Arc<Secret>| {
            let patterns = patterns(secret).clone();
            Reader { secret: secret.name.clone(), lane: Lane::new(patterns.start, 0), patterns }
        };
        let readers: Vec<Reader> = secrets.iter().map(reader).collect();
        let window = readers.iter().map(|reader| reader.patterns.window).max().unwrap_or_default();
        Scan { readers, window, last: 0, run: 0, held: BytesMut::new() }
    }

    /// Reads the next part of a stream, and returns what can be handed on.
    ///
    /// # Errors
    /// When a value is found. What was not returned before must not be handed on.
    pub(crate) fn push(&mut self, part: Bytes) -> Result<Bytes, Echo> {
        part.iter().try_for_each(|byte| self.read(*byte))?;
        let wait = self.run.min(self.window);
        if self.held.is_empty() && wait == 0 {
            return Ok(part);
        }
        self.held.extend_from_slice(&part);
        Ok(self.held.split_to(self.held.len() - wait).freeze())
    }

    /// What is left at the end of a stream, where no beginning can become a value any more.
    pub(crate) fn finish(&mut self) -> Bytes {
        self.held.split().freeze()
    }

    /// Bytes that wait.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// Searches a whole text.
    pub(crate) fn whole(mut self, text: &[u8]) -> Result<(), Echo> {
        text.iter().try_for_each(|byte| self.read(*byte))
    }

    fn read(&mut self, byte: u8) -> Result<(), Echo> {
        for Reader { secret, patterns, lane } in &mut self.readers {
            lane.read(patterns, byte, ROUNDS_MAX).map_err(|Found| Echo { secret: secret.clone() })?;
        }
        self.run = if ends_run(self.last, byte) { 0 } else { self.run.saturating_add(1) };
        // `\r\n` is one line break.
        if byte != b'\r' {
            self.last = byte;
        }
        Ok(())
    }
}

/// Whether no spelling of any value goes across a byte, so that events, lines of JSON and binary data do not wait. Values are
/// printable ASCII, and so are their spellings but for line breaks, which are only within base64.
fn ends_run(last: u8, byte: u8) -> bool {
    match byte {
        b'\n' => !escapes::goes_on(last),
        b'\r' => false,
        _ => !(b' '..=b'~').contains(&byte),
    }
}

#[cfg(test)]
mod tests;
