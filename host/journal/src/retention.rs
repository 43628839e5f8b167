//! What retention keeps of records, and what it removed.
//!
//! Owns the rules of one tool and their order. Must not know where rules are written, nor how records are stored.

use serde::Serialize;

/// What is kept of the records of one tool. `None` keeps everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Age from which a record is removed, in milliseconds.
    pub record_ms: Option<u64>,
    /// Age from which what the caller and the tool said is erased from a record, in milliseconds.
    pub payload_ms: Option<u64>,
    /// Bytes of all records of the tool. The oldest ones above it are removed.
    pub bytes_max: Option<u64>,
}

/// The rules, by the name of the tool that was called, which may be made up.
pub type Rules<'r> = dyn Fn(&str) -> Keep + 'r;

/// What made room in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// `airlock journal prune`.
    Command,
    /// The rules, applied by a server.
    Server,
    /// The bound of the whole journal.
    Space,
}

/// What was erased and removed. It is an entry of the journal itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pruned {
    // In the order of their names: the stored text is canonical JSON (RFC 8785).
    /// What made room.
    pub by: By,
    /// Records of which the head is left.
    pub erased: u64,
    /// The smallest id among both. Ids begin with their time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// The greatest id among both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// Records of which nothing is left.
    pub removed: u64,
}

impl Keep {
    /// Whether everything is kept.
    pub(crate) fn is_all(&self) -> bool {
        *self == Keep::default()
    }
}

impl Pruned {
    /// Nothing yet.
    pub(crate) fn none(by: By) -> Pruned {
        Pruned { by, erased: 0, first: None, last: None, removed: 0 }
    }

    /// Adds what a further step erased and removed.
    pub(crate) fn add(&mut self, step: &Pruned) {
        let Pruned { by: _, erased, first, last, removed } = step;
        self.erased += erased;
        self.removed += removed;
        [first, last].into_iter().flatten().for_each(|id| self.span(id));
    }

    /// Counts a record that was removed.
    pub(crate) fn remove(&mut self, id: &str) {
        self.removed += 1;
        self.span(id);
    }

    /// Counts a record of which the head is left.
    pub(crate) fn erase(&mut self, id: &str) {
        self.erased += 1;
        self.span(id);
    }

    /// Whether nothing was erased or removed.
    pub fn is_none(&self) -> bool {
        self.erased + self.removed == 0
    }

    fn span(&mut self, id: &str) {
        if self.first.as_deref().is_none_or(|first| id < first) {
            self.first = Some(id.to_owned());
        }
        if self.last.as_deref().is_none_or(|last| id > last) {
            self.last = Some(id.to_owned());
        }
    }
}
