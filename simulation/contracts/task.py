"""The federated task: one round after another, each a state machine that every replica runs.

    task.open          coordinator   cites the model that the round starts from, and who takes part
    task.commit        hospital      a salted commitment to its update; one per hospital and round
    task.decline       hospital      sits the round out, and says why
    task.seal          any member    a tick: ends the commitments when their deadline has passed
    task.reveal        hospital      opens its commitment; f + 1 replicas vouch for the bytes
    task.close_reveal  any member    a tick: ends the reveals when their deadline has passed
    task.aggregate     coordinator   proposes the resulting model, over exactly the revealed updates
    task.confirm       replica       the root of the result that it has computed itself

    open ─all have answered─► sealed ─all have revealed─► revealed ─► proposed ─► closed or void

The coordinator decides nothing that the contract cannot check: a round starts from the model that
the last one ended with, an aggregate names the inputs that the ledger knows, and where the task has
a rule in integers it stands only when a quorum of replicas has computed the same root. Fewer
updates than the task wants make a round void, which leaves the model as it was.

Under ``hash_only``, the ablation, a commitment is the update's bare root: there is no salt, no
identity, no seal and no reveal, and the coordinator picks which commitments it uses.

State: ``task/parameters`` (from the genesis), ``task/status``,
``task/round/<r>`` and below it ``commit``, ``decline``, ``reveal``, ``aggregate``, ``confirm``.

Source: the project's protocol, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulation.base.digest import Digest
from simulation.base.encoding import Value
from simulation.contracts import aggregates, privacy, reveals
from simulation.contracts.aggregation import MAX_WEIGHT
from simulation.contracts.commitments import SALT_BYTES, commitment
from simulation.contracts.evidence import Evidence, accuse, is_quarantined
from simulation.contracts.fields import digest, natural, require_keys, require_role, rows, text
from simulation.contracts.members import role_of
from simulation.contracts.parameters import (
    Parameters,
    initial_root,
    parameters,
    parameters_of,
    task_name,
)
from simulation.contracts.phases import (
    enter,
    is_over,
    move_on,
    open_round,
    put_round,
    put_status,
)
from simulation.contracts.round_keys import PARAMETERS_KEY, commit_key, decline_key
from simulation.contracts.rounds import (
    OPEN,
    SEALED,
    Aggregate,
    Commit,
    Opening,
    RoundState,
    Status,
    commit_of,
    read_round,
    status,
)
from simulation.ledger.genesis import Genesis
from simulation.ledger.runtime import Context, Recorded, Rejected
from simulation.ledger.state import Journal

__all__ = [
    "SALT_BYTES", "Aggregate", "Commit", "Opening", "Parameters", "RoundState", "Status",
    "TaskContract", "commit_of", "commitment", "initial_root", "parameters", "require_parameters",
    "round", "status", "task_name",
]  # fmt: skip

Action = Callable[[Journal, Context, Mapping[str, Value]], None]

round = read_round  # noqa: A001 -- read at call sites as task.round(copy, r)


def require_parameters(genesis: Genesis) -> Digest | None:
    """The initial root of the genesis task, when its parameters make sense.

    Raises:
        ValueError: as `simulation.contracts.parameters.parameters_of`.
    """
    return parameters_of(genesis).initial_root


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
        put_status(state, Status(0, False, root))

    def call(
        self, state: Journal, context: Context, action: str, body: Mapping[str, Value]
    ) -> None:
        """Perform one of the actions above.

        Raises:
            Rejected: with the code of the first rule that the transaction breaks.
        """
        known = _ACTIONS.get(action)
        if known is None:
            raise Rejected("unknown-kind")
        role, perform = known
        if role is not None:
            require_role(context, role)
        perform(state, context, body)


def _open(state: Journal, context: Context, body: Mapping[str, Value]) -> None:
    require_keys(body, ("round", "base_root", "eligible"))
    number, base_root = natural(body["round"]), digest(body["base_root"])
    eligible = tuple(natural(hospital) for hospital in rows(body["eligible"]))
    if not eligible or list(eligible) != sorted(set(eligible)):
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
    put_status(state, Status(number, True, base_root))
    put_round(
        state, number, OPEN, base_root, eligible, context.height, context.time_us, commits_root=None
    )


def _commit(state: Journal, context: Context, body: Mapping[str, Value]) -> None:
    require_keys(body, ("round", "commitment", "base_root", "nbytes", "examples", "dp", "cid"))
    number, base_root = natural(body["round"]), digest(body["base_root"])
    claim, examples = privacy.claim_of(body["dp"]), natural(body["examples"])
    value: dict[str, Value] = {
        "commitment": digest(body["commitment"]),
        "nbytes": natural(body["nbytes"]),
        "examples": examples,
        "dp": claim,
        "cid": None if body["cid"] is None else text(body["cid"]),
        "height": context.height,
        "transaction": context.transaction,
    }
    known, me = parameters(state), context.sender
    if (value["cid"] is None) != (known.protocol == "commit_reveal"):
        raise Rejected("malformed")
    first = commit_of(state, number, me)
    if first is not None and first.commitment != value["commitment"]:
        _equivocation(state, context, number, first)
    current = _committing(state, context, number, base_root)
    # No round can then be too heavy for the integers, whoever takes part.
    if known.rule is not None and not 1 <= examples <= MAX_WEIGHT // len(current.eligible):
        raise Rejected("weight-out-of-range")
    try:
        privacy.reserve(state, known.name, number, me, claim)
    except Recorded as refusal:
        state.put(decline_key(number, me), refusal.code)
        move_on(state, context, number)
        raise
    state.put(commit_key(number, me), value)
    if known.protocol == "hash_only":
        privacy.spend(state, me)
    else:
        move_on(state, context, number)


def _equivocation(state: Journal, context: Context, number: int, first: Commit) -> None:
    """Keep the pair of signed transactions, whenever the second one comes.

    Raises:
        Recorded: always.
    """
    me = context.sender
    if not is_quarantined(state, me):
        proof: dict[str, Value] = {"first": first.transaction, "second": context.transaction}
        entry = Evidence(me, "equivocation", number, context.height, proof)
        accuse(state, entry, quarantine=True)
        move_on(state, context, number)
    raise Recorded("equivocation")


def _committing(state: Journal, context: Context, number: int, base_root: Digest) -> RoundState:
    """The round, when the sender may commit to it now."""
    current = open_round(state, number, OPEN)
    if context.sender not in current.eligible:
        raise Rejected("not-eligible")
    if is_quarantined(state, context.sender):
        raise Rejected("quarantined")
    if base_root != current.base_root:
        raise Rejected("wrong-base")
    if context.sender in current.commits:
        raise Rejected("duplicate-commit")
    if context.sender in current.declined:
        raise Rejected("declined")
    if is_over(state, context, current):
        raise Rejected("too-late")
    return current


def _decline(state: Journal, context: Context, body: Mapping[str, Value]) -> None:
    require_keys(body, ("round", "reason"))
    number, reason = natural(body["round"]), text(body["reason"])
    current = open_round(state, number, OPEN)
    if context.sender not in current.eligible:
        raise Rejected("not-eligible")
    if context.sender in current.commits or context.sender in current.declined:
        raise Rejected("already-answered")
    state.put(decline_key(number, context.sender), reason)
    move_on(state, context, number)


def _seal(state: Journal, context: Context, body: Mapping[str, Value]) -> None:
    _tick(state, context, body, OPEN)


def _close_reveal(state: Journal, context: Context, body: Mapping[str, Value]) -> None:
    _tick(state, context, body, SEALED)


def _tick(state: Journal, context: Context, body: Mapping[str, Value], phase: str) -> None:
    require_keys(body, ("round",))
    number = natural(body["round"])
    if parameters(state).protocol == "hash_only":
        raise Rejected("unknown-kind")
    current = open_round(state, number, phase)
    if not is_over(state, context, current):
        raise Rejected("too-early")
    enter(state, context, current)


_ACTIONS: Mapping[str, tuple[str | None, Action]] = {
    "open": ("coordinator", _open),
    "commit": ("hospital", _commit),
    "decline": ("hospital", _decline),
    "seal": (None, _seal),
    "reveal": ("hospital", reveals.reveal),
    "close_reveal": (None, _close_reveal),
    "aggregate": ("coordinator", aggregates.propose),
    "confirm": ("hospital", aggregates.confirm),
}
"""Who may perform what; None is every member."""
