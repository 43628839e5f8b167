//! The search for a value in a stream, across the borders of its parts.
//!
//! Owns the promise that no byte of what is found was handed on before: a part of the stream that may be the beginning of
//! the value waits until the next bytes decide. Memory is bounded by the value's length. Catches what a service repeats by
//! accident. One that means to give the value away can always write it in a way that is not searched for.

mod percent;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use aho_corasick::Anchored;
use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous::NFA;
use bytes::{Bytes, BytesMut};

use super::forms::forms;
use percent::Decoder;

/// The value was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Echo;

/// The forms of one value, as an automaton that reads a byte at a time.
pub(super) struct Patterns {
    automaton: NFA,
    start: StateID,
    /// For each state how many of the last bytes may be the beginning of a form. Sorted by state.
    depths: Vec<(StateID, usize)>,
    longest: usize,
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The automaton's own would show the value.
        f.write_str("Patterns")
    }
}

impl Patterns {
    pub(super) fn of(value: &str) -> Option<Patterns> {
        let forms = forms(value);
        let automaton = NFA::new(&forms).ok()?;
        let start = automaton.start_state(Anchored::No).ok()?;
        let longest = forms.iter().map(Vec::len).max().unwrap_or_default();
        let mut depths = Vec::new();
        for form in &forms {
            let mut state = start;
            // The state after n bytes of a form is the node of these n bytes: no longer beginning can end there.
            for (before, byte) in form.iter().enumerate() {
                state = automaton.next_state(Anchored::No, state, *byte);
                depths.push((state, before + 1));
            }
        }
        depths.sort_unstable();
        depths.dedup();
        Some(Patterns { automaton, start, depths, longest })
    }

    /// Reads one byte.
    fn next(&self, state: StateID, byte: u8) -> Result<StateID, Echo> {
        let state = self.automaton.next_state(Anchored::No, state, byte);
        if self.automaton.is_match(state) { Err(Echo) } else { Ok(state) }
    }

    fn depth(&self, state: StateID) -> usize {
        self.depths.binary_search_by_key(&state, |(state, _)| *state).map_or(0, |at| self.depths[at].1)
    }
}

/// The search in one stream. Without `Debug`: what waits is the beginning of a value.
pub(crate) struct Scan {
    patterns: Arc<Patterns>,
    /// The state after the bytes as they are.
    plain: StateID,
    /// The search after percent-decoding; present while it could differ from the other one.
    decoded: Option<Decoded>,
    /// Bytes that may be the beginning of the value.
    held: BytesMut,
}

/// The search in the percent-decoded stream.
struct Decoded {
    decoder: Decoder,
    state: StateID,
    /// How many bytes of the stream each of the last decoded bytes takes; those before take one each.
    widths: VecDeque<u8>,
    /// Decoded bytes since the last escape.
    plain_run: usize,
}

impl Scan {
    pub(super) fn new(patterns: Arc<Patterns>) -> Scan {
        Scan { plain: patterns.start, patterns, decoded: None, held: BytesMut::new() }
    }

    /// Reads the next part of a stream, and returns what can be handed on.
    ///
    /// # Errors
    /// When the value is found. What was not returned before must not be handed on.
    pub(crate) fn push(&mut self, part: Bytes) -> Result<Bytes, Echo> {
        for byte in &part {
            self.read(*byte)?;
        }
        let wait = self.undecided().min(self.held.len() + part.len());
        if self.held.is_empty() && wait == 0 {
            return Ok(part);
        }
        self.held.extend_from_slice(&part);
        Ok(self.held.split_to(self.held.len() - wait).freeze())
    }

    /// What is left at the end of a stream, where no beginning can become the value any more.
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
        let Scan { patterns, plain, decoded, held: _ } = self;
        if byte == b'%' && decoded.is_none() {
            // Until here both read the same.
            *decoded = Some(Decoded {
                decoder: Decoder::default(),
                state: *plain,
                widths: VecDeque::new(),
                plain_run: patterns.longest,
            });
        }
        *plain = patterns.next(*plain, byte)?;
        if let Some(lane) = decoded {
            lane.read(patterns, byte)?;
            // After as many bytes as the longest form has, both states are the same again.
            if lane.plain_run >= patterns.longest && lane.decoder.pending() == 0 {
                *decoded = None;
            }
        }
        Ok(())
    }

    /// How many of the last bytes may be the beginning of the value.
    fn undecided(&self) -> usize {
        let Scan { patterns, plain, decoded, held: _ } = self;
        let decoded = decoded.as_ref().map_or(0, |lane| {
            let depth = patterns.depth(lane.state);
            let known: usize = lane.widths.iter().rev().take(depth).map(|width| usize::from(*width)).sum();
            lane.decoder.pending() + known + depth.saturating_sub(lane.widths.len())
        });
        patterns.depth(*plain).max(decoded)
    }
}

impl Decoded {
    fn read(&mut self, patterns: &Patterns, byte: u8) -> Result<(), Echo> {
        let mut next = Some(byte);
        // An escape that turns out to be none gives back its bytes one after another.
        while let Some(byte) = next {
            let (decoded, again) = self.decoder.read(byte);
            for one in decoded.into_iter().flatten() {
                self.state = patterns.next(self.state, one.byte)?;
                self.plain_run = if one.is_escaped { 0 } else { self.plain_run.saturating_add(1) };
                self.widths.push_back(if one.is_escaped { 3 } else { 1 });
                // What is longer ago is the beginning of no form.
                if self.widths.len() > patterns.longest {
                    self.widths.pop_front();
                }
            }
            next = again;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
