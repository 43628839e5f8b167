//! Compares two JSON Schemas keyword by keyword: the changes, and whether a newly valid value is possible.
//!
//! Owns the grammar. At the place of a keyword a key is a keyword, and at the place of a property name it is a name,
//! even if it is spelled like a keyword. A schema is a conjunction of its keywords. It admits no more than before when
//! each keyword, or each group of dependent keywords, admits no more. Under `not` and `if` the two sides are exchanged.
//! Unknown keywords, and comparisons that take too many steps, count as wider. To add a keyword: see `group`.

mod group;
mod reference;

use std::cell::Cell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::keyword;
use airlock_types::difference::Difference;
use reference::Node;

/// Most pairs of schemas that one comparison of two documents looks at. A choice of ten forms, nested three deep, takes
/// some thousands.
const STEPS_MAX: u32 = 50_000;

/// Longest path to a schema. Recursive schemas end here.
const DEPTH_MAX: usize = 128;

/// Keywords for a human reader, without meaning for validity.
pub(super) const TEXTS: [&str; 7] =
    ["title", "description", "examples", "$comment", "deprecated", "readOnly", "writeOnly"];

/// Keywords that hold definitions. Definitions are compared where they are referred to.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// Keywords that depend on others, beside them or elsewhere. When an old schema has one, the whole schema must stay
/// unchanged.
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

/// The changes between two documents. Their paths begin with `name`.
pub(super) fn compare(name: &str, old: &Value, new: &Value) -> Vec<Difference> {
    // Shared by all nested comparisons, so that trying branches against each other cannot multiply the bound.
    let steps = Cell::new(STEPS_MAX);
    let mut walk = Walk { steps: &steps, path: vec![name.to_owned()], found: Vec::new() };
    walk.schemas(Node::root(old), Node::root(new));
    walk.found
}

/// A comparison in progress.
struct Walk<'w> {
    /// The steps that are left. All parts of a comparison share them.
    steps: &'w Cell<u32>,
    path: Vec<String>,
    found: Vec<Difference>,
}

/// The old and the new schema at one place.
#[derive(Clone, Copy)]
struct Pair<'s> {
    old: Node<'s>,
    new: Node<'s>,
}

impl<'w> Walk<'w> {
    /// Compares two schemas at the current path.
    fn schemas(&mut self, old: Node<'_>, new: Node<'_>) {
        // Costs no step: most of two versions of a schema is equal.
        if old.is_same(&new) {
            return;
        }
        // Giving up counts as wider, which is the safe side: a reviewer then looks at it.
        if self.path.len() > DEPTH_MAX || self.steps.get() == 0 {
            return self.push(Some(old.value), Some(new.value), true);
        }
        self.steps.set(self.steps.get() - 1);
        // Resolved before comparing, so that inlining a definition is not a change.
        let (old_target, new_target) = (old.resolved(), new.resolved());
        let (old, new) = (old.at(&old_target), new.at(&new_target));
        match (old.value, new.value) {
            // Equal text is equal meaning only without references, which may lead to different targets.
            (old, new) if old == new && !reference::mentions(old) => {}
            (_, Value::Bool(false)) => self.push(Some(old.value), Some(new.value), false),
            (Value::Bool(true), _) => self.push(Some(old.value), Some(new.value), false),
            // `true` is the empty object, so that each removed keyword is listed.
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
        // Keyword by keyword is only sound if each keyword means the same on its own.
        let depends = DEPENDENT.iter().any(|key| old.contains_key(*key));
        if depends && !pair.old.is_silently(&pair.new) {
            return self.push(Some(pair.old.value), Some(pair.new.value), true);
        }
        let mut done = BTreeSet::new();
        for key in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            let group = group::of(key);
            // A group is compared once, at the first of its keywords.
            if done.insert(group) || group == group::Group::Alone {
                self.group(group, key, pair, (old, new));
            }
        }
    }

    /// Compares a keyword that stands alone.
    fn plain(&mut self, key: &str, (old, new): (&Map<String, Value>, &Map<String, Value>), narrower: bool) {
        let (old, new) = (old.get(key), new.get(key));
        if old != new {
            self.within(key, |walk| walk.push(old, new, !narrower));
        }
    }

    /// Compares a list without order: lists each added and removed item. `grows` tells whether an added item is
    /// narrower.
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
            // Wider for a reason outside these lists, which no item shows.
            if !narrower && !walk.found.iter().any(|found| found.wider && found.path == walk.path) {
                walk.push(None, None, true);
            }
        });
    }

    /// Compares schemas that may be absent. An absent schema admits everything.
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

    /// Whether the old schema surely admitted everything that the new one admits. Reports no changes.
    fn implied(&self, old: Node<'_>, new: Node<'_>) -> bool {
        let mut quiet = self.aside();
        quiet.schemas(old, new);
        !quiet.found.iter().any(|found| found.wider)
    }

    /// Compares with the sides exchanged, where admitting more is narrower.
    fn flipped(&mut self, old: Node<'_>, new: Node<'_>) {
        let mut other = self.aside();
        other.schemas(new, old);
        let back = |found: Difference| Difference { before: found.after, after: found.before, ..found };
        self.found.extend(other.found.into_iter().map(back));
    }

    /// A comparison at the same path with its own list of changes.
    fn aside(&self) -> Walk<'w> {
        Walk { steps: self.steps, path: self.path.clone(), found: Vec::new() }
    }

    /// Runs a comparison one level deeper in the path.
    fn within<T>(&mut self, part: &str, compare: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(part.to_owned());
        let compared = compare(self);
        self.path.pop();
        compared
    }

    fn push(&mut self, before: Option<&Value>, after: Option<&Value>, wider: bool) {
        self.found.push(Difference {
            path: self.path.clone(),
            before: before.cloned(),
            after: after.cloned(),
            wider,
        });
    }
}
