"""Models that draw how long messages travel.

A model is asked for a whole block of destinations at once, so that a broadcast costs one slice of
numbers that were drawn long before. Every source node has its own named stream.

Messages between the same two nodes may overtake each other when their delays are random, as
datagrams do; with a constant delay, or a base delay per pair and no jitter, order is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from operator import add
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simulation.base.ids import NodeId
from simulation.base.rng import Streams
from simulation.base.units import US_PER_MS
from simulation.network.latency import (
    ConstantLatency,
    EmpiricalLatency,
    GammaLatency,
    LatencyParams,
    LognormalLatency,
    NormalLatency,
    PairLatency,
    UniformLatency,
)
from simulation.network.regions import RegionLatency, region_bases_us

BLOCK = 4096
"""Numbers drawn per call of a generator: enough to hide NumPy's cost of a call."""


class LatencyModel(Protocol):
    """Draws the delays of one message to several destinations."""

    least_us: int
    """No delay is shorter; 0 when nothing is known."""

    def draw_block(self, src: NodeId, dsts: Sequence[NodeId]) -> list[int]:
        """One-way delays in µs from ``src`` to each of ``dsts``, in the same order."""
        ...


Sampler = Callable[[np.random.Generator], NDArray[np.float64]]
"""Draws `BLOCK` delays in milliseconds."""


def _drawn_us(sampler: Sampler, generator: np.random.Generator) -> Iterator[int]:
    """Whole-microsecond delays of one stream without end, drawn `BLOCK` at a time."""

    def blocks() -> Iterator[list[int]]:
        while True:
            yield np.rint(sampler(generator) * US_PER_MS).astype(np.int64).tolist()

    return chain.from_iterable(blocks())


class ConstantModel:
    """The same delay for every message."""

    def __init__(self, delay_us: int) -> None:
        self.least_us = delay_us

    def draw_block(self, src: NodeId, dsts: Sequence[NodeId]) -> list[int]:
        """See `LatencyModel.draw_block`."""
        del src
        return [self.least_us] * len(dsts)


class IndependentModel:
    """Every message draws from one distribution, whoever talks to whom."""

    def __init__(self, nodes: int, sampler: Sampler, streams: Streams, least_us: int = 0) -> None:
        self.least_us = least_us
        self._drawn = [
            _drawn_us(sampler, streams.stream("network", "latency", src)) for src in range(nodes)
        ]

    def draw_block(self, src: NodeId, dsts: Sequence[NodeId]) -> list[int]:
        """See `LatencyModel.draw_block`."""
        return list(islice(self._drawn[src], len(dsts)))


class MatrixModel:
    """A base delay per directed pair, plus jitter drawn per message.

    Args:
        base_us: ``base_us[src][dst]`` is the one-way delay in µs; the diagonal is never used.
        jitter: draws what is added to each message, in ms; None for no jitter.
    """

    def __init__(
        self, base_us: Sequence[Sequence[int]], jitter: Sampler | None, streams: Streams
    ) -> None:
        self._base_us = [list(row) for row in base_us]
        self._last: list[tuple[Sequence[NodeId], list[int]]] = [((), [])] * len(base_us)
        """Per source: the destinations it named last, and their base delays. A replica names the
        same tuple for every broadcast."""
        others = [us for src, row in enumerate(base_us) for dst, us in enumerate(row) if src != dst]
        self.least_us = min(others, default=0)
        self._jitter = jitter and [
            _drawn_us(jitter, streams.stream("network", "jitter", src))
            for src in range(len(base_us))
        ]

    def draw_block(self, src: NodeId, dsts: Sequence[NodeId]) -> list[int]:
        """See `LatencyModel.draw_block`."""
        last, base_us = self._last[src]
        if last is not dsts:
            row = self._base_us[src]
            base_us = [row[dst] for dst in dsts]
            if isinstance(dsts, tuple):
                self._last[src] = (dsts, base_us)
        if self._jitter is None:
            return base_us
        return list(map(add, base_us, self._jitter[src]))  # as many as there are bases


def latency_model(params: LatencyParams, nodes: int, streams: Streams) -> LatencyModel:
    """The model that ``params`` describe, for nodes 0 .. ``nodes`` − 1."""
    match params:
        case ConstantLatency():
            return ConstantModel(round(params.delay_ms * US_PER_MS))
        case PairLatency():
            return MatrixModel(
                _pair_bases(params, nodes, streams), _exponential(params.jitter_ms), streams
            )
        case RegionLatency():
            return MatrixModel(
                region_bases_us(params, nodes), _exponential(params.jitter_ms), streams
            )
        case _:
            return IndependentModel(nodes, _sampler(params), streams, _least_us(params))


def _pair_bases(params: PairLatency, nodes: int, streams: Streams) -> list[list[int]]:
    base = [[0] * nodes for _ in range(nodes)]
    for a in range(nodes):
        # Node a draws its pairs with lower numbers only, so that more nodes change no other pair.
        drawn = streams.stream("network", "pairs", a).uniform(params.low_ms, params.high_ms, a)
        for b, delay_ms in enumerate(drawn.tolist()):
            base[a][b] = base[b][a] = round(delay_ms * US_PER_MS)
    return base


def _exponential(mean_ms: float) -> Sampler | None:
    if mean_ms == 0:
        return None
    return lambda generator: generator.exponential(mean_ms, BLOCK)


def _sampler(
    params: UniformLatency | NormalLatency | LognormalLatency | GammaLatency | EmpiricalLatency,
) -> Sampler:
    match params:
        case UniformLatency():
            return lambda generator: generator.uniform(params.low_ms, params.high_ms, BLOCK)
        case NormalLatency():
            return lambda generator: _truncated_normal(generator, params.mean_ms, params.sd_ms)
        case LognormalLatency():
            mu = float(np.log(params.median_ms))
            return lambda generator: generator.lognormal(mu, params.sigma, BLOCK)
        case GammaLatency():
            scale = (params.mean_ms - params.floor_ms) / params.shape
            return lambda generator: params.floor_ms + generator.gamma(params.shape, scale, BLOCK)
        case EmpiricalLatency():
            samples = np.asarray(params.samples_ms, dtype=np.float64)
            return lambda generator: samples[generator.integers(0, len(samples), BLOCK)]


def _least_us(
    params: UniformLatency | NormalLatency | LognormalLatency | GammaLatency | EmpiricalLatency,
) -> int:
    match params:
        case UniformLatency():
            least_ms = params.low_ms
        case GammaLatency():
            least_ms = params.floor_ms
        case EmpiricalLatency():
            least_ms = min(params.samples_ms)
        case NormalLatency() | LognormalLatency():
            least_ms = 0.0
    return int(least_ms * US_PER_MS)


def _truncated_normal(
    generator: np.random.Generator, mean: float, sd: float
) -> NDArray[np.float64]:
    drawn = generator.normal(mean, sd, BLOCK)
    # The mean is not negative, so at least half of every round of draws is kept.
    while (negative := drawn < 0).any():
        drawn[negative] = generator.normal(mean, sd, int(negative.sum()))
    return drawn
