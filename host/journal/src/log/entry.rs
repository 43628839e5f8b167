//! One entry of the log: the bytes that its leaf is the hash of.

use serde::{Serialize, Serializer};

use super::tree::{self, Hash};
use airlock_types::digest::hex;

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// The first entry of a journal that is older than its log: which entries behind it are about rows that were there.
    Before,
    /// The record of a call that only read.
    Call,
    /// The record of a call that could have effects.
    Effect,
    /// A call with effects is about to start.
    Intent,
    /// The call of an intent did not start after all.
    Withdrawn,
    /// A grade of a call.
    Grade,
    /// Records were erased or removed.
    Prune,
    /// Records that a process owed and never wrote.
    Gap,
    /// A checkpoint was exported.
    Checkpoint,
    /// The key of the log began to sign entries: what the log was then.
    Key,
}

impl Kind {
    const ALL: [Kind; 10] = [
        Kind::Before,
        Kind::Call,
        Kind::Effect,
        Kind::Intent,
        Kind::Withdrawn,
        Kind::Grade,
        Kind::Prune,
        Kind::Gap,
        Kind::Checkpoint,
        Kind::Key,
    ];

    /// As it is stored.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Before => "before",
            Kind::Call => "call",
            Kind::Effect => "effect",
            Kind::Intent => "intent",
            Kind::Withdrawn => "withdrawn",
            Kind::Grade => "grade",
            Kind::Prune => "prune",
            Kind::Gap => "gap",
            Kind::Checkpoint => "checkpoint",
            Kind::Key => "key",
        }
    }

    /// Whether an entry of this kind can end one of the other kind about the same id.
    pub(crate) fn may_end(self, other: Kind) -> bool {
        match self {
            Kind::Call => other == Kind::Call,
            Kind::Effect => matches!(other, Kind::Effect | Kind::Intent),
            Kind::Intent | Kind::Withdrawn => other == Kind::Intent,
            Kind::Before | Kind::Grade | Kind::Prune | Kind::Gap | Kind::Checkpoint | Kind::Key => false,
        }
    }

    /// The kind of this name.
    pub(crate) fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// An entry without what it commits to. Its fields are in the order of their names: its text is canonical JSON (RFC 8785).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Entry<'e> {
    /// Numbers of earlier entries whose rows this one replaced or ended.
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    pub(crate) ends: &'e [u64],
    /// SHA-256 of what stays when retention erases.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_hex")]
    pub(crate) head: Option<Hash>,
    /// What it is about: the id of a call, behind which `/grade/` and a number follow for a grade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<&'e str>,
    pub(crate) kind: Kind,
    /// Its place in the log, from 0.
    pub(crate) number: u64,
    /// SHA-256 of a salt and of all that was written.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_hex")]
    pub(crate) payload: Option<Hash>,
}

impl Entry<'_> {
    /// Its bytes, as text.
    pub(crate) fn text(&self) -> String {
        // Strings, numbers and lists of numbers: what serialization never fails for.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The hash of its leaf.
    pub(crate) fn leaf(&self) -> Hash {
        tree::leaf_hash(self.text().as_bytes())
    }
}

fn as_hex<S: Serializer>(hash: &Option<Hash>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hash.map_or_else(String::new, |hash| hex(&hash)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_canonical_json() {
        let all = Entry {
            ends: &[3, 4],
            head: Some([1; 32]),
            id: Some("a\"\u{1}é"),
            kind: Kind::Effect,
            number: 7,
            payload: Some([0xff; 32]),
        };
        let none = Entry { ends: &[], head: None, id: None, kind: Kind::Gap, number: 0, payload: None };
        for (entry, expected) in [
            (
                all,
                format!(
                    r#"{{"ends":[3,4],"head":"{}","id":"a\"\u0001é","kind":"effect","number":7,"payload":"{}"}}"#,
                    "01".repeat(32),
                    "ff".repeat(32)
                ),
            ),
            (none, r#"{"kind":"gap","number":0}"#.to_owned()),
        ] {
            assert_eq!(entry.text(), expected);
        }
    }

    #[test]
    fn a_kind_has_one_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!(Kind::named("other"), None);
    }
}
