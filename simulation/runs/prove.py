"""State proofs from a finished run: what the ledger held at a key after some block.

The run's own files are only read. The longest ledger copy that follows from the genesis is executed
again up to the block asked for. Whether the proof is believed is for the verifier to say, who
trusts neither the run nor this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from simulation.base.encoding import EncodingError, Value
from simulation.contracts import default_contracts
from simulation.ledger.block import Block, Certificate, Header, Outcome
from simulation.ledger.chain import MemoryStore, StoreError
from simulation.ledger.copy import LedgerCopy, LedgerFault
from simulation.ledger.genesis import Genesis
from simulation.ledger.proof import StateProof
from simulation.ledger.state import require_path
from simulation.runs.verify_rows import Copy, DamagedFile, StoredBlock, read_copy

LEDGER_DIR = "ledger"


class UnprovableError(ValueError):
    """The run cannot prove this; the message says what to do."""


@dataclass(frozen=True)
class Proved:
    """A state proof and where it comes from."""

    proof: StateProof
    copy: str
    """Name of the node whose copy was used."""
    similar: tuple[str, ...]
    """Keys that look like the one asked for, when nothing is there."""


def prove(run_dir: Path, key: str, height: int | None = None) -> Proved:
    """The proof of what the state holds at ``key`` after the block at ``height``, or the last one.

    Raises:
        UnprovableError: when the key is no path, the run has no such block, or no sound copy.
    """
    try:
        require_path(key)
    except ValueError as error:
        raise UnprovableError(f"{error}; list the keys with: wardchain prove {run_dir}") from error
    copy = copy_at(run_dir, height)
    proof = copy.prove(key)
    if proof is None:
        raise UnprovableError(
            f"{run_dir}: the block at height {copy.height} has no certificate; take another"
        )
    near: Sequence[str] = ()
    if proof.value is None:
        near = get_close_matches(key, [known for known, _ in copy.items()], n=3)
    return Proved(proof, copy.name, tuple(near))


def keys(run_dir: Path, prefix: str = "", height: int | None = None) -> list[tuple[str, Value]]:
    """What the state holds below a prefix, sorted by key.

    Raises:
        UnprovableError: when the run has no such block, or no sound copy.
    """
    found = copy_at(run_dir, height).items()
    return [(key, value) for key, value in found if key.startswith(prefix)]


def copy_at(run_dir: Path, height: int | None) -> LedgerCopy:
    """The longest sound copy of a run, executed again up to ``height``.

    Raises:
        UnprovableError: when there is none, or it has no block at that height.
    """
    paths = sorted((run_dir / LEDGER_DIR).glob("*.sqlite"))
    if not paths:
        raise UnprovableError(
            f"{run_dir}: holds no ledger files; run again with ledger.store=sqlite (and a "
            "ledger.kind other than none)"
        )
    problems: list[str] = []
    rows: list[Copy] = []
    for path in paths:
        try:
            rows.append(read_copy(path))
        except DamagedFile as damage:
            problems.append(f"{path.name}: {damage}")
    for copy in sorted(rows, key=lambda copy: -len(copy.blocks)):
        last = len(copy.blocks) if height is None else height
        if not 1 <= last <= len(copy.blocks):
            raise UnprovableError(
                f"--height {last}: the ledger of {run_dir} has heights 1 to {len(copy.blocks)}"
            )
        try:
            return _executed(copy, last)
        except (EncodingError, LedgerFault, StoreError) as error:
            problems.append(str(error))
    raise UnprovableError(
        f"{run_dir}: no ledger copy is sound ({problems[0]}); see wardchain verify {run_dir}"
    )


def _executed(copy: Copy, height: int) -> LedgerCopy:
    """A copy in memory of a file's first blocks.

    Raises:
        EncodingError: when a row cannot be read.
        LedgerFault: when a block does not follow from the blocks before it.
    """
    genesis = Genesis.decode(copy.genesis)
    store = MemoryStore()
    for number, row in enumerate(copy.blocks[:height], start=1):
        store.append(_block(row))
        if isinstance(row.certificate, bytes):
            store.certify(number, Certificate.decode(row.certificate))
    node = next((m.id for m in genesis.members if genesis.name_of(m.id) == copy.name), 0)
    return LedgerCopy(genesis, default_contracts(), store, node)


def _block(row: StoredBlock) -> Block:
    payloads = tuple(item for item in row.payloads if isinstance(item, bytes))
    outcomes = tuple(Outcome(bool(accepted), str(code)) for accepted, code in row.outcomes)
    if not isinstance(row.header, bytes) or len(payloads) != len(row.payloads):
        raise EncodingError("a row holds no bytes")
    return Block(Header.decode(row.header), payloads, outcomes)
