//! What a verification of a journal found.
//!
//! Owns the kinds of faults and how many of them are kept. Must not know how they are found.

use serde::Serialize;

/// Most faults that are kept; further ones are counted. A journal that was exchanged as a whole would fill memory otherwise.
const FAULTS_MAX: usize = 1_000;

/// Most records that were written again that are kept.
const REPLACED_MAX: usize = 100;

/// What happened to an entry, or to what is derived from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Something in it is not what was written.
    Edited,
    /// It is not there, and retention did not remove it.
    Dropped,
    /// It is there, and was never written.
    Inserted,
    /// It stands at the place of another one.
    Reordered,
    /// A tile on disk is not that of the log.
    Tile,
    /// The log is not the one that a checkpoint is of.
    Checkpoint,
    /// A table, index, view or trigger of the database is another one, or its pages do not hold together.
    Schema,
    /// The key beside the journal cannot be used.
    Key,
}

impl FaultKind {
    /// As it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            FaultKind::Edited => "edited",
            FaultKind::Dropped => "dropped",
            FaultKind::Inserted => "inserted",
            FaultKind::Reordered => "reordered",
            FaultKind::Tile => "tile",
            FaultKind::Checkpoint => "checkpoint",
            FaultKind::Schema => "schema",
            FaultKind::Key => "key",
        }
    }
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What happened.
    pub kind: FaultKind,
    /// The number of the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The id of the record, or what else it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What is wrong with it.
    pub what: String,
}

/// A record that was written again under its id, with another content: by a program that wrote it twice, or by a forger who can
/// append to the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replaced {
    /// The id of the record.
    pub id: String,
    /// The number of the entry of what was there before.
    pub number: u64,
    /// The number of the entry of what is there now.
    pub by: u64,
}

/// A checkpoint that left the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Number of entries that it is of.
    pub size: u64,
    /// When.
    pub at_unix_ms: u64,
    /// Where to.
    pub to: String,
}

/// The entry with which the key of a log began to sign. What entries before it say of retention and exports has no signature that is
/// checked: it was what the key found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Begun {
    /// The number of the entry.
    pub number: u64,
    /// The name of the key.
    pub key: String,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Number of entries of the log.
    pub entries: u64,
    /// The root of all of them, in base64; none if it cannot be computed because entries are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// The first entries, about what was there before the log.
    pub before: u64,
    /// Entries whose records retention removed.
    pub removed: u64,
    /// Entries whose content retention erased.
    pub erased: u64,
    /// Calls that started and have not ended.
    pub open: u64,
    /// Records that a process owed and never wrote: the log tells of them.
    pub lost: u64,
    /// Records that processes which are gone did not write, and of which the log does not tell yet.
    pub owed: u64,
    /// Records from before the log that cannot be read: only their text is covered.
    pub unreadable: u64,
    /// Number of entries that the tiles on disk have; none without tiles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tiles: Option<u64>,
    /// The last checkpoint that left the machine, as the log says; none if none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exported: Option<Exported>,
    /// The entry with which the key of the log began to sign; none in a log that was signed from its first entry on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begun: Option<Begun>,
    /// The names of other keys than the one compared with, whose checkpoints left the machine, as the log says: a key was lost or
    /// replaced.
    pub other_keys: Vec<String>,
    /// Sizes of the given checkpoints that the log agrees with, ascending.
    pub agreed: Vec<u64>,
    /// Number of entries at the end that no given checkpoint covers.
    pub unprotected: u64,
    /// The first hundred records that were written again.
    pub replaced: Vec<Replaced>,
    /// Number of all records that were written again.
    pub replaced_count: u64,
    /// The first thousand faults.
    pub faults: Vec<Fault>,
    /// Number of all faults.
    pub faults_count: u64,
}

impl Verified {
    /// The number of the first entry that no given checkpoint covers.
    pub fn unprotected_from(&self) -> u64 {
        self.agreed.last().copied().unwrap_or(0)
    }

    /// Adds a record that was written again.
    pub(crate) fn replaced(&mut self, replaced: Replaced) {
        self.replaced_count += 1;
        if self.replaced.len() < REPLACED_MAX {
            self.replaced.push(replaced);
        }
    }

    /// In the order of their entries, and with what follows from the rest.
    pub(crate) fn sorted(mut self) -> Verified {
        self.faults.sort_by_key(|fault| (fault.number.is_none(), fault.number, fault.kind));
        self.unprotected = self.entries.saturating_sub(self.unprotected_from());
        self
    }

    /// Adds a fault.
    pub(crate) fn fault(
        &mut self,
        kind: FaultKind,
        number: Option<u64>,
        id: Option<&str>,
        what: impl Into<String>,
    ) {
        self.faults_count += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault { kind, number, id: id.map(str::to_owned), what: what.into() });
        }
    }
}
