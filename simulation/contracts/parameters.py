"""What the genesis says about the task: its name, protocol, rule and deadlines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from simulation.base.digest import DIGEST_BYTES, Digest
from simulation.base.encoding import Value
from simulation.contracts.round_keys import PARAMETERS_KEY
from simulation.contracts.rules import Rule, least_updates, rule_of
from simulation.ledger.genesis import Genesis
from simulation.ledger.state import Reader
from simulation.ledger.value import read_once

Protocol = Literal["hash_only", "commit_reveal"]
PROTOCOLS: tuple[Protocol, ...] = ("hash_only", "commit_reveal")


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


def task_name(state: Reader) -> str:
    """The task's name in the genesis: the ``task`` of every commitment."""
    return parameters(state).name


def initial_root(state: Reader) -> Digest | None:
    """The model that the first round must start from; None when the genesis leaves it open."""
    return parameters(state).initial_root
