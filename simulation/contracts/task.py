"""The federated task: one round after another, each opened, committed to, and closed once.

    task.open       coordinator   cites the model that the round starts from and who may take part
    task.commit     hospital      a salted commitment to its update; one per hospital and round
    task.aggregate  coordinator   opens the commitments that it used and names the resulting model

The coordinator decides nothing that the contract cannot check: a round starts from the model that
the last one ended with, and an aggregate may use only updates whose openings give the commitments
that *this ledger* stored. An aggregate of nothing closes the round void and leaves the model as it
was.

State: ``task/parameters`` (from the genesis), ``task/status``, ``task/round/<r>``,
``task/round/<r>/commit/<hospital>``, ``task/round/<r>/aggregate``.

Source: the project's protocol, section 3, with the commitments opened by the aggregate itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from simulation.base.digest import DIGEST_BYTES, Digest
from simulation.base.encoding import Value
from simulation.contracts.membership import role_of
from simulation.contracts.rounds import (
    PARAMETERS_KEY,
    SALT_BYTES,
    STATUS_KEY,
    Aggregate,
    Commit,
    Opening,
    RoundState,
    Status,
    aggregate_key,
    commit_key,
    commit_of,
    commitment,
    initial_root,
    read_round,
    round_key,
    status,
    task_name,
)
from simulation.ledger.genesis import Genesis
from simulation.ledger.runtime import Context, Rejected
from simulation.ledger.state import Journal
from simulation.ledger.value import is_natural

__all__ = [
    "SALT_BYTES", "Aggregate", "Commit", "Opening", "RoundState", "Status", "TaskContract",
    "commit_of", "commitment", "initial_root",
    "require_parameters", "round", "status", "task_name",
]  # fmt: skip

MAX_TEXT = 128
"""Longest content address, sampler name or accountant name, in characters."""

_DP_COUNTS = ("epsilon_e6", "sigma_e6", "sampling_e6", "steps")
_DP_NAMES = ("sampler", "accountant")
_DP_OPTIONAL = ("delta_e12",)

round = read_round  # noqa: A001 -- read at call sites as task.round(copy, r)

# ---- the contract -------------------------------------------------------------------------------


@dataclass(frozen=True)
class TaskContract:
    """The rounds of one task."""

    def install(self, state: Journal, genesis: Genesis) -> None:
        """Write the task's parameters.

        Raises:
            ValueError: as `require_parameters`.
        """
        root = require_parameters(genesis)
        state.put(PARAMETERS_KEY, genesis.task)
        _put_status(state, Status(0, False, root))

    def call(
        self, state: Journal, context: Context, action: str, body: Mapping[str, Value]
    ) -> None:
        """Perform ``open``, ``commit`` or ``aggregate``.

        Raises:
            Rejected: with the code of the first rule that the transaction breaks.
        """
        match action:
            case "open":
                _require_role(context, "coordinator")
                _open(state, body)
            case "commit":
                _require_role(context, "hospital")
                _commit(state, context, body)
            case "aggregate":
                _require_role(context, "coordinator")
                _close(state, context, body)
            case _:
                raise Rejected("unknown-kind")


def require_parameters(genesis: Genesis) -> Digest | None:
    """The initial root of the genesis task, whose other parameters are free.

    Raises:
        ValueError: when the task lacks ``name`` (text) or ``initial_root`` (32 bytes, or null when
            the initial model is the server app's own affair).
    """
    match genesis.task:
        case {"name": str(), "initial_root": None | bytes() as root} if (
            root is None or len(root) == DIGEST_BYTES
        ):
            return root
        case _:
            raise ValueError("task: needs name (text) and initial_root (32 bytes or null)")


def _open(state: Journal, body: Mapping[str, Value]) -> None:
    _require_keys(body, ("round", "base_root", "eligible"))
    number, base_root = _natural(body["round"]), _digest(body["base_root"])
    eligible = [_natural(hospital) for hospital in _rows(body["eligible"])]
    if not eligible or eligible != sorted(set(eligible)):
        raise Rejected("malformed")
    now = status(state)
    if now.is_open:
        raise Rejected("round-still-open")
    if number != now.round + 1:
        raise Rejected("wrong-round")
    if now.root not in (None, base_root):
        raise Rejected("wrong-base")
    if any(role_of(state, hospital) != "hospital" for hospital in eligible):
        raise Rejected("not-a-hospital")
    _put_status(state, Status(number, True, base_root))
    _put_round(state, number, "open", base_root, eligible)


def _commit(state: Journal, context: Context, body: Mapping[str, Value]) -> None:
    _require_keys(body, ("round", "commitment", "base_root", "nbytes", "examples", "dp"))
    number, base_root = _natural(body["round"]), _digest(body["base_root"])
    value: dict[str, Value] = {
        "commitment": _digest(body["commitment"]),
        "nbytes": _natural(body["nbytes"]),
        "examples": _natural(body["examples"]),
        "dp": _privacy_claim(body["dp"]),
        "height": context.height,
    }
    current = _open_round(state, number)
    if context.sender not in current.eligible:
        raise Rejected("not-eligible")
    if base_root != current.base_root:
        raise Rejected("wrong-base")
    key = commit_key(number, context.sender)
    if state.get(key) is not None:
        raise Rejected("duplicate-commit")
    state.put(key, value)


def _close(state: Journal, context: Context, body: Mapping[str, Value]) -> None:
    _require_keys(body, ("round", "openings", "out_root", "out_cid"))
    number, out_root = _natural(body["round"]), _digest(body["out_root"])
    openings = [_opening(row) for row in _rows(body["openings"])]
    hospitals = [opening.hospital for opening in openings]
    if hospitals != sorted(set(hospitals)):
        raise Rejected("malformed")
    out_cid = _text(body["out_cid"])
    current = _open_round(state, number)
    task = task_name(state)
    for opening in openings:
        stored = current.commits.get(opening.hospital)
        if stored is None:
            raise Rejected("no-commit")
        opened = commitment(
            context.chain,
            task,
            number,
            current.base_root,
            opening.hospital,
            opening.update_root,
            opening.salt,
        )
        if opened != stored.commitment:
            raise Rejected("opening-mismatch")
    if not openings and out_root != current.base_root:
        raise Rejected("void-changes-model")
    value: dict[str, Value] = {
        "openings": [
            {"hospital": o.hospital, "update_root": o.update_root, "salt": o.salt, "cid": o.cid}
            for o in openings
        ],
        "out_root": out_root,
        "out_cid": out_cid,
        "height": context.height,
    }
    state.put(aggregate_key(number), value)
    word = "closed" if openings else "void"
    _put_round(state, number, word, current.base_root, current.eligible)
    _put_status(state, Status(number, False, out_root))


# ---- writes and checks ---------------------------------------------------------------------------


def _put_status(state: Journal, now: Status) -> None:
    state.put(STATUS_KEY, {"round": now.round, "open": now.is_open, "root": now.root})


def _put_round(
    state: Journal, number: int, word: str, base_root: Digest, eligible: Sequence[int]
) -> None:
    state.put(
        round_key(number), {"status": word, "base_root": base_root, "eligible": list(eligible)}
    )


def _open_round(state: Journal, number: int) -> RoundState:
    found = read_round(state, number)
    if found is None or found.status != "open":
        raise Rejected("round-not-open")
    return found


def _require_role(context: Context, role: str) -> None:
    if context.role != role:
        raise Rejected("wrong-role")


def _require_keys(body: Mapping[str, Value], names: tuple[str, ...]) -> None:
    if sorted(body) != sorted(names):
        raise Rejected("malformed")


def _natural(value: Value) -> int:
    if not is_natural(value):
        raise Rejected("malformed")
    return cast(int, value)


def _digest(value: Value) -> Digest:
    if not isinstance(value, bytes) or len(value) != DIGEST_BYTES:
        raise Rejected("malformed")
    return value


def _text(value: Value) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
        raise Rejected("malformed")
    return value


def _rows(value: Value) -> Sequence[Value]:
    if not isinstance(value, (list, tuple)):
        raise Rejected("malformed")
    return value


def _opening(row: Value) -> Opening:
    if not isinstance(row, Mapping):
        raise Rejected("malformed")
    _require_keys(row, ("hospital", "update_root", "salt", "cid"))
    hospital, salt = _natural(row["hospital"]), row["salt"]
    if not isinstance(salt, bytes) or len(salt) != SALT_BYTES:
        raise Rejected("malformed")
    return Opening(hospital, _digest(row["update_root"]), salt, _text(row["cid"]))


def _privacy_claim(value: Value) -> Value:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise Rejected("malformed")
    required = {*_DP_COUNTS, *_DP_NAMES}
    if not required <= set(value) <= required | set(_DP_OPTIONAL):
        raise Rejected("malformed")
    for name in value:
        if name in _DP_NAMES:
            _text(value[name])
        else:
            _natural(value[name])
    return value
