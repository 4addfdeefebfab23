"""The ledger's state: a map from readable keys to values, with a root that is cheap to keep.

Keys are paths (``task/round/3/commit/002``). The root is that of a sparse Merkle map
(`simulation.base.sparse_merkle`) from ``TH(state, 0x02 ‖ key)`` to the digest of ``cbor([key,
value])``: it depends on nothing but the entries, a block costs a few hashes for each entry that it
changes, and what the state holds, or does not hold, can be proved to somebody who knows the root.

Writing None removes an entry, so that no reader has to tell an empty entry from none.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar, cast

from simulation.base import sparse_merkle
from simulation.base.digest import Digest, Tag, tagged_hash
from simulation.base.encoding import Value, encode
from simulation.base.merkle import leaf_hash
from simulation.base.sparse_merkle import MapProof, Tree
from simulation.ledger.value import freeze

_KEY = b"\x02"


class Reader(Protocol):
    """Whatever answers questions about state: a state, a journal, a ledger copy."""

    @property
    def root(self) -> Digest | None:
        """The root over all that it would answer; None while that is not known."""
        ...

    def get(self, key: str) -> Value | None:
        """The value at ``key``, or None when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A frozen value and its place in the map."""

    value: Value
    path: Digest
    leaf: Digest | None
    """Digest of key and value; None for an entry that is removed."""


@dataclass(frozen=True, slots=True)
class Staged:
    """Changes whose consequence is known but which have not happened yet."""

    entries: Mapping[str, Entry]
    tree: Tree
    root: Digest


class State:
    """The current entries; only `commit` changes them."""

    def __init__(self) -> None:
        self.version = 0
        """Number of commits so far."""
        self._values: dict[str, Value] = {}
        self._tree: Tree = None
        self.root: Digest = sparse_merkle.root_of(None)

    def get(self, key: str) -> Value | None:
        """The value at ``key``, or None."""
        return self._values.get(key)

    def items(self) -> Iterator[tuple[str, Value]]:
        """All entries, sorted by key."""
        for key in sorted(self._values):
            yield key, self._values[key]

    def prove(self, key: str) -> MapProof:
        """Proof, under the current root, of the value at ``key`` or that there is none."""
        return sparse_merkle.prove(self._tree, path_of(key))

    def stage(self, entries: Mapping[str, Entry]) -> Staged:
        """The tree that the state would have with these entries written."""
        changes = {entry.path: entry.leaf for entry in entries.values()}
        tree = sparse_merkle.update(self._tree, changes)
        return Staged(entries, tree, sparse_merkle.root_of(tree))

    def commit(self, staged: Staged) -> None:
        """Make the staged changes, which must have been staged on a state with this root."""
        for key, entry in staged.entries.items():
            if entry.leaf is None:
                self._values.pop(key, None)
            else:
                self._values[key] = entry.value
        self._tree, self.root = staged.tree, staged.root
        self.version += 1


class Journal:
    """Writes on top of a state, kept apart until somebody wants them.

    The journal of a block lies on the state; each transaction's journal lies on the block's, and is
    dropped when the transaction is rejected.
    """

    root = None
    """Not known before the changes are staged."""

    def __init__(self, below: State | Journal) -> None:
        self._below = below
        self.entries: dict[str, Entry] = {}

    def get(self, key: str) -> Value | None:
        """The value at ``key`` as written here or below, or None."""
        entry = self.entries.get(key)
        return self._below.get(key) if entry is None else entry.value

    def put(self, key: str, value: Value) -> None:
        """Write ``value``, frozen, at ``key``; None removes what is there.

        Raises:
            EncodingError: when the value has no canonical form.
            ValueError: when the key is no path of two or more non-empty parts.
        """
        require_path(key)
        leaf = None if value is None else leaf_of(key, value)
        self.entries[key] = Entry(freeze(value), path_of(key), leaf)

    def absorb(self, upper: Journal) -> None:
        """Take over what a journal on top of this one wrote."""
        self.entries.update(upper.entries)


P = ParamSpec("P")
T = TypeVar("T")
_MOST_READ = 1 << 10
"""How many answers a `read_once_per_state` reader keeps in mind."""


def read_once_per_state(
    read: Callable[Concatenate[Reader, P], T],
) -> Callable[Concatenate[Reader, P], T]:
    """The same pure function of a state and further arguments, called once for each root and them.

    The root stands for every entry, so whoever has the same root has the same answer; a copy whose
    state differs in one entry has another root and asks for itself. Changes that are still under
    way have no root and are asked each time. The other arguments are positional and hashable.
    """
    known: OrderedDict[tuple[object, ...], T] = OrderedDict()

    @wraps(read)
    def reader(state: Reader, *args: P.args, **kwargs: P.kwargs) -> T:
        if state.root is None:
            return read(state, *args, **kwargs)
        key = (state.root, *args)
        if key in known:
            return known[key]
        result = known[key] = read(state, *args, **kwargs)
        if len(known) > _MOST_READ:
            known.popitem(last=False)
        return result

    return cast("Callable[Concatenate[Reader, P], T]", reader)


def require_path(key: str) -> None:
    """Check that a key is a path of two or more non-empty parts.

    Raises:
        ValueError: when it is not.
    """
    parts = key.split("/")
    if len(parts) < 2 or not all(parts):
        raise ValueError(f"state key {key!r}: expected a path such as 'member/003'")


def path_of(key: str) -> Digest:
    """Where a key's entry is in the map."""
    return tagged_hash(Tag.STATE, _KEY, key.encode())


def leaf_of(key: str, value: Value) -> Digest:
    """The digest of an entry.

    Raises:
        EncodingError: when the value has no canonical form.
    """
    return leaf_hash(encode([key, value]))
