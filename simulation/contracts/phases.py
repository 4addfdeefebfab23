"""How a round moves from one phase to the next: by its last event, or by the clock of the chain."""

from __future__ import annotations

from collections.abc import Sequence

from simulation.base.digest import Digest
from simulation.base.encoding import encode
from simulation.base.ids import HospitalId
from simulation.base.merkle import merkle_root
from simulation.contracts import privacy
from simulation.contracts.parameters import parameters
from simulation.contracts.round_keys import STATUS_KEY, round_key
from simulation.contracts.rounds import (
    OPEN,
    REVEALED,
    SEALED,
    RoundState,
    Status,
    awaited,
    read_round,
)
from simulation.ledger.runtime import Context, Rejected
from simulation.ledger.state import Journal


def put_status(state: Journal, now: Status) -> None:
    """Write where the task stands."""
    state.put(STATUS_KEY, {"round": now.round, "open": now.is_open, "root": now.root})


def put_round(
    state: Journal,
    number: int,
    word: str,
    base_root: Digest,
    eligible: Sequence[HospitalId],
    height: int,
    time_us: int,
    *,
    commits_root: Digest | None,
) -> None:
    """Write where a round stands."""
    state.put(
        round_key(number),
        {
            "status": word,
            "base_root": base_root,
            "eligible": list(eligible),
            "height": height,
            "time_us": time_us,
            "commits_root": commits_root,
        },
    )


def set_phase(state: Journal, context: Context, found: RoundState, word: str) -> None:
    """Write a new phase of a round; what else is known of it stays."""
    put_round(
        state, found.round, word, found.base_root, found.eligible,
        context.height, context.time_us, commits_root=found.commits_root,
    )  # fmt: skip


def open_round(state: Journal, number: int, *phases: str) -> RoundState:
    """The round, when it is in one of these phases.

    Raises:
        Rejected: ``round-not-open`` when it was never opened or has ended, else ``wrong-phase``.
    """
    found = read_round(state, number)
    if found is None or found.status in ("closed", "void"):
        raise Rejected("round-not-open")
    if found.status not in phases:
        raise Rejected("wrong-phase")
    return found


def is_over(state: Journal, context: Context, found: RoundState) -> bool:
    """Whether the deadline of the round's phase has passed, by height and by header time."""
    limits = parameters(state).deadlines
    if limits is None:
        return False
    if found.status == OPEN:
        blocks, duration_us = limits.commit_blocks, limits.commit_us
    else:
        blocks, duration_us = limits.reveal_blocks, limits.reveal_us
    passed = context.height - found.height, context.time_us - found.time_us
    return passed[0] >= blocks and passed[1] >= duration_us


def move_on(state: Journal, context: Context, number: int) -> None:
    """Enter the next phase when nobody is awaited in this one any more."""
    found = read_round(state, number)
    if (
        found is not None
        and found.status in (OPEN, SEALED)
        and parameters(state).protocol == "commit_reveal"
        and not awaited(found, state)
    ):
        enter(state, context, found)


def enter(state: Journal, context: Context, found: RoundState) -> None:
    """From ``open`` to ``sealed``, and from there, or with nothing to wait for, to ``revealed``."""
    root = found.commits_root
    if found.status == OPEN:
        root = merkle_root([encode([h, c.commitment]) for h, c in sorted(found.commits.items())])
        for hospital in found.commits:
            privacy.spend(state, hospital)
        word = SEALED
    else:
        word = REVEALED
    put_round(
        state, found.round, word, found.base_root, found.eligible,
        context.height, context.time_us, commits_root=root,
    )  # fmt: skip
    if word == SEALED:
        move_on(state, context, found.round)
