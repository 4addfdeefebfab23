"""How many bytes a run's ledger takes, by round and kind, against the models that it is about.

*On the chain* is what every copy stores: the ordered transactions by kind, the headers with their
certificates. *Off the chain* is what the vaults store. *Model traffic* is what hospitals and
coordinator would send without a ledger: each round, the model to every hospital, and each revealed
update back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from simulation.base.encoding import EncodingError
from simulation.ledger.transaction import SignedTransaction
from simulation.runs.verify_rows import Copy, read_copy

HEADER, CERTIFICATE, RUBBISH = "header", "certificate", "rubbish"
"""Kinds of bytes that are no member's transaction; rubbish is what was ordered and is none."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes of one kind that one round has put on the chain."""

    round: int
    kind: str
    """A transaction's, e.g. ``task.commit``; or ``header``, ``certificate``, ``rubbish``."""
    count: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Item:
    """One thing on the chain: a transaction, a header or a certificate."""

    round: int
    """The last one that was opened at or before its height; 0 before the first."""
    kind: str
    data: bytes
    transaction: SignedTransaction | None = None


def chain_items(copy: Copy) -> Iterator[Item]:
    """Everything that a ledger copy stores, in order."""
    number = 0
    for block in copy.blocks:
        found = [_transaction(payload) for payload in block.payloads]
        for item in found:
            if item.kind == "task.open" and item.transaction is not None:
                opened = item.transaction.transaction.body.get("round")
                number = max(number, opened) if isinstance(opened, int) else number
        for item in found:
            yield Item(number, item.kind, item.data, item.transaction)
        yield Item(number, HEADER, cast(bytes, block.header))
        if block.certificate is not None:
            yield Item(number, CERTIFICATE, cast(bytes, block.certificate))


def chain_bytes(copy: Copy) -> list[Stored]:
    """Bytes on the chain by round and kind, in this order."""
    counts: Counter[tuple[int, str]] = Counter()
    sizes: Counter[tuple[int, str]] = Counter()
    for item in chain_items(copy):
        counts[item.round, item.kind] += 1
        sizes[item.round, item.kind] += len(item.data)
    return [Stored(*key, counts[key], sizes[key]) for key in sorted(counts)]


def by_kind(stored: Iterable[Stored]) -> dict[str, int]:
    """Bytes by kind, over all rounds."""
    sizes: Counter[str] = Counter()
    for entry in stored:
        sizes[entry.kind] += entry.size_bytes
    return {kind: sizes[kind] for kind in sorted(sizes)}


def run_bytes(run_dir: Path) -> list[Stored]:
    """`chain_bytes` of the longest copy of a finished run; empty when it kept none.

    Raises:
        DamagedFile: when a copy cannot be read.
    """
    copies = [read_copy(path) for path in sorted((run_dir / "ledger").glob("*.sqlite"))]
    longest = max(copies, key=lambda copy: len(copy.blocks), default=None)
    return [] if longest is None else chain_bytes(longest)


def vault_bytes(run_dir: Path) -> dict[str, int]:
    """Bytes in each member's vault, by name."""
    found: Counter[str] = Counter()
    for path in sorted((run_dir / "vault").glob("*/*")):
        found[path.parent.name] += path.stat().st_size
    return dict(found)


def _transaction(payload: object) -> Item:
    data = payload if isinstance(payload, bytes) else b""
    try:
        signed = SignedTransaction.decode(data)
    except EncodingError:
        return Item(0, RUBBISH, data)
    return Item(0, signed.transaction.kind, data, signed)
