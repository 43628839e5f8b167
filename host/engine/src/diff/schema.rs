//! Two JSON Schemas, compared keyword by keyword: what changed, and whether a value may be valid now that was not.
//!
//! Owns the grammar: what stands where a keyword stands is a keyword, and what stands where a name stands is a name,
//! whatever it is called. A schema is a conjunction of its keywords, so that it lets in no more than before when each
//! keyword, or group of keywords that need each other, lets in no more. Under `not` and `if` the two sides change
//! places. What is not known, and what takes too many steps, counts as wider.

mod group;
mod reference;

use std::cell::Cell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Found, keyword};
use reference::Node;

/// Schemas that are compared with each other for one pair of documents. A choice of ten forms, three deep, takes some
/// thousands.
const STEPS_MAX: u32 = 50_000;

/// Parts of a place's path. Recursive schemas end here.
const DEPTH_MAX: usize = 128;

/// Keywords that say something to a reader and nothing about values.
const TEXTS: [&str; 7] =
    ["title", "description", "examples", "$comment", "deprecated", "readOnly", "writeOnly"];

/// Where definitions lie. They are compared where they are referred to.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// Keywords whose meaning depends on others beside them or elsewhere: where an old schema has one, everything beside
/// it has to stay as it is.
const DEPENDENT: [&str; 8] = [
    "unevaluatedProperties",
    "unevaluatedItems",
    "$dynamicRef",
    "$dynamicAnchor",
    "$anchor",
    "$id",
    "$ref",
    "$recursiveRef",
];

/// What changed between two documents, whose place begins with `name`.
pub(super) fn compare(name: &str, old: &Value, new: &Value) -> Vec<Found> {
    let steps = Cell::new(STEPS_MAX);
    let mut walk = Walk { steps: &steps, path: vec![name.to_owned()], found: Vec::new() };
    walk.schemas(Node::root(old), Node::root(new));
    walk.found
}

/// A comparison on its way.
struct Walk<'w> {
    /// What is left of the steps, for all parts of it.
    steps: &'w Cell<u32>,
    path: Vec<String>,
    found: Vec<Found>,
}

/// The old and the new schema of one place.
#[derive(Clone, Copy)]
struct Pair<'s> {
    old: Node<'s>,
    new: Node<'s>,
}

impl<'w> Walk<'w> {
    fn schemas(&mut self, old: Node<'_>, new: Node<'_>) {
        if old.is_same(&new) {
            return;
        }
        if self.path.len() > DEPTH_MAX || self.steps.get() == 0 {
            return self.push(Some(old.value), Some(new.value), true);
        }
        self.steps.set(self.steps.get() - 1);
        let (old_target, new_target) = (old.resolved(), new.resolved());
        let (old, new) = (old.at(&old_target), new.at(&new_target));
        match (old.value, new.value) {
            (old, new) if old == new && !reference::mentions(old) => {}
            (_, Value::Bool(false)) => self.push(Some(old.value), Some(new.value), false),
            (Value::Bool(true), _) => self.push(Some(old.value), Some(new.value), false),
            (Value::Object(_), Value::Bool(true)) => {
                let empty = Value::Object(Map::new());
                self.objects(Pair { old, new: new.at(&empty) });
            }
            (Value::Object(_), Value::Object(_)) => self.objects(Pair { old, new }),
            _ => self.push(Some(old.value), Some(new.value), true),
        }
    }

    fn objects(&mut self, pair: Pair<'_>) {
        let (Some(old), Some(new)) = (pair.old.value.as_object(), pair.new.value.as_object()) else { return };
        let depends = DEPENDENT.iter().any(|key| old.contains_key(*key));
        if depends && !pair.old.is_silently(&pair.new) {
            return self.push(Some(pair.old.value), Some(pair.new.value), true);
        }
        let mut done = BTreeSet::new();
        for key in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            let group = group::of(key);
            if done.insert(group) || group == group::Group::Alone {
                self.group(group, key, pair, (old, new));
            }
        }
    }

    /// One keyword that stands for itself, narrower or not.
    fn plain(&mut self, key: &str, (old, new): (&Map<String, Value>, &Map<String, Value>), narrower: bool) {
        let (old, new) = (old.get(key), new.get(key));
        if old != new {
            self.within(key, |walk| walk.push(old, new, !narrower));
        }
    }

    /// A list of values or names whose order says nothing: what came and what went, one by one.
    fn set(
        &mut self,
        key: &str,
        sides: (&Map<String, Value>, &Map<String, Value>),
        narrower: bool,
        grows: bool,
    ) {
        if sides.0.get(key) == sides.1.get(key) {
            return;
        }
        let lists = (sides.0.get(key).and_then(Value::as_array), sides.1.get(key).and_then(Value::as_array));
        let (Some(old), Some(new)) = lists else { return self.plain(key, sides, narrower) };
        self.within(key, |walk| {
            for gone in old.iter().filter(|item| !new.contains(item)) {
                walk.push(Some(gone), None, !narrower && grows);
            }
            for come in new.iter().filter(|item| !old.contains(item)) {
                walk.push(None, Some(come), !narrower && !grows);
            }
            // Wider by what is not in these lists.
            if !narrower && !walk.found.iter().any(|found| found.wider && found.path == walk.path) {
                walk.push(None, None, true);
            }
        });
    }

    /// Schemas that may be absent, which is as good as letting everything in.
    fn absent_or(&mut self, old: Option<Node<'_>>, new: Option<Node<'_>>) {
        match (old, new) {
            (None, None) => {}
            (None, Some(new)) => self.push(None, Some(new.value), false),
            (Some(old), None) => {
                let wider = !self.implied(old, old.at(&Value::Bool(true)));
                self.push(Some(old.value), None, wider);
            }
            (Some(old), Some(new)) => self.schemas(old, new),
        }
    }

    /// Whether what the new schema lets in, the old one surely let in.
    fn implied(&self, old: Node<'_>, new: Node<'_>) -> bool {
        let mut quiet = self.aside();
        quiet.schemas(old, new);
        !quiet.found.iter().any(|found| found.wider)
    }

    /// Compares with the sides exchanged: where letting in more is narrower.
    fn flipped(&mut self, old: Node<'_>, new: Node<'_>) {
        let mut other = self.aside();
        other.schemas(new, old);
        let back = |found: Found| Found { before: found.after, after: found.before, ..found };
        self.found.extend(other.found.into_iter().map(back));
    }

    fn aside(&self) -> Walk<'w> {
        Walk { steps: self.steps, path: self.path.clone(), found: Vec::new() }
    }

    fn within<T>(&mut self, part: &str, compare: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(part.to_owned());
        let compared = compare(self);
        self.path.pop();
        compared
    }

    fn push(&mut self, before: Option<&Value>, after: Option<&Value>, wider: bool) {
        self.found.push(Found {
            path: self.path.clone(),
            before: before.cloned(),
            after: after.cloned(),
            wider,
        });
    }
}
