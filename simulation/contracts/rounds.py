"""The rounds of the task as a ledger copy knows them: commitments, keys and typed reads.

Hospitals, the coordinator and the audit ask these questions of *their own* copy; the task contract
asks them of the state that it is changing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from simulation.base.digest import DIGEST_BYTES, Digest, Tag, tagged_hash
from simulation.base.encoding import Value, encode
from simulation.base.ids import HospitalId
from simulation.ledger.state import Reader

SALT_BYTES = 32
PARAMETERS_KEY = "task/parameters"
STATUS_KEY = "task/status"


def commitment(
    chain: Digest,
    task: str,
    round: int,  # noqa: A002 -- the word of the protocol
    base_root: Digest,
    hospital: HospitalId,
    update_root: Digest,
    salt: bytes,
) -> Digest:
    """``TH(commit, cbor([chain, task, round, base_root, hospital]) ‖ update_root ‖ salt)``.

    ``task`` is the task's name in the genesis. Hospital, coordinator and contract all call this.

    Raises:
        ValueError: when update root or salt are not 32 bytes; lengths are fixed so that the parts
            cannot be shifted against one another.
    """
    if len(update_root) != DIGEST_BYTES or len(salt) != SALT_BYTES:
        raise ValueError(f"update_root and salt: expected {DIGEST_BYTES} bytes each")
    context = encode([chain, task, round, base_root, hospital])
    return tagged_hash(Tag.COMMIT, context, update_root, salt)


@dataclass(frozen=True, slots=True)
class Commit:
    """A hospital's commitment, as the ledger stores it."""

    hospital: HospitalId
    commitment: Digest
    nbytes: int
    examples: int
    dp: Mapping[str, Value] | None
    height: int
    """Of the block that accepted it."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens one commitment, and where the update's bytes lie."""

    hospital: HospitalId
    update_root: Digest
    salt: bytes
    cid: str


@dataclass(frozen=True, slots=True)
class Aggregate:
    """How a round ended."""

    openings: tuple[Opening, ...]
    out_root: Digest
    out_cid: str
    height: int


@dataclass(frozen=True, slots=True)
class RoundState:
    """One round as a ledger copy knows it."""

    round: int
    status: str
    """``open``, ``closed`` (with an aggregate) or ``void`` (an aggregate of nothing)."""
    base_root: Digest
    eligible: tuple[HospitalId, ...]
    commits: Mapping[HospitalId, Commit]
    aggregate: Aggregate | None


@dataclass(frozen=True, slots=True)
class Status:
    """Where the task stands."""

    round: int
    """The last round that was opened; 0 before the first."""
    is_open: bool
    root: Digest | None
    """The model that the next round starts from: the last closed round's result, and before round 1
    the genesis task's initial root. None there when the genesis leaves it to the first round."""


def status(state: Reader) -> Status:
    """Where the task stands, by this copy."""
    match state.get(STATUS_KEY):
        case {"round": int(number), "open": bool(is_open), "root": bytes() | None as root}:
            return Status(number, is_open, root)
        case _:
            raise AssertionError("the contract writes its status at height 0")


def task_name(state: Reader) -> str:
    """The task's name in the genesis: the ``task`` of every commitment."""
    match state.get(PARAMETERS_KEY):
        case {"name": str(name)}:
            return name
        case _:
            raise AssertionError("the contract checks its parameters at height 0")


def initial_root(state: Reader) -> Digest | None:
    """The model that the first round must start from; None when the genesis leaves it open."""
    match state.get(PARAMETERS_KEY):
        case {"initial_root": None | bytes() as root}:
            return root
        case _:
            raise AssertionError("the contract checks its parameters at height 0")


def read_round(copy: Reader, r: int) -> RoundState | None:
    """Round ``r`` as the copy knows it, or None when it was never opened."""
    match copy.get(round_key(r)):
        case {"status": str(word), "base_root": bytes(base_root), "eligible": tuple(ids)}:
            eligible = cast("tuple[int, ...]", ids)
        case _:
            return None
    commits = {h: c for h in eligible if (c := commit_of(copy, r, h)) is not None}
    return RoundState(r, word, base_root, eligible, commits, _aggregate(copy, r))


def commit_of(copy: Reader, r: int, hospital: HospitalId) -> Commit | None:
    """The commitment that the copy holds for a hospital in round ``r``, if any."""
    match copy.get(commit_key(r, hospital)):
        case {
            "commitment": bytes(digest),
            "nbytes": int(nbytes),
            "examples": int(examples),
            "dp": dp,
            "height": int(height),
        }:
            claim = cast("Mapping[str, Value] | None", dp)
            return Commit(hospital, digest, nbytes, examples, claim, height)
        case _:
            return None


def _aggregate(copy: Reader, r: int) -> Aggregate | None:
    match copy.get(aggregate_key(r)):
        case {
            "openings": tuple(rows),
            "out_root": bytes(out_root),
            "out_cid": str(out_cid),
            "height": int(height),
        }:
            openings = tuple(_opening(row) for row in rows)
            return Aggregate(openings, out_root, out_cid, height)
        case _:
            return None


def _opening(row: Value) -> Opening:
    match row:
        case {
            "hospital": int(hospital),
            "update_root": bytes(root),
            "salt": bytes(salt),
            "cid": str(cid),
        }:
            return Opening(hospital, root, salt, cid)
        case _:
            raise AssertionError("the contract stores complete openings")


# ---- keys ----------------------------------------------------------------------------------------


def round_key(number: int) -> str:
    """Where a round's status, base model and eligible hospitals are kept."""
    return f"task/round/{number}"


def commit_key(number: int, hospital: HospitalId) -> str:
    """Where a hospital's commitment for a round is kept."""
    return f"task/round/{number}/commit/{hospital:03d}"


def aggregate_key(number: int) -> str:
    """Where the end of a round is kept."""
    return f"task/round/{number}/aggregate"
