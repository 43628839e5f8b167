//! What an expression reads: places in the arguments, the result, the clock, terms.
//!
//! Owns how these are found in a tree. Must not know values.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{Node, What};
use crate::path::{Path, Segment, snake};
use crate::ty::Field;

#[derive(Clone, Debug, Default)]
pub(super) struct Reads {
    /// The places in the arguments, each up to the first item of a list.
    places: BTreeSet<Path>,
    pub(super) result: bool,
    /// Whether it reads the time of the call by `now` or `today`.
    pub(super) time: bool,
    /// The facts that it looks up, by their place in the scope.
    pub(super) facts: BTreeSet<usize>,
    /// The terms that it names, directly or through others, with the cost of each by itself.
    pub(super) terms: BTreeMap<String, u64>,
}

impl Reads {
    pub(super) fn of(root: &Node, params: &[Field]) -> Reads {
        let (mut reads, mut left) = (Reads::default(), vec![root]);
        while let Some(node) = left.pop() {
            if let Some(place) = place(node, params) {
                reads.places.insert(place);
                continue;
            }
            match &node.what {
                What::Result => reads.result = true,
                What::Now | What::Today(_) => reads.time = true,
                What::Term(term) => {
                    reads.add(&term.reads);
                    reads.terms.insert(node.text.clone(), term.cost);
                }
                What::Fact(at, key) | What::Seen(at, key) => {
                    reads.facts.insert(*at);
                    left.push(key);
                }
                _ => left.extend(node.parts()),
            }
        }
        reads
    }

    fn add(&mut self, other: &Reads) {
        self.places.extend(other.places.iter().cloned());
        self.result |= other.result;
        self.time |= other.time;
        self.facts.extend(&other.facts);
        self.terms.extend(other.terms.clone());
    }

    pub(super) fn any_place(&self, is: impl Fn(&Path) -> bool) -> bool {
        self.places.iter().any(is)
    }

    /// The narrowest place that has all that is read. `None` if that is no single argument.
    pub(super) fn place(&self) -> Option<Path> {
        let mut places = self.places.iter().filter(|_| !self.result);
        let first = places.next()?.clone();
        let shared = places.fold(first, |shared, place| shared.shared(place));
        (!shared.is_whole()).then_some(shared)
    }
}

/// The place of an argument, or of a field in one.
fn place(node: &Node, params: &[Field]) -> Option<Path> {
    match &node.what {
        What::Arg(at) => {
            params.get(*at).map(|param| Path::default().then(Segment::Field(snake(&param.name).into_owned())))
        }
        What::Field(base, name) => place(base, params).map(|base| base.then(Segment::Field(name.clone()))),
        _ => None,
    }
}
