"""State: a root that depends on the entries and on nothing else, kept incrementally."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.encoding import EncodingError, encode
from simulation.base.sparse_merkle import is_proven
from simulation.ledger.state import Journal, State, leaf_of, path_of

PARTS = st.sampled_from(["a", "b", "round", "1", "10", "2", "é"])
KEYS = st.lists(PARTS, min_size=2, max_size=4).map("/".join)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(0, 9), st.binary(max_size=3))
WRITES = st.lists(st.tuples(KEYS, VALUES), max_size=25)


def write(state: State, *pairs: tuple[str, object]) -> None:
    journal = Journal(state)
    for key, value in pairs:
        journal.put(key, value)
    state.commit(state.stage(journal.entries))


def reference_root(entries: dict[str, object]) -> bytes:
    """The definition, computed from nothing by hashlib and a recursion over all entries."""
    tag = hashlib.sha256(b"wardchain/v1/state").digest()

    def state_hash(data: bytes) -> bytes:
        return hashlib.sha256(tag + tag + data).digest()

    def subtree(leaves: dict[str, bytes]) -> bytes:
        """By the paths' bits that are left, as text."""
        if len(leaves) < 2:
            return next(iter(leaves.values()), bytes(32))
        halves = [{b[1:]: leaf for b, leaf in leaves.items() if b[0] == bit} for bit in "01"]
        return state_hash(b"\x01" + subtree(halves[0]) + subtree(halves[1]))

    leaves = {}
    for key, value in entries.items():
        if value is not None:
            path = state_hash(b"\x02" + key.encode())
            entry = hashlib.sha256(b"\x00" + encode([key, value])).digest()
            leaves[f"{int.from_bytes(path):0256b}"] = state_hash(b"\x00" + path + entry)
    return subtree(leaves)


@given(WRITES, st.data())
def test_the_root_is_the_definition_however_it_came_about(writes, data) -> None:
    """The incremental root equals the root computed from nothing, for every split into commits."""
    state, model = State(), {}

    rest = list(writes)
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        write(state, *rest[:size])
        model.update(rest[:size])
        rest = rest[size:]
        assert state.root == reference_root(model)

    assert state.root == reference_root(model)
    assert dict(state.items()) == {k: v for k, v in model.items() if v is not None}


@given(WRITES, st.randoms(use_true_random=False))
def test_the_root_does_not_depend_on_the_order_of_writing(writes, random) -> None:
    """Equal entries, equal roots."""
    entries = dict(writes)
    shuffled = list(entries.items())
    random.shuffle(shuffled)
    one, other = State(), State()

    write(one, *entries.items())
    for pair in shuffled:
        write(other, pair)

    assert one.root == other.root


def test_different_entries_have_different_roots() -> None:
    """Neither key, value, type nor nesting can be exchanged without changing the root."""
    variants = [
        [("a/b", 1)],
        [("a/b", 2)],
        [("a/b", True)],
        [("a/b", b"\x01")],
        [("a/b", "1")],
        [("a/b", [1])],
        [("a/c", 1)],
        [("b/b", 1)],
        [("a/b", 1), ("a/c", 1)],
        [("a/b", 1), ("b/b", 1)],
        [],
    ]
    roots = set()
    for variant in variants:
        state = State()
        write(state, *variant)
        roots.add(state.root)

    assert len(roots) == len(variants)


def test_staging_changes_nothing() -> None:
    """A consequence can be known before it happens."""
    state = State()
    write(state, ("a/b", 1))
    before = state.root
    journal = Journal(state)
    journal.put("a/b", 2)

    staged = state.stage(journal.entries)

    assert (state.root, state.get("a/b"), state.version) == (before, 1, 1)
    state.commit(staged)
    assert (state.root, state.get("a/b"), state.version) == (staged.root, 2, 2)
    assert staged.root != before


def test_a_journal_is_seen_only_through_itself() -> None:
    """Writes stay apart until somebody absorbs them."""
    state = State()
    write(state, ("a/b", 1))
    block = Journal(state)
    first, second = Journal(block), Journal(block)

    first.put("a/b", 2)

    assert (first.get("a/b"), second.get("a/b"), state.get("a/b")) == (2, 1, 1)
    block.absorb(first)
    assert (second.get("a/b"), state.get("a/b"), second.get("a/z")) == (2, 1, None)


def test_stored_values_cannot_be_changed_in_place() -> None:
    """Neither the writer's object nor what a reader gets leads into the state."""
    state = State()
    value = {"ids": [1, 2]}
    write(state, ("a/b", value))

    value["ids"].append(3)

    assert state.get("a/b") == {"ids": (1, 2)}
    with pytest.raises(TypeError):
        state.get("a/b")["ids"] = ()


@pytest.mark.parametrize("key", ["", "a", "/a", "a/", "a//b"])
def test_keys_are_paths(key: str) -> None:
    """State keys are readable paths of two or more parts."""
    with pytest.raises(ValueError, match="expected a path"):
        Journal(State()).put(key, 1)


def test_floats_have_no_place() -> None:
    """No floats in ledger objects."""
    with pytest.raises(EncodingError, match="floats"):
        Journal(State()).put("a/b", 0.5)


def test_writing_none_removes_an_entry() -> None:
    """An entry that was removed leaves no trace: the root is as if it had never been."""
    state, fresh = State(), State()
    write(state, ("a/b", 1), ("a/c", 2))
    write(fresh, ("a/c", 2))

    write(state, ("a/b", None), ("a/d", None))

    assert state.root == fresh.root
    assert (state.get("a/b"), dict(state.items())) == (None, {"a/c": 2})


@given(WRITES, KEYS)
def test_what_is_there_can_be_proved_and_what_is_not(writes, stranger: str) -> None:
    """State proofs of presence and of absence."""
    state = State()
    write(state, *writes)

    for key in {stranger, *(key for key, _ in writes)}:
        value = state.get(key)
        leaf = None if value is None else leaf_of(key, value)
        proof = state.prove(key)
        assert is_proven(state.root, path_of(key), leaf, proof)
        other = leaf_of(key, 77) if leaf is None else None
        assert not is_proven(state.root, path_of(key), other, proof)
