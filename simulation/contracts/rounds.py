"""The rounds of the task as a ledger copy knows them: their phases, and typed reads of them.

Hospitals, the coordinator and the audit ask these questions of *their own* copy; the task contract
asks them of the state that it is changing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from simulation.base.digest import Digest
from simulation.base.encoding import Value
from simulation.base.ids import HospitalId, NodeId, ReplicaId
from simulation.contracts.aggregation import Input
from simulation.contracts.commitments import commitment
from simulation.contracts.committee import committee
from simulation.contracts.evidence import is_quarantined
from simulation.contracts.members import REVOKED, role_of
from simulation.contracts.parameters import parameters
from simulation.contracts.round_keys import (
    STATUS_KEY,
    aggregate_key,
    commit_key,
    confirmation_key,
    decline_key,
    reveal_key,
    round_key,
)
from simulation.ledger.state import Reader, read_once_per_state
from simulation.ledger.value import read_once

OPEN, SEALED, REVEALED, PROPOSED = "open", "sealed", "revealed", "proposed"
CLOSED, VOID = "closed", "void"
ENDED = (CLOSED, VOID)


@dataclass(frozen=True, slots=True)
class Commit:
    """A hospital's commitment, as the ledger stores it."""

    hospital: HospitalId
    commitment: Digest
    """Under ``hash_only``, the update's root itself."""
    nbytes: int
    examples: int
    dp: Mapping[str, Value] | None
    cid: str | None
    """Under ``hash_only``, where the update's bytes lie."""
    height: int
    """Of the block that accepted it."""
    transaction: Digest


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens one commitment, and where the update's bytes lie."""

    hospital: HospitalId
    update_root: Digest
    salt: bytes
    """Empty under ``hash_only``."""
    cid: str
    holders: tuple[ReplicaId, ...] = ()
    """Replicas that signed for the bytes."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """The coordinator's proposal of how a round ends, and in the end how it did."""

    hospitals: tuple[HospitalId, ...]
    inputs_root: Digest
    out_root: Digest
    out_cid: str
    height: int
    proposer: NodeId


@dataclass(frozen=True, slots=True)
class RoundState:
    """One round as a ledger copy knows it."""

    round: int
    status: str
    """``open``, ``sealed`` (no more commitments), ``revealed`` (no more reveals), ``proposed``
    (an aggregate waits for the replicas' word), ``closed`` or ``void`` (the model stays)."""
    base_root: Digest
    eligible: tuple[HospitalId, ...]
    height: int
    """Of the block in which the current phase began."""
    time_us: int
    """Its header time."""
    commits_root: Digest | None
    """RFC 6962 root of the sealed commitments; None before the seal."""
    commits: Mapping[HospitalId, Commit]
    declined: Mapping[HospitalId, str]
    """Hospitals that sit out, and why."""
    openings: Mapping[HospitalId, Opening]
    """What was revealed; under ``hash_only``, every commitment."""
    withheld: tuple[HospitalId, ...]
    """Hospitals that committed and had not revealed when reveals ended."""
    aggregate: Aggregate | None

    @property
    def inputs(self) -> list[Input]:
        """Hospital, weight and root of every revealed update, by hospital."""
        return [
            (h, self.commits[h].examples, self.openings[h].update_root)
            for h in sorted(self.openings)
        ]


@dataclass(frozen=True, slots=True)
class Status:
    """Where the task stands."""

    round: int
    """The last round that was opened; 0 before the first."""
    is_open: bool
    root: Digest | None
    """The model that the next round starts from: the last closed round's result, and before round 1
    the genesis task's initial root. None there when the genesis leaves it to the first round."""


# ---- the task -----------------------------------------------------------------------------------


def status(state: Reader) -> Status:
    """Where the task stands, by this copy."""
    return _status(state.get(STATUS_KEY))


@read_once
def _status(value: Value) -> Status:
    match value:
        case {"round": int(number), "open": bool(is_open), "root": bytes() | None as root}:
            return Status(number, is_open, root)
        case _:
            raise AssertionError("the contract writes its status at height 0")


def expected_commitment(
    state: Reader,
    chain: Digest,
    found: RoundState,
    hospital: HospitalId,
    update_root: Digest,
    salt: bytes,
) -> Digest:
    """The commitment that this update and salt open, under the task's protocol.

    Raises:
        ValueError: as `commitment`; under ``hash_only``, when there is a salt.
    """
    known = parameters(state)
    if known.protocol == "hash_only":
        if salt:
            raise ValueError("salt: there is none under hash_only")
        return update_root
    return commitment(chain, known.name, found.round, found.base_root, hospital, update_root, salt)


