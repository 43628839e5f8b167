"""Checks proofs of a journal's log with pymerkle, and the way from entries to roots by the page docs/journal.md.

Its argument is a folder with `*.tlog-proof`, `old.txt` and `new.txt`, which are checkpoints, and `consistency.json`.
"""

import base64
import json
import pathlib
import sys

from pymerkle import InmemoryTree, verify_consistency, verify_inclusion
from pymerkle.core import _inclusion_path_layout
from pymerkle.proof import InclusionProof

folder = pathlib.Path(sys.argv[1])


def checkpoint(text):
    _, size, root = text.split("\n\n")[0].split("\n")[:3]
    return int(size), base64.b64decode(root)


tree, count = InmemoryTree(algorithm="sha256"), 0
proofs = sorted(folder.glob("*.tlog-proof"), key=lambda path: int(path.stem))
for path in proofs:
    head, note = path.read_text().split("\n\n", 1)
    version, extra, index, *hashes = head.split("\n")
    assert version == "c2sp.org/tlog-proof@v1", version
    entry = base64.b64decode(extra.removeprefix("extra "))
    index = int(index.removeprefix("index "))
    assert json.loads(entry)["number"] == index == count
    size, root = checkpoint(note)
    tree.append_entry(entry)
    leaf = tree.get_leaf(index + 1)
    # The form of pymerkle: places count from one, and the leaf is the first hash.
    rule, _ = _inclusion_path_layout(index + 1, size)
    hashes = [leaf] + [base64.b64decode(text) for text in hashes]
    verify_inclusion(leaf, root, InclusionProof("sha256", True, size, index + 1, rule, hashes), index + 1, size)
    count += 1

old, new = (checkpoint((folder / name).read_text()) for name in ("old.txt", "new.txt"))
assert count == new[0], (count, new)
assert (tree.get_root(old[0]), tree.get_root(new[0])) == (old[1], new[1])
theirs = tree.prove_consistency(old[0], new[0])
verify_consistency(old[1], new[1], theirs, old[0], new[0])
ours = json.loads((folder / "consistency.json").read_text())
assert {base64.b64decode(text) for text in ours["path"]} == set(theirs.path)
print(f"{count} inclusion proofs and 1 consistency proof hold")
