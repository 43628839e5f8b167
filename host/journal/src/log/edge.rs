//! The right edge of a tree, to which leaves are appended: for each level of tiles the hashes of the last tile.

use super::tree::{self, Hash};

/// Hashes of a full tile.
pub(crate) const TILE_HASHES: usize = 256;

/// Levels of the tree that one tile spans.
pub(crate) const TILE_LEVELS: u32 = 8;

/// The right edge of a tree. Two kilobytes for each 256 of the levels: its size does not grow with the tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edge {
    size: u64,
    /// Of each level of tiles, the lowest first: the hashes of the last tile, which is not full.
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// The edge of a tree of this size, whose partial tiles these are.
    pub(crate) fn new(size: u64, levels: Vec<Vec<Hash>>) -> Edge {
        Edge { size, levels }
    }

    /// Number of leaves.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf. `full` gets each tile that is full by it: level, index, and hashes.
    pub(crate) fn push<E>(
        &mut self,
        leaf: Hash,
        mut full: impl FnMut(usize, u64, &[Hash]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.size += 1;
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::with_capacity(TILE_HASHES));
            }
            let hashes = &mut self.levels[level];
            hashes.push(hash);
            if hashes.len() < TILE_HASHES {
                break;
            }
            full(level, (self.size >> (TILE_LEVELS * (level as u32 + 1))) - 1, hashes)?;
            hash = tree::root_of(hashes);
            hashes.clear();
        }
        Ok(())
    }

    /// The tiles that are not full and not empty: level, index, and hashes.
    pub(crate) fn partial(&self) -> impl Iterator<Item = (usize, u64, &[Hash])> {
        let levels = self.levels.iter().enumerate().filter(|(_, hashes)| !hashes.is_empty());
        levels.map(|(level, hashes)| {
            (level, self.size >> (TILE_LEVELS * (level as u32 + 1)), hashes.as_slice())
        })
    }

    /// The root of the tree.
    pub(crate) fn root(&self) -> Hash {
        let mut root: Option<Hash> = None;
        for hashes in &self.levels {
            let mut rest = hashes.as_slice();
            // The subtrees from right to left: the smallest one is the last.
            while !rest.is_empty() {
                let (before, last) = rest.split_at(rest.len() - (1 << rest.len().trailing_zeros()));
                let hash = tree::root_of(last);
                root = Some(root.map_or(hash, |right| tree::node_hash(&hash, &right)));
                rest = before;
            }
        }
        root.unwrap_or_else(tree::empty_root)
    }
}
