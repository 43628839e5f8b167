//! What differs between two grants, for a reviewer: added, removed, widened or narrowed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::super::written::quoted;
use super::super::{
    FilesGrant, Grants, HttpGrant, Values, clock, custom, files, http, keyvalue, modal, random, values,
};

/// The direction of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Turn {
    /// Nothing of it was granted before.
    Added,
    /// Nothing of it is granted any more.
    Removed,
    /// More is granted than before, or something else.
    Widened,
    /// Less is granted than before.
    Narrowed,
}

impl Turn {
    /// As it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Turn::Added => "added",
            Turn::Removed => "removed",
            Turn::Widened => "widened",
            Turn::Narrowed => "narrowed",
        }
    }

    /// Whether something is possible that was not.
    pub fn is_wider(self) -> bool {
        matches!(self, Turn::Added | Turn::Widened)
    }
}

/// One part that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The direction.
    pub turn: Turn,
    /// Where: `grants.http[https://api.example.com/v1]`.
    pub place: String,
    /// As it was written; none for a part that was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// As it is written now; none for a part that was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl Change {
    /// A part that was added or removed.
    pub fn of(
        place: String,
        before: Option<String>,
        after: Option<String>,
        is_within: bool,
    ) -> Option<Change> {
        let turn = match (&before, &after) {
            (None, None) => return None,
            (Some(before), Some(after)) if before == after => return None,
            (None, Some(_)) => Turn::Added,
            (Some(_), None) => Turn::Removed,
            (Some(_), Some(_)) if is_within => Turn::Narrowed,
            (Some(_), Some(_)) => Turn::Widened,
        };
        Some(Change { turn, place, before, after })
    }
}

impl Grants {
    /// What differs in a newer version, by capability.
    pub fn changes(&self, new: &Grants) -> Vec<Change> {
        // Destructured without `..`: a new capability does not compile until it is compared.
        let Grants { files, http, keyvalue, config, env, clock, random, custom } = self;
        let mut changes = Vec::new();
        let within_files = |one: &FilesGrant, all: &[FilesGrant]| all.iter().any(|old| one.is_within(old));
        changes.extend(entries(
            files::NAME,
            files,
            &new.files,
            |one| files::normal(&one.guest),
            // One folder has one spelling.
            |one| FilesGrant { guest: files::normal(&one.guest), ..one.clone() }.line(),
            within_files,
            FilesGrant::bounds_together,
        ));
        changes.extend(entries(
            http::NAME,
            http,
            &new.http,
            |one| one.extent().to_string(),
            HttpGrant::line,
            http::is_within,
            HttpGrant::bounds_together,
        ));
        let is_within =
            keyvalue.as_ref().zip(new.keyvalue.as_ref()).is_some_and(|(old, new)| new.is_within(old));
        let line = |grant: &Option<super::super::KeyvalueGrant>| grant.as_ref().map(|grant| grant.line());
        changes.extend(Change::of(
            format!("grants.{}", keyvalue::NAME),
            line(keyvalue),
            line(&new.keyvalue),
            is_within,
        ));
        changes.extend(pairs(values::CONFIG, config, &new.config));
        changes.extend(pairs(values::ENV, env, &new.env));
        let clocks = (written(*clock), written(new.clock));
        let is_within = modal::is_within(new.clock.mode(), clock.mode());
        changes.extend(Change::of(format!("grants.{}", clock::NAME), clocks.0, clocks.1, is_within));
        let randoms = (written(*random), written(new.random));
        let is_within = modal::is_within(new.random.mode(), random.mode());
        changes.extend(Change::of(format!("grants.{}", random::NAME), randoms.0, randoms.1, is_within));
        let granted = |table: &BTreeMap<String, bool>, name: &str| {
            (table.get(name) == Some(&true)).then(|| "true".to_owned())
        };
        let names: BTreeSet<&String> = custom.keys().chain(new.custom.keys()).collect();
        changes.extend(names.into_iter().filter_map(|name| {
            let place = format!("grants.{}.{name}", custom::TABLE);
            Change::of(place, granted(custom, name), granted(&new.custom, name), false)
        }));
        changes
    }
}

impl HttpGrant {
    /// Whether the bounds of these, of which each lies within the whole, are together no more than its own.
    fn bounds_together(parts: &[&HttpGrant], whole: &HttpGrant) -> bool {
        let sum = |of: fn(&HttpGrant) -> u64| parts.iter().map(|part| of(part)).fold(0, u64::saturating_add);
        sum(|one| one.requests_max.into()) <= whole.requests_max.into()
            && sum(|one| one.up_bytes_max) <= whole.up_bytes_max
            && sum(|one| one.down_bytes_max) <= whole.down_bytes_max
    }
}

