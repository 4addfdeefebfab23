"""What goes wrong on the cables: loss, duplicates, delays, partitions, held links.

Applied to each copy when its broadcast is sent, after the sender's uplink: a lost message has cost
its sender's bandwidth all the same. In fair weather the network never asks. Every source node draws
from its own named stream.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from simulation.base.ids import NodeId
from simulation.base.rng import Streams
from simulation.base.units import us_from_ms
from simulation.network.delays import BLOCK
from simulation.network.params import NetworkParams

Link = tuple[NodeId, NodeId]
"""A directed link: from, to."""


class Weather:
    """The state of all links between nodes 0 .. ``nodes`` − 1; faults change it during a run."""

    def __init__(self, nodes: int, streams: Streams) -> None:
        self.nodes = nodes
        self.loss = 0.0
        """Probability that a copy is lost."""
        self.duplicate = 0.0
        """Probability that a copy arrives twice."""
        self.reorder = 0.0
        """Probability that a copy takes longer, by up to ``reorder_us``."""
        self.reorder_us = 0
        """The most that a reordered or duplicated copy is late, in µs."""
        self._cut: set[Link] = set()
        self._held: set[Link] = set()
        self._slow_us: dict[Link, int] = {}
        self._streams = streams
        self._draws: dict[NodeId, list[float]] = {}
        self._generators: dict[NodeId, np.random.Generator] = {}

    @property
    def fair(self) -> bool:
        """Whether nothing at all goes wrong."""
        return not (
            self.loss or self.duplicate or self.reorder or self._cut or self._held or self._slow_us
        )

    def set(self, loss: float, duplicate: float, reorder: float, reorder_us: int) -> None:
        """Change all probabilities at once."""
        self.loss, self.duplicate = loss, duplicate
        self.reorder, self.reorder_us = reorder, reorder_us

    # ---- changing it --------------------------------------------------------------------------

    def partition(self, groups: Iterable[Iterable[NodeId]], one_way: bool = False) -> None:
        """Cut all links between groups; nodes that are not named form one more group.

        One-way, only what leaves the named groups is lost: they still hear the others.
        """
        side = dict.fromkeys(range(self.nodes), 0)
        for number, group in enumerate(groups, start=1):
            side.update(dict.fromkeys(group, number))
        for src in range(self.nodes):
            for dst in range(self.nodes):
                if side[src] != side[dst] and not (one_way and side[src] == 0):
                    self._cut.add((src, dst))

    def heal(self) -> None:
        """Mend all cut links."""
        self._cut.clear()

    def hold(self, links: Iterable[Link]) -> None:
        """Keep what is sent on these links until they are released."""
        self._held.update(links)

    def release(self) -> None:
        """Hold no link any more."""
        self._held.clear()

    def slow(self, links: Iterable[Link], extra_us: int) -> None:
        """Add a fixed delay to these links; 0 makes them as fast as they were."""
        for link in links:
            if extra_us:
                self._slow_us[link] = extra_us
            else:
                self._slow_us.pop(link, None)

    def links_of(self, node: NodeId) -> list[Link]:
        """All links from and to a node."""
        others = [other for other in range(self.nodes) if other != node]
        return [(node, other) for other in others] + [(other, node) for other in others]

    # ---- asking it ----------------------------------------------------------------------------

    def reaches(self, src: NodeId, dst: NodeId) -> bool:
        """Whether what is sent on this link gets through at all."""
        return (src, dst) not in self._cut and (src, dst) not in self._held

    def holds(self, src: NodeId, dst: NodeId) -> bool:
        """Whether what is sent on this link waits."""
        return (src, dst) in self._held

    def arrivals(self, src: NodeId, dst: NodeId, at_us: int) -> tuple[int, ...]:
        """When the copies of what would arrive at ``at_us`` really do; none when it is lost."""
        if (src, dst) in self._cut:
            return ()
        at_us += self._slow_us.get((src, dst), 0)
        if self.loss and self._draw(src) < self.loss:
            return ()
        if self.reorder and self._draw(src) < self.reorder:
            at_us += round(self._draw(src) * self.reorder_us)
        if self.duplicate and self._draw(src) < self.duplicate:
            return (at_us, at_us + round(self._draw(src) * self.reorder_us))
        return (at_us,)

    def _draw(self, src: NodeId) -> float:
        """The next number in [0, 1) of a node's stream."""
        draws = self._draws.get(src)
        if not draws:
            if src not in self._generators:
                self._generators[src] = self._streams.stream("network", "weather", src)
            draws = self._draws[src] = self._generators[src].random(BLOCK)[::-1].tolist()
        return draws.pop()


def weather_of(params: NetworkParams, nodes: int, streams: Streams) -> Weather:
    """The weather at the start of a run."""
    weather = Weather(nodes, streams)
    weather.set(params.loss, params.duplicate, params.reorder, us_from_ms(params.reorder_ms))
    return weather
