"""What a replica does when reveals have ended: it looks after what it holds, and recomputes.

Its own computation of a round's result goes to the ledger as its word on it. That starts when
reveals have ended on the replica's own copy, whether or not the coordinator has proposed anything
yet, and uses only bytes that the replica has checked itself. Replicas of a process that aggregate
the same bytes share one real computation; each is charged for it.

Source: the project's protocol, sections 3 (aggregate) and 4.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import simpy

from simulation.base.units import US_PER_S
from simulation.contracts.aggregation import aggregate_models
from simulation.contracts.committee import committee
from simulation.contracts.parameters import parameters
from simulation.contracts.rounds import ENDED, OPEN, SEALED, RoundState, read_round, round_status
from simulation.contracts.rules import Rule
from simulation.nodes.ledger_service import LedgerService
from simulation.nodes.messages import Reply
from simulation.nodes.shelf import Shelf
from simulation.nodes.update_check import root_of

Start = Callable[[Generator[simpy.Event, Any, None]], object]
"""Runs a process until it ends or its node crashes."""


class Recomputing:
    """One replica's part in ending rounds; a follower has none.

    Without a rule there is nothing to recompute, and it looks after its vault only.
    """

    def __init__(
        self, ledger: LedgerService, shelf: Shelf, aggregate_mb_per_s: float, start: Start
    ) -> None:
        self._ledger = ledger
        self._shelf = shelf
        self._mb_per_s = aggregate_mb_per_s
        self._start = start
        self._begun = 0
        known = parameters(ledger.copy)
        self._least = known.least_updates
        self._rule = known.rule

    def begin(self, number: int) -> None:
        """See to it that this replica does its part in a round; once per round."""
        votes = self._ledger.node.id in committee(self._ledger.copy).replicas
        if votes and number > self._begun:
            self._begun = number
            self._start(self._end(number))

    def _end(self, number: int) -> Generator[simpy.Event, Any, None]:
        ledger = self._ledger
        yield ledger.when(lambda: round_status(ledger.copy, number) not in (None, OPEN, SEALED))
        height = ledger.copy.height
        yield ledger.when(lambda: ledger.is_certified(height))
        state = read_round(ledger.copy, number)
        assert state is not None, "the condition waited for holds"
        if self._rule is None:
            yield from self._shelf.tend(state)
        elif len(state.openings) >= self._least and state.status not in ENDED:
            yield from self._confirm(self._rule, state)

    def _confirm(self, rule: Rule, state: RoundState) -> Generator[simpy.Event, Any, None]:
        ledger, node = self._ledger, self._ledger.node
        openings = [state.openings[hospital] for hospital in sorted(state.openings)]
        replies = yield from self._shelf.collect(state, openings)
        rows = rows_of(state, replies)
        size = sum(len(data) for _, _, data in rows)
        yield node.compute(round(size * US_PER_S / (self._mb_per_s * 1e6)))
        root = root_of(aggregate_models(rule, rows))
        yield from ledger.submit("task.confirm", {"round": state.round, "out_root": root})


def rows_of(state: RoundState, replies: list[Reply]) -> tuple[tuple[int, int, bytes], ...]:
    """Hospital, weight on the ledger, and bytes of each update."""
    return tuple((r.hospital, state.commits[r.hospital].examples, r.model) for r in replies)
