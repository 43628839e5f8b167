//! The Merkle tree of RFC 6962: hashes of leaves and nodes, and the nodes of which proofs consist.
//!
//! Pure: where a node comes from is the caller's. A node of level `l` and index `i` covers the leaves from `i << l` to
//! `(i + 1) << l`.

use airlock_types::digest::sha256_of;

/// SHA-256.
pub type Hash = [u8; 32];

/// The hash of a leaf.
pub(crate) fn leaf_hash(entry: &[u8]) -> Hash {
    sha256_of(&[&[0], entry])
}

/// The hash of a node.
pub(crate) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256_of(&[&[1], left, right])
}

/// The root of no leaves.
pub(crate) fn empty_root() -> Hash {
    sha256_of(&[])
}

/// The root of nodes of one level, of which there is at least one.
pub(crate) fn root_of(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => empty_root(),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(half(many.len() as u64) as usize);
            node_hash(&root_of(left), &root_of(right))
        }
    }
}

/// The greatest power of two below a size of at least 2: the leaves of the left subtree.
fn half(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// Where nodes come from.
pub(crate) type Nodes<'n, E> = dyn FnMut(u32, u64) -> Result<Hash, E> + 'n;

/// The root of the leaves from `first` to before `end`, of which there is at least one.
pub(crate) fn range<E>(first: u64, end: u64, nodes: &mut Nodes<'_, E>) -> Result<Hash, E> {
    let size = end - first;
    if size.is_power_of_two() && first.is_multiple_of(size) {
        let level = size.ilog2();
        return nodes(level, first >> level);
    }
    let middle = first + half(size);
    Ok(node_hash(&range(first, middle, nodes)?, &range(middle, end, nodes)?))
}

/// The inclusion proof of a leaf in the tree of this size, from the leaf's sibling up (RFC 6962, 2.1.1).
pub(crate) fn inclusion<E>(leaf: u64, size: u64, nodes: &mut Nodes<'_, E>) -> Result<Vec<Hash>, E> {
    let (mut first, mut end) = (0, size);
    let mut path = Vec::new();
    while end - first > 1 {
        let middle = first + half(end - first);
        if leaf < middle {
            path.push(range(middle, end, nodes)?);
            end = middle;
        } else {
            path.push(range(first, middle, nodes)?);
            first = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The consistency proof between the trees of two sizes, neither of them empty (RFC 6962, 2.1.2).
pub(crate) fn consistency<E>(old: u64, new: u64, nodes: &mut Nodes<'_, E>) -> Result<Vec<Hash>, E> {
    let (mut first, mut end) = (0, new);
    let mut path = Vec::new();
    // Until the old tree ends where the subtree ends.
    while old < end {
        let middle = first + half(end - first);
        if old <= middle {
            path.push(range(middle, end, nodes)?);
            end = middle;
        } else {
            path.push(range(first, middle, nodes)?);
            first = middle;
        }
    }
    // The root of the old tree itself is known to whoever checks.
    if first > 0 {
        path.push(range(first, end, nodes)?);
    }
    path.reverse();
    Ok(path)
}

/// Whether a proof shows that a leaf is in the tree with this root (RFC 9162, 2.1.3.2).
pub fn inclusion_holds(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // Up to where this subtree is a right one.
            let up = if node & 1 == 1 { 0 } else { node.trailing_zeros() };
            (node, last) = (node >> up, last >> up);
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

#[cfg(test)]
mod tests;
