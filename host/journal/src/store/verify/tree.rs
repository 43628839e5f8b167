//! The tree over the leaves as they are found, compared with the tiles on disk and with checkpoints.

use super::signature::WithRoot;
use super::{Against, CHUNK, base64};
use crate::evidence::{Begun, FaultKind, Verified};
use crate::log::{Checkpoint, Edge, Hash, Note, TileFault, Tiles, VerifyingKey};

/// The tree as it grows.
pub(super) struct Tree<'t> {
    /// None once a leaf is missing that no tile has.
    edge: Option<Edge>,
    tiles: Option<(&'t Tiles, u64)>,
    /// The checkpoints that are still ahead, the largest first.
    ahead: Vec<Ahead>,
    /// Size of the last checkpoint that the log agreed with.
    agreed: u64,
}

/// A checkpoint that the tree has not reached.
struct Ahead {
    /// What it is called.
    name: String,
    size: u64,
    root: Hash,
    /// Whether it was kept elsewhere. The one beside the tiles protects nothing against whoever writes there.
    is_kept: bool,
}

impl Ahead {
    fn of(name: String, note: &Note, is_kept: bool) -> Ahead {
        let Checkpoint { origin: _, size, root } = &note.checkpoint;
        Ahead { name, size: *size, root: *root, is_kept }
    }
}

