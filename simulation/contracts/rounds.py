"""The rounds of the task as a ledger copy knows them: commitments, keys and typed reads.

Hospitals, the coordinator and the audit ask these questions of *their own* copy; the task contract
asks them of the state that it is changing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast

from simulation.base.digest import DIGEST_BYTES, Digest, Tag, tagged_hash
from simulation.base.encoding import Value, encode
from simulation.base.ids import HospitalId, NodeId, ReplicaId
from simulation.contracts.aggregation import Input
from simulation.contracts.committee import committee
from simulation.contracts.evidence import is_quarantined
from simulation.contracts.members import REVOKED, role_of
from simulation.contracts.rules import Rule, least_updates, rule_of
from simulation.ledger.genesis import Genesis
from simulation.ledger.state import Reader, read_once_per_state
from simulation.ledger.value import read_once

SALT_BYTES = 32
PARAMETERS_KEY = "task/parameters"
STATUS_KEY = "task/status"

Protocol = Literal["hash_only", "commit_reveal"]
PROTOCOLS: tuple[Protocol, ...] = ("hash_only", "commit_reveal")

OPEN, SEALED, REVEALED, PROPOSED = "open", "sealed", "revealed", "proposed"
CLOSED, VOID = "closed", "void"
ENDED = (CLOSED, VOID)


@lru_cache(maxsize=1 << 12)
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


@lru_cache(maxsize=1 << 12)
def holding(
    chain: Digest,
    task: str,
    round: int,  # noqa: A002 -- the word of the protocol
    hospital: HospitalId,
    update_root: Digest,
    cid: str,
) -> Digest:
    """What a holder signs: it has this update's bytes, has checked them, and will hand them out."""
    return tagged_hash(Tag.STORE, encode([chain, task, round, hospital, update_root, cid]))


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long the phases of a round may last. A phase is over when *both* limits have passed.

    Time alone would let a primary with a fast clock cut hospitals off, and height alone anybody who
    makes blocks out of rubbish. A tick that comes too early is refused, but makes a block, so that
    heights advance wherever somebody is waiting for them.
    """

    commit_blocks: int
    commit_us: int
    reveal_blocks: int
    reveal_us: int


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the genesis says about the task."""

    name: str
    initial_root: Digest | None
    protocol: Protocol
    rule: Rule | None
    """None: the coordinator's arithmetic is its own, and is not checked."""
    min_updates: int
    deadlines: Deadlines | None

    @property
    def least_updates(self) -> int:
        """With fewer updates a round is void."""
        return max(self.min_updates, least_updates(self.rule))


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


def parameters_of(genesis: Genesis) -> Parameters:
    """The parameters of the genesis task; what it leaves out is as it was.

    Raises:
        ValueError: naming the parameter that is missing or makes no sense.
    """
    task = genesis.task
    match task:
        case {"name": str(name), "initial_root": None | bytes() as root} if (
            root is None or len(root) == DIGEST_BYTES
        ):
            pass
        case _:
            raise ValueError("task: needs name (text) and initial_root (32 bytes or null)")
    protocol = task.get("protocol", "commit_reveal")
    if protocol not in PROTOCOLS:
        raise ValueError(f"task: protocol is one of {', '.join(PROTOCOLS)}")
    least = task.get("min_updates", 1)
    if not isinstance(least, int) or least < 1:
        raise ValueError("task: min_updates is an integer of at least 1")
    rule = rule_of(task.get("rule"))
    if rule is not None and protocol != "commit_reveal":
        raise ValueError("task: only commit_reveal lets replicas recompute an aggregate")
    return Parameters(name, root, protocol, rule, least, _deadlines(task.get("deadlines")))


def _deadlines(value: Value) -> Deadlines | None:
    match value:
        case None:
            return None
        case {
            "commit_blocks": int(a),
            "commit_us": int(b),
            "reveal_blocks": int(c),
            "reveal_us": int(d),
        } if min(a, b, c, d) >= 0:
            return Deadlines(a, b, c, d)
        case _:
            raise ValueError(
                "task: deadlines need commit_blocks, commit_us, reveal_blocks, reveal_us"
            )


def parameters(state: Reader) -> Parameters:
    """The task's parameters, as a state holds them from height 0 on."""
    return _parameters(state.get(PARAMETERS_KEY))


@read_once
def _parameters(value: Value) -> Parameters:
    match value:
        case Mapping() as task:
            known = cast("Mapping[str, Value]", task)
        case _:
            raise AssertionError("the contract writes its parameters at height 0")
    return Parameters(
        cast(str, known["name"]),
        cast("Digest | None", known["initial_root"]),
        cast(Protocol, known.get("protocol", "commit_reveal")),
        rule_of(known.get("rule")),
        cast(int, known.get("min_updates", 1)),
        _deadlines(known.get("deadlines")),
    )


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


def task_name(state: Reader) -> str:
    """The task's name in the genesis: the ``task`` of every commitment."""
    return parameters(state).name


def initial_root(state: Reader) -> Digest | None:
    """The model that the first round must start from; None when the genesis leaves it open."""
    return parameters(state).initial_root


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


# ---- keys ----------------------------------------------------------------------------------------


@lru_cache(maxsize=1 << 12)
def round_key(number: int) -> str:
    """Where a round's status, base model and eligible hospitals are kept."""
    return f"task/round/{number}"


@lru_cache(maxsize=1 << 12)
def commit_key(number: int, hospital: HospitalId) -> str:
    """Where a hospital's commitment for a round is kept."""
    return f"task/round/{number}/commit/{hospital:03d}"


@lru_cache(maxsize=1 << 12)
def decline_key(number: int, hospital: HospitalId) -> str:
    """Where the reason is kept why a hospital sits a round out."""
    return f"task/round/{number}/decline/{hospital:03d}"


@lru_cache(maxsize=1 << 12)
def reveal_key(number: int, hospital: HospitalId) -> str:
    """Where a hospital's reveal is kept."""
    return f"task/round/{number}/reveal/{hospital:03d}"


@lru_cache(maxsize=1 << 12)
def aggregate_key(number: int) -> str:
    """Where the end of a round is kept."""
    return f"task/round/{number}/aggregate"


@lru_cache(maxsize=1 << 12)
def confirmation_key(number: int, replica: ReplicaId) -> str:
    """Where a replica's own result of a round is kept."""
    return f"task/round/{number}/confirm/{replica:03d}"