impl FilesGrant {
    /// As [`HttpGrant::bounds_together`].
    fn bounds_together(parts: &[&FilesGrant], whole: &FilesGrant) -> bool {
        let Some(most) = whole.bounds() else { return true };
        let bounds = || parts.iter().filter_map(|part| part.bounds());
        bounds().map(|own| own.bytes_max).fold(0, u64::saturating_add) <= most.bytes_max
            && bounds().map(|own| own.files_max).fold(0, u32::saturating_add) <= most.files_max
    }
}

/// A mode as it is written; none where nothing is granted.
fn written<M: modal::Mode>(grant: super::super::ModeGrant<M>) -> Option<String> {
    // `true` and the mode that it stands for are the same.
    let mode = grant.mode()?;
    toml::Value::try_from(mode).ok().map(|value| value.to_string())
}

/// What differs between two lists. Entries are compared by their key; of several with one key the n-th with the n-th.
fn entries<T>(
    name: &str,
    old: &[T],
    new: &[T],
    key: impl Fn(&T) -> String,
    line: impl Fn(&T) -> String,
    is_within: impl Fn(&T, &[T]) -> bool,
    are_bounded: impl Fn(&[&T], &T) -> bool,
) -> Vec<Change> {
    let (old_keys, new_keys) = (keyed(old, &key), keyed(new, &key));
    let keys: BTreeSet<&(String, usize)> = old_keys.keys().chain(new_keys.keys()).collect();
    let gone: Vec<&T> =
        old_keys.iter().filter(|(key, _)| !new_keys.contains_key(*key)).map(|(_, entry)| *entry).collect();
    let came: Vec<&T> =
        new_keys.iter().filter(|(key, _)| !old_keys.contains_key(*key)).map(|(_, entry)| *entry).collect();
    let change = |at: &(String, usize)| {
        let (before, after) = (old_keys.get(at), new_keys.get(at));
        let place = format!("grants.{name}[{}]", at.0);
        let is_narrower = after.is_some_and(|after| is_within(after, old));
        let change = Change::of(place, before.map(|one| line(one)), after.map(|one| line(one)), is_narrower)?;
        // A new entry within one that is gone is what is left of it. Beside one that stays it adds its bounds.
        // Several have their bounds together: two parts may send twice as many requests as the whole.
        let is_of = |after: &T, gone: &&T| is_within(after, std::slice::from_ref(*gone));
        let is_left = |after: &T| {
            gone.iter().filter(|gone| is_of(after, gone)).any(|gone| {
                let parts: Vec<&T> = came.iter().filter(|part| is_of(part, gone)).copied().collect();
                are_bounded(&parts, gone)
            })
        };
        let is_rest = change.turn == Turn::Added && after.is_some_and(|after| is_left(after));
        Some(Change { turn: if is_rest { Turn::Narrowed } else { change.turn }, ..change })
    };
    keys.into_iter().filter_map(change).collect()
}

/// The entries of a list by their keys, of several with one key each with its number.
fn keyed<'t, T>(list: &'t [T], key: impl Fn(&T) -> String) -> BTreeMap<(String, usize), &'t T> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let number = |entry: &'t T| {
        let count = seen.entry(key(entry)).or_default();
        *count += 1;
        ((key(entry), *count - 1), entry)
    };
    list.iter().map(number).collect()
}

