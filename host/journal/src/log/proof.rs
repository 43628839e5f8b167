//! Proofs that can be checked without the journal: that an entry is in the log (C2SP tlog-proof), and that a log grew by
//! appending alone.

use std::fmt;

use data_encoding::BASE64;
use serde::{Serialize, Serializer};

use super::note::{Checkpoint, Note};
use super::tree::{self, Hash};

/// The first line of a proof.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// That an entry is in the log that a checkpoint is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The entry. It is the extra data of the proof.
    pub entry: String,
    /// Its place in the log.
    pub index: u64,
    /// The hashes beside its way to the root, from the leaf up.
    pub path: Vec<Hash>,
    /// The checkpoint.
    pub note: Note,
}

/// That the log of the old checkpoint is the beginning of that of the new one (RFC 6962, 2.1.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Consistency {
    /// Size and root of the smaller log.
    pub old: Size,
    /// Size and root of the larger log.
    pub new: Size,
    /// The hashes of the proof, in base64.
    #[serde(serialize_with = "as_base64")]
    pub path: Vec<Hash>,
}

/// A log at a size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Number of entries.
    pub size: u64,
    /// The root, in base64.
    pub root: String,
}

impl From<&Checkpoint> for Size {
    fn from(checkpoint: &Checkpoint) -> Size {
        Size { size: checkpoint.size, root: BASE64.encode(&checkpoint.root) }
    }
}

impl Proof {
    /// Whether it shows what it says. Who signed the checkpoint is a question of its own.
    pub fn holds(&self) -> bool {
        let Checkpoint { origin: _, size, root } = &self.note.checkpoint;
        let leaf = tree::leaf_hash(self.entry.as_bytes());
        tree::inclusion_holds(&leaf, self.index, *size, &self.path, root)
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Proof { entry, index, path, note } = self;
        writeln!(f, "{HEADER}\nextra {}\nindex {index}", BASE64.encode(entry.as_bytes()))?;
        path.iter().try_for_each(|hash| writeln!(f, "{}", BASE64.encode(hash)))?;
        write!(f, "\n{}", note.as_str())
    }
}

fn as_base64<S: Serializer>(hashes: &[Hash], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(hashes.iter().map(|hash| BASE64.encode(hash)))
}
