//! Roots and proofs against `ct-merkle`, which nobody here wrote, and the tiles from which proofs are made.

use std::convert::Infallible;

use ct_merkle::digest::Output;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use sha2::Sha256;

use super::*;
use crate::log::Edge;

/// Sizes around the powers of two and around a full tile.
const SIZES: [u64; 19] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 100, 255, 256, 257, 300, 515];

fn entry(number: u64) -> Vec<u8> {
    format!("entry {number}").into_bytes()
}

fn leaf(number: u64) -> Hash {
    leaf_hash(&entry(number))
}

/// A node, from its leaves.
fn nodes(level: u32, index: u64) -> Result<Hash, Infallible> {
    let leaves: Vec<Hash> = (index << level..(index + 1) << level).map(leaf).collect();
    Ok(root_of(&leaves))
}

fn root(size: u64) -> Hash {
    let mut edge = Edge::default();
    (0..size).for_each(|number| edge.push(leaf(number), |_, _, _| Ok::<_, Infallible>(())).unwrap());
    edge.root()
}

fn digests(path: &[Hash]) -> Vec<Output<Sha256>> {
    path.iter().map(|hash| (*hash).into()).collect()
}

fn their_root(size: u64) -> RootHash<Sha256> {
    RootHash::new(root(size).into(), size)
}

#[test]
fn roots_are_those_of_ct_merkle() {
    let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    assert_eq!(root(0), empty_root());
    for number in 0..600 {
        theirs.push(entry(number));
        if SIZES.contains(&(number + 1)) || number == 599 {
            assert_eq!(theirs.root().as_bytes()[..], root(number + 1), "{number}");
        }
    }
}

#[test]
fn inclusion_proofs_hold_here_and_in_ct_merkle() {
    for size in SIZES {
        let (ours, theirs) = (root(size), their_root(size));
        for index in (0..size).filter(|index| size < 40 || index % 37 == 0 || size - index < 3) {
            let path = inclusion(index, size, &mut nodes).unwrap();
            assert!(inclusion_holds(&leaf(index), index, size, &path, &ours), "{index} of {size}");
            let proof = InclusionProof::from_digests(&digests(&path));
            theirs.verify_inclusion(&entry(index), index, &proof).unwrap();
            // Another leaf, another place and another path do not hold.
            assert!(!inclusion_holds(&leaf(index + 1), index, size, &path, &ours));
            assert!(!inclusion_holds(&leaf(index), index + 1, size, &path, &ours) || size == 1);
            if let Some((_, shorter)) = path.split_last() {
                assert!(!inclusion_holds(&leaf(index), index, size, shorter, &ours));
            }
        }
    }
}

#[test]
fn consistency_proofs_hold_in_ct_merkle() {
    for new in SIZES {
        for old in (1..=new).filter(|old| new < 40 || old % 29 == 0 || SIZES.contains(old)) {
            let path = consistency(old, new, &mut nodes).unwrap();
            let proof = ConsistencyProof::from_digests(&digests(&path));
            their_root(new).verify_consistency(&their_root(old), &proof).unwrap();
            if old < new {
                let other = RootHash::new([7; 32].into(), old);
                assert!(their_root(new).verify_consistency(&other, &proof).is_err(), "{old} {new}");
            }
        }
    }
}