fn pairs(name: &str, old: &Values, new: &Values) -> Vec<Change> {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let change = |key: &String| {
        let text = |values: &Values| values.get(key).map(|value| quoted(value));
        Change::of(format!("grants.{name}.{key}"), text(old), text(new), false)
    };
    keys.into_iter().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(old: serde_json::Value, new: serde_json::Value, expect: &[(Turn, &str)]) {
        let read = |value| serde_json::from_value::<Grants>(value).unwrap();
        let (old, new) = (read(old), read(new));
        let found: Vec<(Turn, String)> =
            old.changes(&new).into_iter().map(|change| (change.turn, change.place)).collect();
        let expect: Vec<(Turn, String)> =
            expect.iter().map(|(turn, place)| (*turn, (*place).to_owned())).collect();
        assert_eq!(found, expect, "{old} and {new}");
        // Nothing that is no widening allows more.
        assert!(found.iter().any(|(turn, _)| turn.is_wider()) || new.is_within(&old), "{old} and {new}");
    }

    #[test]
    fn each_change_has_its_direction() {
        let http = |more: serde_json::Value| {
            let mut grant = json!({"host": "a.example"});
            grant.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"http": [grant]})
        };
        let place = "grants.http[https://a.example/]";
        check(json!({}), http(json!({})), &[(Turn::Added, place)]);
        check(http(json!({})), json!({}), &[(Turn::Removed, place)]);
        check(http(json!({})), http(json!({})), &[]);
        for more in [
            json!({"methods": ["GET", "HEAD", "POST"]}),
            json!({"requests_max": 33}),
            json!({"addresses": ["10.0.0.0/8"]}),
            json!({"headers": ["cookie"]}),
        ] {
            check(http(json!({})), http(more.clone()), &[(Turn::Widened, place)]);
            check(http(more), http(json!({})), &[(Turn::Narrowed, place)]);
        }
        // Something else is not less.
        check(
            http(json!({"methods": ["GET"]})),
            http(json!({"methods": ["POST"]})),
            &[(Turn::Widened, place)],
        );
    }

    #[test]
    fn what_lies_within_an_entry_that_is_gone_is_what_is_left_of_it() {
        check(
            json!({"http": [{"host": "*.x.example"}]}),
            json!({"http": [{"host": "a.x.example"}]}),
            &[
                (Turn::Removed, "grants.http[https://*.x.example/]"),
                (Turn::Narrowed, "grants.http[https://a.x.example/]"),
            ],
        );
        check(
            json!({"http": [{"host": "*.x.example"}]}),
            json!({"http": [{"host": "*.x.example"}, {"host": "a.x.example"}]}),
            &[(Turn::Added, "grants.http[https://a.x.example/]")],
        );
        // Parts have their bounds together.
        let part = |host: &str, requests: u32| json!({"host": host, "requests_max": requests, "up_bytes_max": 1, "down_bytes_max": 1});
        for (requests, turn) in [(16, Turn::Narrowed), (17, Turn::Added)] {
            check(
                json!({"http": [{"host": "*.x.example"}]}),
                json!({"http": [part("a.x.example", requests), part("b.x.example", 16)]}),
                &[
                    (Turn::Removed, "grants.http[https://*.x.example/]"),
                    (turn, "grants.http[https://a.x.example/]"),
                    (turn, "grants.http[https://b.x.example/]"),
                ],
            );
        }
        // The entry that is gone has nothing to do with the one that came.
        check(
            json!({"http": [{"host": "*.x.example"}, {"host": "b.example"}]}),
            json!({"http": [{"host": "*.x.example"}, {"host": "a.x.example"}]}),
            &[
                (Turn::Added, "grants.http[https://a.x.example/]"),
                (Turn::Removed, "grants.http[https://b.example/]"),
            ],
        );
    }

    #[test]
    fn folders_modes_and_values_have_a_direction_too() {
        let spelled = |guest: &str| json!({"files": [{"host": "d", "guest": guest}]});
        check(spelled("/data/"), spelled("/data"), &[]);
        let folder = |access: &str| json!({"files": [{"host": "d", "guest": "/d", "access": access}]});
        check(folder("read"), folder("read-write"), &[(Turn::Widened, "grants.files[/d]")]);
        check(folder("read-write"), folder("read"), &[(Turn::Narrowed, "grants.files[/d]")]);
        check(json!({"clock": true}), json!({"clock": "frozen"}), &[(Turn::Narrowed, "grants.clock")]);
        check(
            json!({"clock": "frozen"}),
            json!({"clock": {"coarse": "1s"}}),
            &[(Turn::Widened, "grants.clock")],
        );
        check(json!({"clock": true}), json!({"clock": "real"}), &[]);
        check(
            json!({"config": {"a": "1"}}),
            json!({"config": {"a": "2", "b": "1"}}),
            &[(Turn::Widened, "grants.config.a"), (Turn::Added, "grants.config.b")],
        );
        check(
            json!({"keyvalue": {"buckets": ["a"]}}),
            json!({"keyvalue": {"buckets": ["a", "b"]}}),
            &[(Turn::Widened, "grants.keyvalue")],
        );
        check(
            json!({"custom": {"outbox": false}}),
            json!({"custom": {"outbox": true}}),
            &[(Turn::Added, "grants.custom.outbox")],
        );
    }
}