# ---- one round ----------------------------------------------------------------------------------


def round_status(copy: Reader, r: int) -> str | None:
    """The status of round ``r``, or None when it was never opened: the cheap question."""
    return _word(copy.get(round_key(r)))


@read_once
def _word(value: Value) -> str | None:
    match value:
        case {"status": str(word)}:
            return word
        case _:
            return None


@read_once_per_state
def read_round(copy: Reader, r: int) -> RoundState | None:
    """Round ``r`` as the copy knows it, or None when it was never opened."""
    match copy.get(round_key(r)):
        case {
            "status": str(word),
            "base_root": bytes(base_root),
            "eligible": tuple(ids),
            "height": int(height),
            "time_us": int(time_us),
            "commits_root": None | bytes() as commits_root,
        }:
            eligible = cast("tuple[int, ...]", ids)
        case _:
            return None
    commits = {h: c for h in eligible if (c := commit_of(copy, r, h)) is not None}
    declined = {h: why for h in eligible if (why := _declined(copy, r, h)) is not None}
    openings = {h: o for h in commits if (o := opening_of(copy, r, h)) is not None}
    ended = word not in (OPEN, SEALED)
    withheld = tuple(h for h in commits if h not in openings) if ended else ()
    return RoundState(
        r, word, base_root, eligible, height, time_us, commits_root,
        commits, declined, openings, withheld, _aggregate(copy, r),
    )  # fmt: skip


def commit_of(copy: Reader, r: int, hospital: HospitalId) -> Commit | None:
    """The commitment that the copy holds for a hospital in round ``r``, if any."""
    return _commit(copy.get(commit_key(r, hospital)), hospital)


@read_once
def _commit(value: Value, hospital: HospitalId) -> Commit | None:
    match value:
        case {
            "commitment": bytes(digest),
            "nbytes": int(nbytes),
            "examples": int(examples),
            "dp": dp,
            "cid": None | str() as cid,
            "height": int(height),
            "transaction": bytes(transaction),
        }:
            claim = cast("Mapping[str, Value] | None", dp)
            return Commit(hospital, digest, nbytes, examples, claim, cid, height, transaction)
        case _:
            return None


def opening_of(copy: Reader, r: int, hospital: HospitalId) -> Opening | None:
    """What a hospital has revealed in round ``r``; under ``hash_only``, its commitment."""
    commit = commit_of(copy, r, hospital)
    if commit is not None and commit.cid is not None:
        return Opening(hospital, commit.commitment, b"", commit.cid)
    return _opening(copy.get(reveal_key(r, hospital)), hospital)


@read_once
def _opening(value: Value, hospital: HospitalId) -> Opening | None:
    match value:
        case {
            "update_root": bytes(root),
            "salt": bytes(salt),
            "cid": str(cid),
            "holders": tuple(holders),
        }:
            return Opening(hospital, root, salt, cid, cast("tuple[int, ...]", holders))
        case _:
            return None


def confirmations(copy: Reader, r: int) -> dict[ReplicaId, Digest]:
    """The results that replicas have computed in round ``r``, by replica."""
    found: dict[ReplicaId, Digest] = {}
    for replica in committee(copy).replicas:
        value = copy.get(confirmation_key(r, replica))
        if isinstance(value, bytes):
            found[replica] = value
    return found


def awaited(found: RoundState, state: Reader) -> list[HospitalId]:
    """Hospitals whose next step the current phase of a round waits for."""
    if found.status == OPEN:
        done = {*found.commits, *found.declined}
        waiting = [h for h in found.eligible if h not in done]
    else:
        waiting = [h for h in found.commits if h not in found.openings]
    return [h for h in waiting if not is_quarantined(state, h) and role_of(state, h) != REVOKED]


def _declined(copy: Reader, r: int, hospital: HospitalId) -> str | None:
    value = copy.get(decline_key(r, hospital))
    return value if isinstance(value, str) else None


def _aggregate(copy: Reader, r: int) -> Aggregate | None:
    return _proposal(copy.get(aggregate_key(r)))


@read_once
def _proposal(value: Value) -> Aggregate | None:
    match value:
        case {
            "hospitals": tuple(hospitals),
            "inputs_root": bytes(inputs_root),
            "out_root": bytes(out_root),
            "out_cid": str(out_cid),
            "height": int(height),
            "proposer": int(proposer),
        }:
            ids = cast("tuple[int, ...]", hospitals)
            return Aggregate(ids, inputs_root, out_root, out_cid, height, proposer)
        case _:
            return None
