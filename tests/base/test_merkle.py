"""RFC 6962 trees, with pymerkle and a recursive reading of the RFC as oracles."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.merkle import (
    EMPTY_ROOT,
    InclusionProof,
    inclusion_proof,
    leaf_hash,
    merkle_root,
    root_of_hashes,
    verify_inclusion,
)

SIZES = range(131)

# The eight leaves and roots that Certificate Transparency's implementations test against.
CT_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def by_definition(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962 §2.1, by its recursion."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = by_definition(leaves[:split]), by_definition(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def some_leaves(size: int) -> list[bytes]:
    """Distinct leaves of different lengths, the first one empty."""
    return [b"" if i == 0 else bytes([i % 256]) * (i % 7 + 1) + b"%d" % i for i in range(size)]


@pytest.fixture(scope="module")
def oracle() -> pymerkle.InmemoryTree:
    """A published implementation, holding the same leaves."""
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for leaf in some_leaves(max(SIZES)):
        tree.append_entry(leaf)
    return tree


@pytest.mark.parametrize("size", range(9))
def test_certificate_transparency_vectors(size: int) -> None:
    """The roots that every RFC 6962 implementation agrees on."""
    assert merkle_root(CT_LEAVES[:size]).hex() == CT_ROOTS[size]


@pytest.mark.parametrize("size", SIZES)
def test_roots_equal_the_definition_and_a_published_library(
    size: int, oracle: pymerkle.InmemoryTree
) -> None:
    """Leaf 0x00, node 0x01, split at the largest power of two below n."""
    leaves = some_leaves(size)
    root = merkle_root(leaves)
    assert root == by_definition(leaves)
    assert root == oracle.get_root(size)
    assert root == root_of_hashes([leaf_hash(leaf) for leaf in leaves])


def test_the_empty_tree_is_the_hash_of_nothing() -> None:
    """RFC 6962 §2.1: the hash of an empty list is the hash of an empty string."""
    assert merkle_root([]) == EMPTY_ROOT == hashlib.sha256(b"").digest()


@pytest.mark.parametrize("size", range(1, 131))
def test_every_proof_verifies_and_the_library_builds_the_same(
    size: int, oracle: pymerkle.InmemoryTree
) -> None:
    """Proofs carry the tree size; verification as in RFC 9162 §2.1.3.2."""
    leaves = some_leaves(size)
    root = merkle_root(leaves)
    for index in range(size):
        proof = inclusion_proof(leaves, index)
        assert verify_inclusion(leaves[index], proof, root)
        theirs = oracle.prove_inclusion(index + 1, size)
        # Their path starts with the leaf's own digest, ours with its sibling.
        assert theirs.path[0] == leaf_hash(leaves[index])
        assert list(proof.path) == theirs.path[1:]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 32, 33])
def test_a_proof_for_another_position_leaf_or_size_fails(size: int) -> None:
    """A proof binds the leaf, its index and the size of the tree."""
    leaves = some_leaves(size)
    root = merkle_root(leaves)
    for index in range(size):
        proof = inclusion_proof(leaves, index)
        for other in range(-1, size + 3):
            if other != index:
                assert not verify_inclusion(leaves[index], replace(proof, index=other), root)
        assert not verify_inclusion(leaves[index] + b"!", proof, root)
        assert not verify_inclusion(leaves[index], proof, leaf_hash(b"other root"))


@pytest.mark.parametrize("size", range(1, 12))
def test_a_claimed_position_holds_only_with_the_turns_of_the_real_one(size: int) -> None:
    """A proof of another index or size fails, except where it takes the very same path.

    The left and right turns alone decide the digest, so two positions with equal turns are both
    true statements about this root; every other claim must fail, also one of a tree of one leaf.
    """
    leaves = some_leaves(size)
    root = merkle_root(leaves)
    for index in range(size):
        proof = inclusion_proof(leaves, index)
        for claimed_size in range(-1, 2 * size + 3):
            for claimed_index in range(-1, 2 * size + 3):
                claim = replace(proof, index=claimed_index, size=claimed_size)
                there = 0 <= claimed_index < claimed_size
                same = there and _turns(claimed_index, claimed_size) == _turns(index, size)
                assert verify_inclusion(leaves[index], claim, root) == same


def _turns(index: int, size: int) -> list[str]:
    """On which side the sibling stands, lowest first, by the recursion of RFC 6962 §2.1.1."""
    if size == 1:
        return []
    split = 1
    while split * 2 < size:
        split *= 2
    if index < split:
        return [*_turns(index, split), "right"]
    return [*_turns(index - split, size - split), "left"]


@pytest.mark.parametrize("size", [2, 3, 7, 8, 21])
def test_a_changed_missing_or_added_sibling_fails(size: int) -> None:
    """Every digest of the path counts, and none may be left over."""
    leaves = some_leaves(size)
    root = merkle_root(leaves)
    for index in range(size):
        proof = inclusion_proof(leaves, index)
        for at, sibling in enumerate(proof.path):
            flipped = bytes([sibling[0] ^ 1]) + sibling[1:]
            path = (*proof.path[:at], flipped, *proof.path[at + 1 :])
            assert not verify_inclusion(leaves[index], replace(proof, path=path), root)
            shorter = (*proof.path[:at], *proof.path[at + 1 :])
            assert not verify_inclusion(leaves[index], replace(proof, path=shorter), root)
        longer = (*proof.path, leaf_hash(b"extra"))
        assert not verify_inclusion(leaves[index], replace(proof, path=longer), root)


def test_duplicating_the_last_leaf_changes_the_root() -> None:
    """Trees that duplicate an odd last leaf give root([a,b,c]) = root([a,b,c,c]); ours do not."""
    for size in SIZES[1:]:
        leaves = some_leaves(size)
        assert merkle_root(leaves) != merkle_root([*leaves, leaves[-1]])


def test_a_node_cannot_pass_for_a_leaf() -> None:
    """Leaves and nodes are hashed with different prefixes (second-preimage resistance)."""
    leaves = [b"a", b"b", b"c", b"d"]
    inner = [leaf_hash(b"a") + leaf_hash(b"b"), leaf_hash(b"c") + leaf_hash(b"d")]
    assert merkle_root(inner) != merkle_root(leaves)
    assert not verify_inclusion(
        inner[0], InclusionProof(0, 2, (inclusion_proof(leaves, 0).path[1],)), merkle_root(leaves)
    )


def test_a_path_of_odd_digests_is_refused() -> None:
    """A sibling of another length could shift bytes between the two halves of a node."""
    sibling = leaf_hash(b"b")
    for path in (b"", sibling[:-1], sibling + b"\x00"):
        root = hashlib.sha256(b"\x01" + leaf_hash(b"a") + path).digest()  # all else would fit
        assert not verify_inclusion(b"a", InclusionProof(0, 2, (path,)), root)


@pytest.mark.parametrize(("size", "index"), [(0, 0), (1, 1), (5, 5), (5, -1)])
def test_there_is_no_proof_for_a_leaf_that_is_not_there(size: int, index: int) -> None:
    """IndexError when there is no such leaf: a negative index does not count from the end."""
    with pytest.raises(IndexError):
        inclusion_proof(some_leaves(size), index)


@given(st.lists(st.binary(max_size=8), max_size=20), st.lists(st.binary(max_size=8), max_size=20))
def test_different_lists_have_different_roots(one: list[bytes], other: list[bytes]) -> None:
    """Two different lists never share a root: order, number and borders of leaves count."""
    assert (merkle_root(one) == merkle_root(other)) == (one == other)
