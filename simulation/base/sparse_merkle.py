"""A sparse Merkle map: digests under 256-bit paths, one root, proofs of presence and of absence.

The map is a binary tree of depth 256 in which a path's bits, first to last, lead from the root to
its leaf. A subtree without leaves is `EMPTY`, a subtree with one leaf *is* that leaf, and every
other subtree is the hash of its halves:

    leaf = TH(state, 0x00 ‖ path ‖ value)        node = TH(state, 0x01 ‖ left ‖ right)

So the shape, and with it the root, depends on nothing but what the map holds; about log2(n) hashes
are made for a change, and a proof has about log2(n) siblings.

Trees are values: `update` makes a new one that shares every untouched subtree with the old. Copies
that agree share one tree, and keeping an old one costs only what has changed since.

Source: Dahlberg, Pulls & Peeters, NordSec 2016 (sparse Merkle trees, proofs of absence); Gao, Hu &
Wu 2021, Jellyfish Merkle Tree (subtrees with one leaf).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Union

from simulation.base.digest import DIGEST_BYTES, Digest, Tag, tagged_hash

EMPTY: Digest = bytes(DIGEST_BYTES)
"""The digest of a subtree without leaves; nobody knows anything that hashes to it."""
DEPTH = 8 * DIGEST_BYTES
_LEAF, _NODE = b"\x00", b"\x01"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One entry."""

    path: Digest
    value: Digest
    digest: Digest


@dataclass(frozen=True, slots=True)
class Branch:
    """Two halves with two or more leaves below them."""

    left: Tree
    right: Tree
    digest: Digest


Tree = Union[Leaf, Branch, None]
"""A map; None is the empty one."""


@dataclass(frozen=True, slots=True)
class MapProof:
    """Where the way down along a path ends, and the siblings that it passes."""

    siblings: tuple[Digest, ...]
    """From the root down."""
    end: tuple[Digest, Digest] | None
    """Path and value of the leaf at the end; None where the subtree there is empty."""


def root_of(tree: Tree) -> Digest:
    """The root of a map."""
    return EMPTY if tree is None else tree.digest


def update(tree: Tree, changes: Mapping[Digest, Digest | None]) -> Tree:
    """The map with these values at these paths of 32 bytes; None removes what is there."""
    return _merge(tree, sorted(changes.items()), 0)


def prove(tree: Tree, path: Digest) -> MapProof:
    """Proof of what is at a path, or that nothing is."""
    siblings: list[Digest] = []
    while isinstance(tree, Branch):
        if _bit(path, len(siblings)):
            near, far = tree.right, tree.left
        else:
            near, far = tree.left, tree.right
        siblings.append(root_of(far))
        tree = near
    return MapProof(tuple(siblings), None if tree is None else (tree.path, tree.value))


def is_proven(root: Digest, path: Digest, value: Digest | None, proof: MapProof) -> bool:
    """Whether the proof shows that the map of this root has ``value`` at ``path``; None: nothing.

    Total: a proof of any shape is judged, never an exception.
    """
    depth = len(proof.siblings)
    if depth > DEPTH or any(len(item) != DIGEST_BYTES for item in (path, *proof.siblings)):
        return False
    if proof.end is None:
        shown, current = None, EMPTY
    else:
        end_path, end_value = proof.end
        if len(end_path) != DIGEST_BYTES or len(end_value) != DIGEST_BYTES:
            return False
        # A leaf elsewhere shows absence only where the way to it is the way to the path.
        if any(_bit(end_path, i) != _bit(path, i) for i in range(depth)):
            return False
        shown = end_value if end_path == path else None
        current = _leaf(end_path, end_value).digest
    if shown != value:
        return False
    for i in reversed(range(depth)):
        sibling = proof.siblings[i]
        pair = (sibling, current) if _bit(path, i) else (current, sibling)
        current = _node_digest(*pair)
    return current == root


# ---- the tree -----------------------------------------------------------------------------------


def _merge(tree: Tree, changes: Sequence[tuple[Digest, Digest | None]], depth: int) -> Tree:
    """A subtree with sorted changes that all belong below it."""
    if not changes:
        return tree
    if isinstance(tree, Branch):
        middle = _split([path for path, _ in changes], depth)
        left = _merge(tree.left, changes[:middle], depth + 1)
        right = _merge(tree.right, changes[middle:], depth + 1)
        return _joined(left, right)
    leaves = {} if tree is None else {tree.path: tree}
    for path, value in changes:
        if value is None:
            leaves.pop(path, None)
        else:
            leaves[path] = _leaf(path, value)
    return _built([leaves[path] for path in sorted(leaves)], depth)


def _built(leaves: Sequence[Leaf], depth: int) -> Tree:
    """The subtree of sorted leaves."""
    if len(leaves) < 2:
        return leaves[0] if leaves else None
    middle = _split([leaf.path for leaf in leaves], depth)
    return _joined(_built(leaves[:middle], depth + 1), _built(leaves[middle:], depth + 1))


def _joined(left: Tree, right: Tree) -> Tree:
    """Two halves as one subtree: nothing, one leaf, or a branch."""
    if right is None and not isinstance(left, Branch):
        return left
    if left is None and not isinstance(right, Branch):
        return right
    return Branch(left, right, _node_digest(root_of(left), root_of(right)))


def _leaf(path: Digest, value: Digest) -> Leaf:
    return Leaf(path, value, tagged_hash(Tag.STATE, _LEAF, path, value))


def _node_digest(left: Digest, right: Digest) -> Digest:
    return tagged_hash(Tag.STATE, _NODE, left, right)


def _split(paths: Sequence[Digest], depth: int) -> int:
    """How many of the sorted paths, which agree in all bits before, have a 0 at ``depth``."""
    return bisect_left(paths, 1, key=lambda path: _bit(path, depth))


def _bit(path: Digest, depth: int) -> int:
    return path[depth >> 3] >> (7 - (depth & 7)) & 1
