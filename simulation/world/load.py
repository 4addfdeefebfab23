"""A world that orders requests and trains nothing: throughput and latency of consensus alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from simulation.base.units import US_PER_S
from simulation.config.experiment import Experiment
from simulation.nodes.cluster import Cluster
from simulation.nodes.loads import Load
from simulation.nodes.properties import PROPERTIES, honest_core
from simulation.nodes.workload import Measurement, Workload
from simulation.trace.recorder import Listener, Recorder
from simulation.world.outcome import InvariantError, Outcome

SCOPE = "workload"
"""The scope of a workload's metrics."""
WARMUP, MEASURED = 0, 1
"""The windows of a workload, in the column ``round``."""
SHARES = {"latency_p50_us": 0.5, "latency_p90_us": 0.9, "latency_p99_us": 0.99}


class LoadWorld:
    """One run of a workload. The constructor wires, `run` runs.

    Raises:
        ValueError: when the protocol takes no requests from where the clients are.
    """

    def __init__(
        self, experiment: Experiment, seed: int, listeners: Sequence[Listener] = ()
    ) -> None:
        load = experiment.workload
        assert isinstance(load, Load), "without a workload the hospitals learn"
        self._recorder = Recorder(listeners)
        self.cluster = Cluster(
            experiment.consensus,
            experiment.replicas,
            experiment.network,
            experiment.crypto,
            seed,
            others=experiment.nodes - experiment.replicas,
            faults=experiment.faults,
            record=self._recorder.record,
            watched=True,
        )
        self._workload = Workload(self.cluster, load)
        self._load = load

    def run(self) -> Outcome:
        """Run both windows, check, and say what was measured.

        Raises:
            InvariantError: when clients waited and nothing was ever completed.
            PropertyViolation: when honest replicas contradict each other.
        """
        seen = self._workload.run()
        watch = self.cluster.watch
        assert watch is not None, "a workload's replicas are watched"
        for host in self.cluster.hosts:
            if host.node.id in watch.honest:
                core, now_us = honest_core(host.core), self.cluster.clock.now
                watch.observer.on_footprint(host.node.id, core, now_us)
        watch.judge()
        if not seen.completed:
            raise InvariantError(
                f"liveness: no request was completed in the measured window; {self.who_waits()}"
            )
        return Outcome(
            metrics=self._rows(seen),
            trace_digest=self._recorder.digest,
            virtual_us=self.cluster.clock.now,
            summary=self._summary(seen),
            invariants=sorted(PROPERTIES),
            events=self._recorder.events,
            arrays={},
        )

    def who_waits(self) -> str:
        """Each replica's state, for a run in which nothing moves."""
        logs = self.cluster.result().decisions
        lines: list[str] = []
        for host, log in zip(self.cluster.hosts, logs, strict=True):
            core = honest_core(host.core)
            state = f"decided {len(log)}, view {getattr(core, 'view', 0)}, leader {core.leader}"
            waiting = len(getattr(core, "waiting", ()))
            words = "down" if host.node.down else f"{state}, knows {waiting} open requests"
            lines.append(f"replica {host.node.id}: {words}")
        return "; ".join(lines)

    def _rows(self, seen: Measurement) -> list[dict[str, Any]]:
        load = self._load
        warm_us, end_us = round(load.warmup_s * US_PER_S), self.cluster.clock.now
        rows: list[dict[str, Any]] = []
        windows = (
            (WARMUP, warm_us, load.warmup_s, seen.warmup_us),
            (MEASURED, end_us, load.measure_s, seen.latencies_us),
        )
        for window, at_us, length_s, latencies_us in windows:
            values = _window(length_s, latencies_us)
            if window == MEASURED:
                values = {"submitted": seen.submitted, **values}
            rows += [
                {"round": window, "scope": SCOPE, "metric": metric, "value": value, "t_us": at_us}
                for metric, value in values.items()
            ]
        return rows

    def _summary(self, seen: Measurement) -> dict[str, Any]:
        sent = {kind: dataclasses.asdict(count) for kind, count in seen.cluster.sent.items()}
        decided = max(len(log) for log in seen.cluster.decisions)
        return {
            "messages": sent,
            "virtual_us": self.cluster.clock.now,
            "workload": {
                "replicas": self.cluster.n,
                "decisions": decided,
                **_window(self._load.measure_s, seen.latencies_us),
            },
        }


def _window(length_s: float, latencies_us: Sequence[int]) -> dict[str, float]:
    """What one window showed; without completed requests there are no latencies."""
    values: dict[str, float] = {"completed": float(len(latencies_us))}
    if length_s:
        values["throughput_per_s"] = len(latencies_us) / length_s
    if latencies_us:
        array = np.asarray(latencies_us)
        values["latency_mean_us"] = float(array.mean())
        for name, share in SHARES.items():
            values[name] = float(np.quantile(array, share))
        values["latency_max_us"] = float(array.max())
    return values
