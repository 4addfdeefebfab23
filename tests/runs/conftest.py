"""A small experiment, and worlds without a clock: they return, or raise, what a test asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from simulation.config.experiment import Experiment
from simulation.config.reader import read_text
from simulation.config.study import resolve
from simulation.trace.events import Event, RoundClosed, RoundOpened
from simulation.trace.recorder import Listener, Recorder
from simulation.world import Outcome

TEXT = "name: small\nhospitals: 4\ndata: breast_cancer\npartition: iid\nmodel: logistic\n"

EVENTS = (
    RoundOpened(10, 1, 4, "00", -1),
    RoundClosed(250, 1, 4, 0, 0, "aggregated", "11"),
)


@pytest.fixture
def experiment() -> Experiment:
    """Four hospitals, logistic regression."""
    return resolve(read_text(TEXT, "small.yaml")).experiment()


World = Callable[[Experiment, int, Path, Sequence[Listener]], Outcome]


@pytest.fixture
def make_world() -> Callable[..., World]:
    """Builds a world that records `EVENTS`, writes one ledger file, and then raises or returns."""

    def maker(error: BaseException | None = None, events: Sequence[Event] = EVENTS) -> World:
        def simulate(
            experiment: Experiment, seed: int, folder: Path, listeners: Sequence[Listener]
        ) -> Outcome:
            recorder = Recorder(listeners)
            for event in events:
                recorder.record(event)
            (folder / "ledger").mkdir()
            (folder / "ledger" / "hospital-00.sqlite").write_bytes(b"rows")
            if error is not None:
                raise error
            return Outcome(
                metrics=[
                    {"round": 1, "scope": "pooled", "metric": "auroc", "value": 0.75, "t_us": 250}
                ],
                trace_digest=recorder.digest,
                virtual_us=250,
                summary={"messages": {}},
                invariants=["agreement"],
                events=list(events),
                arrays={"w": np.zeros(1, np.float32)},
                notes=("data: two hospitals have one label",),
            )

        return simulate

    return maker
