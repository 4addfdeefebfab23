"""RFC 6962 Merkle trees: roots and inclusion proofs.

Leaves are hashed with a 0x00 prefix and nodes with 0x01, so a leaf can never pass for a node; the
tree splits at the largest power of two below its size and never duplicates a leaf, so two different
lists never share a root. Source: RFC 6962 §2.1 (trees), RFC 9162 §2.1.3 (verification).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from simulation.base.digest import DIGEST_BYTES, Digest

EMPTY_ROOT: Digest = hashlib.sha256(b"").digest()


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """The audit path of one leaf, from its sibling up (RFC 6962 §2.1.1)."""

    index: int
    """Position of the leaf, from 0."""
    size: int
    """Number of leaves of the tree."""
    path: tuple[Digest, ...]
    """Sibling digests, lowest first."""


def leaf_hash(data: bytes) -> Digest:
    """The digest of one leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def merkle_root(leaves: Sequence[bytes]) -> Digest:
    """The root over a list of leaf contents; of no leaves, SHA-256 of nothing."""
    return root_of_hashes([leaf_hash(leaf) for leaf in leaves])


def root_of_hashes(hashes: Sequence[Digest]) -> Digest:
    """The root over leaf digests that are already known."""
    if not hashes:
        return EMPTY_ROOT
    level = list(hashes)
    # Pairing neighbours and carrying an odd last digest up unchanged gives the split at the largest
    # power of two of RFC 6962 without recursion.
    while len(level) > 1:
        odd = [level[-1]] if len(level) % 2 else []
        level = [_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)] + odd
    return level[0]


def inclusion_proof(leaves: Sequence[bytes], index: int) -> InclusionProof:
    """The proof that ``leaves[index]`` is in the tree over ``leaves``.

    Raises:
        IndexError: when there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"no leaf {index} in a tree of {len(leaves)}")
    path: list[Digest] = []
    level = [leaf_hash(leaf) for leaf in leaves]
    position = index
    while len(level) > 1:
        sibling = position ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        odd = [level[-1]] if len(level) % 2 else []
        level = [_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)] + odd
        position //= 2
    return InclusionProof(index, len(leaves), tuple(path))


def verify_inclusion(leaf: bytes, proof: InclusionProof, root: Digest) -> bool:
    """Whether ``leaf`` is at the proof's index in the tree with this root (RFC 9162 §2.1.3.2)."""
    if not 0 <= proof.index < proof.size or any(len(p) != DIGEST_BYTES for p in proof.path):
        return False
    first, last, current = proof.index, proof.size - 1, leaf_hash(leaf)
    for sibling in proof.path:
        if last == 0:
            return False
        if first % 2 or first == last:
            current = _node(sibling, current)
            while first and first % 2 == 0:
                first, last = first // 2, last // 2
        else:
            current = _node(current, sibling)
        first, last = first // 2, last // 2
    return last == 0 and current == root


def _node(left: Digest, right: Digest) -> Digest:
    return hashlib.sha256(b"\x01" + left + right).digest()
