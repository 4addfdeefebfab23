"""A strategy that is told who may train and when to stop, whatever strategy it is.

As Flower's own wrappers do, it stands around another strategy and hands everything on. The inner
strategy sees a grid on which only the selected hospitals are, so that stock strategies sample from
them, and the round's ledger entry names exactly those that got an order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy

from simulation.base.rng import Streams
from simulation.base.tensors import Arrays
from simulation.contracts.rules import least_updates
from simulation.federation.arrays import from_record
from simulation.federation.codec import examples_in
from simulation.federation.fixed import rule_for
from simulation.federation.params import FederationParams
from simulation.federation.stopping import Progress

STOPPED_RECORD = "stopped"
"""The record of the ServerApp's context that says in which round it stopped, and why."""


def check_selection(params: FederationParams, hospitals: int) -> None:
    """Refuse a selection that is too small for the strategy's rule.

    Raises:
        ValueError: naming the field and the least that would do.
    """
    least, size = least_updates(rule_for(params)), params.selection.size(hospitals)
    if params.selection.kind != "all" and size < least:
        raise ValueError(
            f"federation.selection: {size} hospitals a round, and {params.strategy} needs "
            f"{least} updates; select at least {least}"
        )


class _Enough(Exception):
    """Ends `Strategy.start`, which has no other end than its last round."""

    def __init__(self, round_: int, reason: str, arrays: ArrayRecord) -> None:
        super().__init__(reason)
        self.round, self.reason, self.arrays = round_, reason, arrays


class Steered(Strategy):
    """Another strategy, with the configuration's selection of hospitals and early stop."""

    def __init__(self, strategy: Strategy, params: FederationParams, streams: Streams) -> None:
        self.strategy = strategy
        self.stopped: ConfigRecord | None = None
        """``round`` and ``reason``, once it has stopped early."""
        self._selection = params.selection
        self._streams = streams
        self._examples: dict[int, int] = {}
        self._progress = None if params.stop_when is None else Progress(params.stop_when)
        self._base: Arrays = {}

    def start(self, *args: Any, **named: Any) -> Result:
        """As `Strategy.start`; after an early stop the result holds the model alone."""
        try:
            return super().start(*args, **named)
        except _Enough as end:
            self.stopped = ConfigRecord({"round": end.round, "reason": end.reason})
            return Result(arrays=end.arrays)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """The inner strategy's orders to the selected hospitals.

        The last round is over by now, its model measured and on the ledger; so here is where to
        stop.
        """
        if self._progress is not None:
            reason = self._progress.verdict(server_round - 1)
            if reason is not None:
                raise _Enough(server_round - 1, reason, arrays)
            self._base = from_record(arrays)

        def choose(nodes: Iterable[int]) -> Iterable[int]:
            return self._selection.choose(server_round, nodes, self._examples, self._streams)

        among = cast("Grid", _Among(grid, choose))
        return self.strategy.configure_train(server_round, arrays, config, among)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The inner strategy's aggregate; takes note of what was committed, and of the step."""
        received = list(replies)
        for reply in received:
            if reply.has_content():
                self._examples[reply.metadata.src_node_id] = examples_in(reply.content)
        arrays, metrics = self.strategy.aggregate_train(server_round, received)
        if arrays is not None and self._progress is not None:
            self._progress.moved(self._base, from_record(arrays))
        return arrays, metrics

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """The inner strategy's, unchanged."""
        return self.strategy.configure_evaluate(server_round, arrays, config, grid)

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """The inner strategy's, unchanged."""
        return self.strategy.aggregate_evaluate(server_round, replies)

    def summary(self) -> None:
        """The inner strategy's, unchanged."""
        self.strategy.summary()


class _Among:
    """A grid on which only those nodes are that ``choose`` picks, of whoever is there now."""

    def __init__(self, grid: Grid, choose: Callable[[Iterable[int]], Iterable[int]]) -> None:
        self._grid = grid
        self._choose = choose

    def __getattr__(self, name: str) -> Any:
        return getattr(self._grid, name)

    def get_node_ids(self) -> Iterable[int]:
        return self._choose(self._grid.get_node_ids())
