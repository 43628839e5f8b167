//! The changes that were found, and the kinds of settings in which they are.

use std::collections::BTreeSet;

use airlock_types::grant::{Change, Turn};

/// The changes so far.
#[derive(Default)]
pub(super) struct Found(pub(super) Vec<Change>);

impl Found {
    /// An entry that came or went as a whole.
    pub(super) fn entry(&mut self, place: &str, before: Option<String>, after: Option<String>) {
        self.0.extend(Change::of(place.to_owned(), before, after, false));
    }

    /// A setting that has a value on both sides, as a text.
    pub(super) fn value(&mut self, place: &str, before: String, after: String, is_within: bool) {
        self.0.extend(Change::of(place.to_owned(), Some(before), Some(after), is_within));
    }

    /// A setting of which more allows more.
    pub(super) fn bound(&mut self, place: &str, before: u64, after: u64) {
        self.value(place, before.to_string(), after.to_string(), after <= before);
    }

    /// A setting of which more allows more, and which bounds nothing where it is left out.
    pub(super) fn optional_bound(&mut self, place: &str, before: Option<u64>, after: Option<u64>) {
        let text =
            |bound: Option<u64>| bound.map_or_else(|| "no bound".to_owned(), |bound| bound.to_string());
        let is_within = after.is_some_and(|after| before.is_none_or(|before| after <= before));
        self.value(place, text(before), text(after), is_within);
    }

    /// A setting that allows more where it is on.
    pub(super) fn flag(&mut self, place: &str, before: bool, after: bool) {
        self.value(place, before.to_string(), after.to_string(), !after);
    }

    /// A list of which each element allows more.
    pub(super) fn set(&mut self, place: &str, before: &BTreeSet<String>, after: &BTreeSet<String>) {
        let text = |all: &BTreeSet<String>| match all.len() {
            0 => "nothing".to_owned(),
            _ => all.iter().cloned().collect::<Vec<_>>().join(", "),
        };
        self.value(place, text(before), text(after), after.is_subset(before));
    }

    /// Changes below a place, as they were found there.
    pub(super) fn below(&mut self, place: &str, changes: Vec<Change>) {
        let below = |change: Change| Change { place: format!("{place}.{}", change.place), ..change };
        self.0.extend(changes.into_iter().map(below));
    }

    /// A change whose direction is known although one side is left out.
    pub(super) fn turn(&mut self, turn: Turn, place: &str, before: Option<String>, after: Option<String>) {
        self.0.push(Change { turn, place: place.to_owned(), before, after });
    }
}
