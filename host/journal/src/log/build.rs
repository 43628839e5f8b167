//! Building tiles: appends what the log has more than they do, and signs a checkpoint of it.
//!
//! In batches, whose memory is the same for each log. A crash leaves tiles behind the checkpoint, which are written again.

use super::edge::{Edge, TILE_HASHES};
use super::key::SigningKey;
use super::note::{Note, NoteError};
use super::tiles::{Lock, TileFault, Tiles};
use super::tree::Hash;

/// Leaves of one batch.
const BATCH: usize = 16 * TILE_HASHES;

/// Why no tiles are built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError<E> {
    /// The leaves cannot be read.
    #[error("{0}")]
    Leaves(E),
    /// A tile cannot be read or written.
    #[error("{0}; without its folder all tiles are built anew")]
    Tile(#[from] TileFault),
    /// The checkpoint beside them cannot be read.
    #[error("the checkpoint beside the tiles: {0}; without their folder all tiles are built anew")]
    Note(#[from] NoteError),
    /// Another key signed the checkpoint beside them.
    #[error(
        "the checkpoint in `{folder}` is signed by the key of `{origin}`, and the key beside the journal is {key}: it was lost or \
         replaced. Put the old one back; if it is lost, move the folder away, and later checkpoints are signed by the new one"
    )]
    Signer {
        /// Of the tiles.
        folder: String,
        /// The name of the log in the checkpoint.
        origin: String,
        /// The key that there is.
        key: String,
    },
    /// The log is not the one that they are of. They stay as they are: they say what it was.
    #[error(
        "the tiles in `{0}` are of another log than the database has now; `airlock journal verify` says what differs. After a \
         backup was put back, move the folder away"
    )]
    Other(String),
}

/// What there is to build from.
pub(crate) struct Source<'s, E> {
    /// Number of entries.
    pub(crate) size: u64,
    /// The leaves from a number on, at most this many.
    pub(crate) leaves: &'s mut dyn FnMut(u64, usize) -> Result<Vec<Hash>, E>,
}

/// Builds the tiles of a log, and the checkpoint of all that it has.
pub(crate) fn build<E>(
    tiles: &Tiles,
    _lock: &Lock,
    key: &SigningKey,
    source: &mut Source<'_, E>,
) -> Result<Note, BuildError<E>> {
    let (mut edge, note) = standing(tiles, key, source)?;
    if let Some(note) = note.filter(|note| note.checkpoint.size == source.size) {
        return Ok(note);
    }
    let place = |(level, index, hashes): (usize, u64, &[Hash])| (level, index, hashes.len());
    let before: Vec<_> = edge.partial().map(place).collect();
    while edge.size() < source.size {
        let count = usize::try_from(source.size - edge.size()).unwrap_or(BATCH).min(BATCH);
        let leaves = (source.leaves)(edge.size(), count).map_err(BuildError::Leaves)?;
        if leaves.len() != count {
            // An entry is missing.
            return Err(other(tiles));
        }
        for leaf in leaves {
            edge.push(leaf, |level, index, hashes| tiles.write(level, index, hashes))?;
        }
    }
    for (level, index, hashes) in edge.partial() {
        tiles.write(level, index, hashes)?;
    }
    let note = Note::sign(edge.size(), edge.root(), key);
    tiles.set_checkpoint(note.as_str())?;
    let after: Vec<_> = edge.partial().map(place).collect();
    for (level, index, width) in before.into_iter().filter(|place| !after.contains(place)) {
        tiles.remove(level, index, width);
    }
    Ok(note)
}

/// The right edge of what there is, and its checkpoint, if the log still begins with it.
fn standing<E>(
    tiles: &Tiles,
    key: &SigningKey,
    source: &mut Source<'_, E>,
) -> Result<(Edge, Option<Note>), BuildError<E>> {
    let Some(text) = tiles.checkpoint()? else { return Ok((Edge::default(), None)) };
    let note = match <[Note; 1]>::try_from(Note::read_all(&text)?) {
        Ok([note]) if note.is_signed_by(key.verifying()) => note,
        Ok([note]) if note.checkpoint.origin != key.verifying().name() => {
            let folder = tiles.folder().display().to_string();
            let (origin, key) = (note.checkpoint.origin, key.verifying().to_string());
            return Err(BuildError::Signer { folder, origin, key });
        }
        _ => return Err(other(tiles)),
    };
    let size = note.checkpoint.size;
    let edge = tiles.edge(size)?;
    if edge.root() != note.checkpoint.root || source.size < size {
        return Err(other(tiles));
    }
    // The leaves of the last tile: a database that was exchanged has others.
    if let Some(last) = size.checked_sub(1) {
        let index = last / TILE_HASHES as u64;
        let first = index * TILE_HASHES as u64;
        let width = (size - first) as usize;
        let leaves = (source.leaves)(first, width).map_err(BuildError::Leaves)?;
        if tiles.read(0, index, width)? != leaves {
            return Err(other(tiles));
        }
    }
    Ok((edge, Some(note)))
}

fn other<E>(tiles: &Tiles) -> BuildError<E> {
    BuildError::Other(tiles.folder().display().to_string())
}
