"""The sparse Merkle map against an oracle: a plain dictionary, and the definition of the root."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from simulation.base.digest import Tag, tagged_hash
from simulation.base.sparse_merkle import DEPTH, EMPTY, MapProof, is_proven, prove, root_of, update

# Few first bytes, so that paths share long prefixes, down to the very last bit.
PATHS = st.builds(
    lambda head, fill, last: bytes([head]) + bytes([fill]) * 30 + bytes([last]),
    st.sampled_from([0, 1, 128, 255]),
    st.sampled_from([0, 255]),
    st.integers(0, 3),
)
VALUES = st.binary(min_size=32, max_size=32)
ENTRIES = st.dictionaries(PATHS, VALUES, max_size=20)
CHANGES = st.dictionaries(PATHS, st.none() | VALUES, max_size=12)


def oracle(entries: dict[bytes, bytes], depth: int = 0) -> bytes:
    """The definition: nothing, one leaf, or the hash of two halves."""
    if not entries:
        return bytes(32)
    if len(entries) == 1:
        ((path, value),) = entries.items()
        return tagged_hash(Tag.STATE, b"\0" + path + value)
    halves: tuple[dict, dict] = ({}, {})
    for path, value in entries.items():
        halves[int(f"{int.from_bytes(path):0256b}"[depth])][path] = value
    left, right = (oracle(half, depth + 1) for half in halves)
    return tagged_hash(Tag.STATE, b"\1" + left + right)


@given(st.lists(CHANGES, max_size=5))
def test_the_root_is_the_definition_after_any_changes(steps) -> None:
    """Insertions, replacements and removals in any order: the root is that of what is left."""
    tree, model = None, {}

    for changes in steps:
        before, old = root_of(tree), tree
        tree = update(tree, changes)
        model = {p: v for p, v in {**model, **changes}.items() if v is not None}
        assert root_of(tree) == oracle(model)
        assert root_of(old) == before, "the old tree stays what it was"


@given(ENTRIES, PATHS)
def test_presence_and_absence_are_proved(entries, stranger: bytes) -> None:
    """Whatever is at a path, the proof shows it and nothing else."""
    tree = update(None, dict(entries))
    root = root_of(tree)

    for path in {*entries, stranger}:
        proof, value = prove(tree, path), entries.get(path)
        assert is_proven(root, path, value, proof)
        for wrong in {None, EMPTY, *entries.values()} - {value}:
            assert not is_proven(root, path, wrong, proof)


@given(st.data(), ENTRIES.filter(bool))
def test_a_changed_proof_proves_nothing_false(data, entries) -> None:
    """Neither siblings nor end can be exchanged to show something else than what is there."""
    tree = update(None, dict(entries))
    root = root_of(tree)
    path = data.draw(PATHS)
    honest = prove(tree, path)
    ends = [None, honest.end, *entries.items(), (path, bytes(32)), (b"x", b"y")]
    siblings = data.draw(
        st.sampled_from(
            [
                honest.siblings,
                honest.siblings[:-1],
                (*honest.siblings, EMPTY),
                honest.siblings[::-1],
                (*honest.siblings, b"short"),
                (EMPTY,) * (DEPTH + 1),
            ]
        )
    )

    for end in ends:
        forged = MapProof(siblings, end)
        for value in {None, bytes(32), *entries.values()} - {entries.get(path)}:
            assert not is_proven(root, path, value, forged)


def test_a_leaf_of_another_subtree_proves_no_absence() -> None:
    """A leaf elsewhere shows absence only where the way to it is the way to the path."""
    low, high = bytes(32), b"\xff" * 32
    tree = update(None, {low: b"l" * 32, high: b"h" * 32})
    proof = prove(tree, high)

    assert is_proven(root_of(tree), high, b"h" * 32, proof)
    assert not is_proven(root_of(tree), low, None, proof)
    assert not is_proven(root_of(tree), low, None, replace(proof, end=None))


def test_paths_have_one_length() -> None:
    """A verifier takes paths of 32 bytes and no others."""
    tree = update(None, {bytes(32): b"v" * 32})

    assert is_proven(root_of(tree), bytes(32), b"v" * 32, prove(tree, bytes(32)))
    assert not is_proven(root_of(tree), bytes(31), None, MapProof((), None))
    assert is_proven(EMPTY, bytes(32), None, MapProof((), None))
