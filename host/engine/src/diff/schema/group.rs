//! Groups of dependent keywords, each with its rule.
//!
//! To add a keyword: its line in [`of`] or `alone`, and its rule here or in `keyword`. A keyword without a rule is
//! wider whenever it changes.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::reference::Node;
use super::{DEFINITIONS, Pair, TEXTS, Walk, keyword};
use airlock_types::difference::Difference;

type Sides<'s> = (&'s Map<String, Value>, &'s Map<String, Value>);

/// The keywords that are compared together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// Each keyword on its own.
    Alone,
    Values,
    Lower,
    Upper,
    Properties,
    Items,
    Contains,
    Condition,
}

/// The group of a keyword.
pub(super) fn of(key: &str) -> Group {
    match key {
        "enum" | "const" => Group::Values,
        "minimum" | "exclusiveMinimum" => Group::Lower,
        "maximum" | "exclusiveMaximum" => Group::Upper,
        "properties" | "patternProperties" | "additionalProperties" => Group::Properties,
        "items" | "prefixItems" => Group::Items,
        "contains" | "minContains" | "maxContains" => Group::Contains,
        "if" | "then" | "else" => Group::Condition,
        _ => Group::Alone,
    }
}

impl Walk<'_> {
    pub(super) fn group(&mut self, group: Group, key: &str, pair: Pair<'_>, sides: Sides<'_>) {
        let (old, new) = sides;
        match group {
            Group::Alone => self.alone(key, pair, sides),
            Group::Values => {
                // The two keywords are one rule: `const` is an `enum` of one value.
                let narrower = keyword::values(old, new);
                self.set("enum", sides, narrower, false);
                self.plain("const", sides, narrower);
            }
            Group::Lower => {
                let narrower = keyword::lower(old, new);
                self.plains(&["minimum", "exclusiveMinimum"], sides, narrower);
            }
            Group::Upper => {
                let narrower = keyword::upper(old, new);
                self.plains(&["maximum", "exclusiveMaximum"], sides, narrower);
            }
            Group::Properties => self.properties(pair, sides),
            Group::Items => self.items(pair),
            Group::Contains => self.contains(pair, sides),
            Group::Condition => self.condition(pair, sides),
        }
    }

    fn alone(&mut self, key: &str, pair: Pair<'_>, sides: Sides<'_>) {
        let (old, new) = sides;
        let (before, after) = (old.get(key), new.get(key));
        match key {
            // Definitions are compared where a reference leads to them.
            _ if DEFINITIONS.contains(&key) => {}
            _ if TEXTS.contains(&key) => self.plain(key, sides, true),
            "type" => self.plain(key, sides, keyword::types(old, new)),
            "multipleOf" => self.plain(key, sides, keyword::steps(old, new)),
            "minLength" | "minItems" | "minProperties" => {
                self.plain(key, sides, keyword::least(key, old, new))
            }
            "maxLength" | "maxItems" | "maxProperties" => {
                self.plain(key, sides, keyword::most(key, old, new))
            }
            "required" => self.set(key, sides, keyword::grew(before, after), true),
            "dependentRequired" => self.dependent_required(sides),
            "dependentSchemas" => self.dependent_schemas(pair),
            // Texts of their own languages: only adding one where there was none is surely narrower.
            "pattern" | "format" | "contentEncoding" | "contentMediaType" => {
                self.plain(key, sides, before.is_none());
            }
            "uniqueItems" => {
                let narrower =
                    before.is_none_or(|old| *old == false) || after.is_some_and(|new| *new == true);
                self.plain(key, sides, narrower);
            }
            "propertyNames" => self.within(key, |walk| walk.absent_or(pair.old.get(key), pair.new.get(key))),
            "not" => self.within(key, |walk| match (pair.old.get(key), pair.new.get(key)) {
                // Under `not` the sides are exchanged: admitting less inside admits more outside.
                (Some(old), Some(new)) => walk.flipped(old, new),
                _ => walk.push(before, after, before.is_some()),
            }),
            "anyOf" => self.any_of(pair),
            "allOf" => self.all_of(pair),
            "oneOf" => self.one_of(pair),
            _ => self.plain(key, sides, false),
        }
    }

    fn dependent_required(&mut self, (old, new): Sides<'_>) {
        const KEY: &str = "dependentRequired";
        let none = Map::new();
        let names = |side: &Map<String, Value>| match side.get(KEY) {
            None => Some(none.clone()),
            Some(value) => value.as_object().cloned(),
        };
        // A value of another form is not understood, so it counts as wider.
        let (Some(before), Some(after)) = (names(old), names(new)) else {
            return self.plain(KEY, (old, new), false);
        };
        self.within(KEY, |walk| {
            for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
                walk.set(name, (&before, &after), keyword::grew(before.get(name), after.get(name)), true);
            }
        });
    }

    fn dependent_schemas(&mut self, pair: Pair<'_>) {
        self.by_name("dependentSchemas", pair, |walk, old, new| walk.absent_or(old, new));
    }

    /// Compares the schemas under each name of a keyword that maps names to schemas.
    fn by_name(
        &mut self,
        key: &str,
        pair: Pair<'_>,
        mut compare: impl FnMut(&mut Self, Option<Node<'_>>, Option<Node<'_>>),
    ) {
        let sides = (pair.old.get(key), pair.new.get(key));
        // Names are compared only if both sides are maps; anything else is wider as a whole.
        let is_map = |side: &Option<Node<'_>>| side.is_none_or(|side| side.value.is_object());
        if !is_map(&sides.0) || !is_map(&sides.1) {
            let values = (sides.0.map(|old| old.value), sides.1.map(|new| new.value));
            return self.within(key, |walk| walk.push(values.0, values.1, true));
        }
        let names = |side: Option<Node<'_>>| -> Vec<String> {
            side.and_then(|side| side.value.as_object()).into_iter().flat_map(Map::keys).cloned().collect()
        };
        let all: BTreeSet<String> = names(sides.0).into_iter().chain(names(sides.1)).collect();
        self.within(key, |walk| {
            for name in &all {
                let (old, new) = (sides.0.and_then(|it| it.get(name)), sides.1.and_then(|it| it.get(name)));
                walk.within(name, |walk| compare(walk, old, new));
            }
        });
    }

    /// Compares properties. A new name is wider even where any name was admitted, because it is more that can be sent.
    /// A removed name falls under the rule for names that are not listed.
    fn properties(&mut self, pair: Pair<'_>, (old, new): Sides<'_>) {
        const OTHERS: &str = "additionalProperties";
        let patterns = new.contains_key("patternProperties") || old.contains_key("patternProperties");
        let (anything, nothing) = (Value::Bool(true), Value::Bool(false));
        // An absent `additionalProperties` admits any value.
        let rest = pair.new.get(OTHERS).unwrap_or(pair.new.at(&anything));
        self.by_name("properties", pair, |walk, old, new| match (old, new) {
            (Some(old), None) => {
                // With patterns the removed name may match one of them, which is not worked out here.
                let wider = patterns || !walk.implied(old, rest);
                walk.push(Some(old.value), None, wider);
            }
            (None, Some(new)) => walk.push(None, Some(new.value), *new.value != nothing),
            (old, new) => walk.absent_or(old, new),
        });
        // A new pattern exempts names from `additionalProperties`, so it is wider where that rule existed.
        let open = !old.contains_key(OTHERS);
        self.by_name("patternProperties", pair, |walk, old, new| match (old, new) {
            (Some(old), None) => walk.push(Some(old.value), None, true),
            (None, Some(new)) => walk.push(None, Some(new.value), !open),
            (old, new) => walk.absent_or(old, new),
        });
        self.within(OTHERS, |walk| walk.absent_or(pair.old.get(OTHERS), pair.new.get(OTHERS)));
    }

    /// Compares the items of arrays: first those with their own schema, then the rest.
    fn items(&mut self, pair: Pair<'_>) {
        let prefix = |side: Node<'_>| match side.value.get("prefixItems") {
            None => Some(0),
            Some(Value::Array(all)) => Some(all.len()),
            Some(_) => None,
        };
        let (Some(old), Some(new)) = (prefix(pair.old), prefix(pair.new)) else {
            return self.push(Some(pair.old.value), Some(pair.new.value), true);
        };
        for at in 0..old.max(new) {
            let item = |side: Node<'_>| side.value.get("prefixItems").and_then(|all| all.get(at)).is_some();
            let (of_old, of_new) = (item(pair.old), item(pair.new));
            let old = at_item(pair.old, at, of_old);
            let new = at_item(pair.new, at, of_new);
            self.within("prefixItems", |walk| walk.within(&at.to_string(), |walk| walk.absent_or(old, new)));
        }
        self.within("items", |walk| walk.absent_or(pair.old.get("items"), pair.new.get("items")));
    }

    /// Compares `contains`. At least `minContains` items must match, so a narrower schema demands more. With
    /// `maxContains` a wider schema demands more, too, and only an equivalent one is safe.
    fn contains(&mut self, pair: Pair<'_>, sides: Sides<'_>) {
        const KEY: &str = "contains";
        let (old, new) = sides;
        let Some((before, after)) = pair.old.get(KEY).zip(pair.new.get(KEY)) else {
            return self.plains(&[KEY, "minContains", "maxContains"], sides, !old.contains_key(KEY));
        };
        let one = Value::from(1);
        let least = |side: &Map<String, Value>| -> Map<String, Value> {
            [("min".to_owned(), side.get("minContains").unwrap_or(&one).clone())].into_iter().collect()
        };
        self.plain("minContains", sides, keyword::least("min", &least(old), &least(new)));
        self.plain("maxContains", sides, keyword::most("maxContains", old, new));
        // Only an old cap matters: without one, more matches violate nothing that the old schema demanded.
        let capped = old.contains_key("maxContains");
        let narrower = self.implied(before, after) && (!capped || self.implied(after, before));
        self.judged(KEY, before, after, narrower);
    }

    /// Lists the changes inside a schema whose effect on the whole was determined elsewhere.
    fn judged(&mut self, key: &str, old: Node<'_>, new: Node<'_>, narrower: bool) {
        self.within(key, |walk| {
            // Compared aside, because the verdict of each change inside is replaced by that of the whole.
            let mut aside = walk.aside();
            aside.schemas(old, new);
            if aside.found.is_empty() && !narrower {
                walk.push(Some(old.value), Some(new.value), true);
            }
            walk.found.extend(aside.found.into_iter().map(|found| Difference { wider: !narrower, ..found }));
        });
    }

    /// Compares `oneOf`. Exactly one branch must match, so a narrower branch may make the whole wider. Only equivalent
    /// branches are safe.
    fn one_of(&mut self, pair: Pair<'_>) {
        const KEY: &str = "oneOf";
        let values = (pair.old.value.get(KEY), pair.new.value.get(KEY));
        let (Some(old), Some(new)) = (branches(pair.old, KEY), branches(pair.new, KEY)) else {
            return self.within(KEY, |walk| walk.push(values.0, values.1, values.0.is_some()));
        };
        // Branches are compared by position: a different order is reported, although it means the same.
        let mut pairs = old.iter().zip(&new);
        let same = old.len() == new.len()
            && pairs.all(|(old, new)| self.implied(*old, *new) && self.implied(*new, *old));
        self.within(KEY, |walk| {
            if !same {
                return walk.push(values.0, values.1, true);
            }
            let mut aside = walk.aside();
            aside.one_by_one(&old, &new);
            walk.found.extend(aside.found.into_iter().map(|found| Difference { wider: false, ..found }));
        });
    }

    fn plains(&mut self, keys: &[&str], sides: Sides<'_>, narrower: bool) {
        keys.iter().for_each(|key| self.plain(key, sides, narrower));
    }

    /// Compares `if`, `then` and `else`. `then` applies to values that match `if`, so a wider condition demands more.
    /// With `else` a narrower condition demands more, too.
    fn condition(&mut self, pair: Pair<'_>, sides: Sides<'_>) {
        let (old, _) = sides;
        let asks = old.contains_key("then") || old.contains_key("else");
        let (Some(before), true) = (pair.old.get("if"), asks) else {
            // Without both parts the old condition demanded nothing.
            self.plains(&["if", "then", "else"], sides, true);
            return;
        };
        let Some(after) = pair.new.get("if") else {
            // The old condition demanded something, and the new schema has none.
            self.plains(&["if", "then", "else"], sides, false);
            return;
        };
        let then = !old.contains_key("then") || self.implied(after, before);
        let other = !old.contains_key("else") || self.implied(before, after);
        self.judged("if", before, after, then && other);
        for key in ["then", "else"] {
            self.within(key, |walk| walk.absent_or(pair.old.get(key), pair.new.get(key)));
        }
    }

    /// Compares `anyOf`: every new branch must lie within an old one.
    fn any_of(&mut self, pair: Pair<'_>) {
        const KEY: &str = "anyOf";
        let (before, after) = (branches(pair.old, KEY), branches(pair.new, KEY));
        let values = (pair.old.value.get(KEY), pair.new.value.get(KEY));
        let (Some(before), Some(after)) = (before, after) else {
            let within = |whole: Node<'_>| {
                branches(pair.old, KEY).is_some_and(|old| old.into_iter().any(|old| self.implied(old, whole)))
            };
            // A new choice beside the rest only adds a demand.
            let narrower = values.0.is_none() || (values.1.is_none() && within(pair.new));
            return self.within(KEY, |walk| walk.push(values.0, values.1, !narrower));
        };
        let among = |walk: &Self, new: Node<'_>| before.iter().any(|old| walk.implied(*old, new));
        let narrower = after.iter().all(|new| among(self, *new));
        self.within(KEY, |walk| {
            if before.len() == after.len() && !narrower {
                // Branch by branch where possible: the change inside a branch says more than two whole branches.
                return walk.one_by_one(&before, &after);
            }
            // Unchanged branches are not listed, wherever they moved.
            let has = |all: &[Node<'_>], one: &Node<'_>| all.iter().any(|other| one.is_same(other));
            for gone in before.iter().filter(|old| !has(&after, old)) {
                walk.push(Some(gone.value), None, false);
            }
            for come in after.iter().filter(|new| !has(&before, new)) {
                let wider = !narrower && !among(walk, *come);
                walk.push(None, Some(come.value), wider);
            }
        });
    }

    /// Compares `allOf`: every old part must follow from a new one.
    fn all_of(&mut self, pair: Pair<'_>) {
        const KEY: &str = "allOf";
        let values = (pair.old.value.get(KEY), pair.new.value.get(KEY));
        let whole = pair.new;
        let (Some(before), Some(after)) = (branches(pair.old, KEY), branches(pair.new, KEY)) else {
            let follows = |old: Vec<Node<'_>>| old.into_iter().all(|old| self.implied(old, whole));
            let narrower =
                values.0.is_none() || (values.1.is_none() && branches(pair.old, KEY).is_some_and(follows));
            return self.within(KEY, |walk| walk.push(values.0, values.1, !narrower));
        };
        let follows = |walk: &Self, old: Node<'_>| after.iter().any(|new| walk.implied(old, *new));
        let narrower = before.iter().all(|old| follows(self, *old));
        self.within(KEY, |walk| {
            if before.len() == after.len() && !narrower {
                return walk.one_by_one(&before, &after);
            }
            let has = |all: &[Node<'_>], one: &Node<'_>| all.iter().any(|other| one.is_same(other));
            for gone in before.iter().filter(|old| !has(&after, old)) {
                let wider = !narrower && !follows(walk, *gone);
                walk.push(Some(gone.value), None, wider);
            }
            for come in after.iter().filter(|new| !has(&before, new)) {
                walk.push(None, Some(come.value), false);
            }
        });
    }

    /// Compares branches by their position.
    fn one_by_one(&mut self, old: &[Node<'_>], new: &[Node<'_>]) {
        for (at, (old, new)) in old.iter().zip(new).enumerate() {
            self.within(&at.to_string(), |walk| walk.schemas(*old, *new));
        }
    }
}

/// The schema of an item: its own, or the one for the rest.
fn at_item(side: Node<'_>, at: usize, has_own: bool) -> Option<Node<'_>> {
    if has_own { side.get("prefixItems")?.index(at) } else { side.get("items") }
}

/// The branches of a keyword; none when it is not a list.
fn branches<'s>(side: Node<'s>, key: &str) -> Option<Vec<Node<'s>>> {
    Some(side.value.get(key)?.as_array()?.iter().map(|branch| side.at(branch)).collect())
}
