"""The ledger's state: a map from readable keys to values, with a root that is cheap to keep.

Keys are paths (``task/round/3/commit/002``). The entries below one path form a *section* (here
``task/round/3/commit``), an RFC 6962 tree over the leaves ``cbor([key, value])`` sorted by key; the
state root is the tagged root of the tree over ``cbor([section, section root])`` sorted by section.
A block touches few sections, so keeping the root costs little however long the history is, and it
depends on nothing but the entries: not on when or in which order they were written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from simulation.base.digest import Digest, Tag, tagged_hash
from simulation.base.encoding import Value, encode
from simulation.base.merkle import leaf_hash, root_of_hashes
from simulation.ledger.value import freeze


class Reader(Protocol):
    """Whatever answers questions about state: a state, a journal, a ledger copy."""

    def get(self, key: str) -> Value | None:
        """The value at ``key``, or None when nothing was ever written there."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A frozen value with the digest of its leaf."""

    value: Value
    leaf: Digest


@dataclass(frozen=True, slots=True)
class Staged:
    """Changes whose consequence is known but which have not happened yet."""

    entries: Mapping[str, Entry]
    sections: Mapping[str, Digest]
    """Leaf digest of every changed section."""
    root: Digest


class State:
    """The current entries; only `commit` changes them."""

    def __init__(self) -> None:
        self.version = 0
        """Number of commits so far."""
        self._entries: dict[str, Entry] = {}
        self._leaves: dict[str, dict[str, Digest]] = {}
        self._sections: dict[str, Digest] = {}
        self.root: Digest = _state_root({})

    def get(self, key: str) -> Value | None:
        """The value at ``key``, or None."""
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def items(self) -> Iterator[tuple[str, Value]]:
        """All entries, sorted by key."""
        for key in sorted(self._entries):
            yield key, self._entries[key].value

    def stage(self, entries: Mapping[str, Entry]) -> Staged:
        """The root that the state would have with these entries written."""
        changed: dict[str, dict[str, Digest]] = {}
        for key, entry in entries.items():
            changed.setdefault(section_of(key), {})[key] = entry.leaf
        sections: dict[str, Digest] = {}
        for section, leaves in changed.items():
            sections[section] = _section_leaf(section, {**self._leaves.get(section, {}), **leaves})
        return Staged(entries, sections, _state_root({**self._sections, **sections}))

    def commit(self, staged: Staged) -> None:
        """Make the staged changes, which must have been staged on this very state."""
        for key, entry in staged.entries.items():
            self._entries[key] = entry
            self._leaves.setdefault(section_of(key), {})[key] = entry.leaf
        self._sections.update(staged.sections)
        self.root = staged.root
        self.version += 1


class Journal:
    """Writes on top of a state, kept apart until somebody wants them.

    The journal of a block lies on the state; each transaction's journal lies on the block's, and is
    dropped when the transaction is rejected.
    """

    def __init__(self, below: State | Journal) -> None:
        self._below = below
        self.entries: dict[str, Entry] = {}

    def get(self, key: str) -> Value | None:
        """The value at ``key`` as written here or below, or None."""
        entry = self.entries.get(key)
        return self._below.get(key) if entry is None else entry.value

    def put(self, key: str, value: Value) -> None:
        """Write ``value``, frozen, at ``key``.

        Raises:
            EncodingError: when the value has no canonical form.
            ValueError: when the key is no path of two or more non-empty parts.
        """
        parts = key.split("/")
        if len(parts) < 2 or not all(parts):
            raise ValueError(f"state key {key!r}: expected a path such as 'member/003'")
        leaf = leaf_hash(encode([key, value]))
        self.entries[key] = Entry(freeze(value), leaf)

    def absorb(self, upper: Journal) -> None:
        """Take over what a journal on top of this one wrote."""
        self.entries.update(upper.entries)


def section_of(key: str) -> str:
    """The path above an entry."""
    return key.rpartition("/")[0]


def _section_leaf(section: str, leaves: Mapping[str, Digest]) -> Digest:
    root = root_of_hashes([leaves[key] for key in sorted(leaves)])
    return leaf_hash(encode([section, root]))


def _state_root(sections: Mapping[str, Digest]) -> Digest:
    return tagged_hash(Tag.STATE, root_of_hashes([sections[name] for name in sorted(sections)]))