impl<'t> Tree<'t> {
    pub(super) fn new(against: &Against<'t>, begun: Option<WithRoot>, report: &mut Verified) -> Tree<'t> {
        let Against { tiles, since, key, keys: _, unusable: _, misplaced: _ } = against;
        let mut ahead = Vec::new();
        for note in *since {
            let name = format!("the checkpoint of {} entries", note.checkpoint.size);
            signature(&name, note, *key, report);
            ahead.push(Ahead::of(name, note, true));
        }
        if let Some((Begun { number, key: _ }, Some(root))) = begun {
            let name = format!("entry {number}, with which the key of the log began to sign,");
            ahead.push(Ahead { name, size: number, root, is_kept: false });
        }
        let mut sized = None;
        if let Some(tiles) = tiles {
            match local(tiles) {
                Ok(None) => {}
                Ok(Some(note)) => {
                    sized = Some((*tiles, note.checkpoint.size));
                    report.tiles = Some(note.checkpoint.size);
                    let name = format!("`{}`", tiles.folder().join("checkpoint").display());
                    signature(&name, &note, *key, report);
                    ahead.push(Ahead::of(name, &note, false));
                }
                Err(what) => report.fault(FaultKind::Tile, None, None, what),
            }
        }
        ahead.sort_by_key(|ahead| std::cmp::Reverse(ahead.size));
        Tree { edge: Some(Edge::default()), tiles: sized, ahead, agreed: 0 }
    }

    /// Appends the leaves of one tile, `None` for each that is missing.
    pub(super) fn append(&mut self, first: u64, leaves: &[Option<Hash>], report: &mut Verified) {
        let index = first / CHUNK;
        let width = self.tiles.map_or(0, |(_, size)| size.saturating_sub(first).min(CHUNK) as usize);
        let tile = match self.tiles {
            Some((tiles, _)) if width > 0 => tiles.read(0, index, width).map_err(|err| missing(&err, report)),
            Some(_) | None => Err(()),
        }
        .unwrap_or_default();
        for (at, leaf) in leaves.iter().enumerate() {
            let number = first + at as u64;
            self.agree(report);
            match (leaf, tile.get(at)) {
                (Some(leaf), Some(tiled)) if leaf != tiled => {
                    let what =
                        "it is not the one of which the tile on disk has the leaf: one of both was changed";
                    report.fault(FaultKind::Edited, Some(number), None, what);
                }
                (Some(_) | None, _) => {}
            }
            match leaf.or(tile.get(at).copied()) {
                Some(leaf) => self.push(leaf, report),
                None => self.edge = None,
            }
        }
        self.agree(report);
    }

    fn push(&mut self, leaf: Hash, report: &mut Verified) {
        let Some(edge) = &mut self.edge else { return };
        let tiles = self.tiles;
        let pushed = edge.push(leaf, |level, index, hashes| {
            // The leaves themselves were compared one by one.
            if let Some((tiles, size)) = tiles
                && level > 0
                && (index + 1) << (8 * (level + 1)) <= size
            {
                compare(tiles, level, index, hashes, report);
            }
            Ok::<_, std::convert::Infallible>(())
        });
        pushed.unwrap_or_else(|never| match never {});
    }

    /// Compares the tree with the checkpoints and the partial tiles of its size.
    fn agree(&mut self, report: &mut Verified) {
        let Some(edge) = &self.edge else { return };
        if let Some((tiles, size)) = self.tiles
            && size == edge.size()
        {
            let partial = edge.partial().filter(|(level, _, _)| *level > 0);
            partial.for_each(|(level, index, hashes)| compare(tiles, level, index, hashes, report));
            // Once.
            self.tiles = self.tiles.filter(|_| false);
        }
        while let Some(ahead) = self.ahead.pop_if(|ahead| ahead.size <= edge.size()) {
            let Ahead { name, size, root, is_kept } = ahead;
            if root == edge.root() {
                self.agreed = size;
                report.agreed.extend(is_kept.then_some(size));
                continue;
            }
            let what = format!(
                "the first {size} entries are not those that {name} is of: one of the entries from {} to {} was changed",
                self.agreed,
                size.saturating_sub(1)
            );
            report.fault(FaultKind::Checkpoint, None, None, what);
        }
    }

    /// Tells of the checkpoints that the log does not reach.
    pub(super) fn end(mut self, report: &mut Verified) {
        self.agree(report);
        report.root = self.edge.as_ref().map(|edge| base64(&edge.root()));
        let entries = report.entries;
        for Ahead { name, size, root: _, is_kept: _ } in self.ahead.into_iter().rev() {
            if size > entries {
                let what = format!(
                    "{name} is of {size} entries, and the log has {entries}: the entries from {entries} to {} were cut off its \
                     end",
                    size - 1
                );
                report.fault(FaultKind::Dropped, Some(entries), None, what);
            } else {
                let what = format!("the log cannot be compared with {name}, because entries are missing");
                report.fault(FaultKind::Checkpoint, None, None, what);
            }
        }
    }
}

/// The checkpoint beside the tiles.
fn local(tiles: &Tiles) -> Result<Option<Note>, String> {
    let Some(text) = tiles.checkpoint().map_err(|err| err.to_string())? else { return Ok(None) };
    let path = tiles.folder().join("checkpoint");
    let notes = Note::read_all(&text).map_err(|err| format!("`{}`: {err}", path.display()))?;
    match <[Note; 1]>::try_from(notes) {
        Ok([note]) if note.as_str() == text => Ok(Some(note)),
        _ => Err(format!("`{}` is not one checkpoint", path.display())),
    }
}

fn signature(name: &str, note: &Note, key: Option<&VerifyingKey>, report: &mut Verified) {
    let what = match key {
        None => format!(
            "{name} cannot be checked: the key of checkpoints is missing or unusable, and none is given"
        ),
        Some(key) if note.is_signed_by(key) && note.checkpoint.origin == key.name() => return,
        Some(key) if note.checkpoint.origin != key.name() => format!(
            "{name} is not signed by the key {key}, but is of the log `{}`: another key was in its place then, or this is another log",
            note.checkpoint.origin
        ),
        Some(key) => format!("{name} is not signed by the key {key}"),
    };
    report.fault(FaultKind::Checkpoint, None, None, what);
}

fn compare(tiles: &Tiles, level: usize, index: u64, hashes: &[Hash], report: &mut Verified) {
    match tiles.read(level, index, hashes.len()) {
        Ok(found) if found == hashes => {}
        Ok(_) => {
            let what = format!("the tile {index} of level {level} on disk is not that of the log");
            report.fault(FaultKind::Tile, None, None, what);
        }
        Err(err) => missing(&err, report),
    }
}

fn missing(err: &TileFault, report: &mut Verified) {
    report.fault(FaultKind::Tile, None, None, err.to_string());
}
