//! The log over everything in the journal: a Merkle tree of RFC 6962, whose root commits to every entry and their order.
//!
//! Owns the bytes of an entry, the tree with its proofs, the tiles on disk, signed checkpoints, and what is signed
//! of single entries. The entries themselves are
//! rows of the database, which `store` owns. Must not know SQL, nor what a record says. `docs/journal.md` has the format.

mod build;
mod edge;
mod entry;
mod key;
mod note;
mod proof;
mod ranges;
mod signed;
mod tiles;
mod tree;

use std::path::{Path, PathBuf};

pub(crate) use build::{BuildError, Source, build};
pub(crate) use edge::Edge;
pub(crate) use entry::{Entry, Kind};
pub use key::{KeyError, SigningKey, VerifyingKey};
pub use note::{Checkpoint, Note, NoteError};
pub use proof::{Consistency, Proof};
pub(crate) use ranges::Ranges;
pub(crate) use signed::{Signed, sign, signed};
pub(crate) use tiles::{Lock, TileFault, Tiles};
pub use tree::{Hash, inclusion_holds};
pub(crate) use tree::{consistency, inclusion, range};

/// What the name of a journal's folder of tiles has behind that of the database.
pub(crate) const TILES_SUFFIX: &str = "-log";

/// What the name of the file of the key has behind that of the database.
const KEY_SUFFIX: &str = "-log-key";

/// The file of the key of a database.
pub fn key_path(journal: &Path) -> PathBuf {
    let mut path = journal.as_os_str().to_owned();
    path.push(KEY_SUFFIX);
    path.into()
}
