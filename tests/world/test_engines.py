"""Whole runs under every engine: one configuration, one model, whoever computes it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from simulation.config.concerns import concerns
from simulation.config.load import load
from simulation.learning.engines import BatchedParams, ProcessParams, RayParams
from simulation.learning.engines.batched import BatchedEngine
from simulation.world import make_setting, simulate
from simulation.world.federated import World

QUICKSTART = Path(__file__).parents[2] / "configs" / "quickstart.yaml"
SMALL = [
    "privacy={kind: dp_sgd, noise_multiplier: 2.0, delta: 1e-4}",
    "federation.rounds=2",
    "ledger.store=memory",
]


def test_batched_runs_share_one_computation() -> None:
    """Each round is one computation of all hospitals, with the same account and virtual times."""
    inline = load(QUICKSTART, SMALL)
    batched = dataclasses.replace(inline, engine=BatchedParams())
    wanted = simulate(inline, 42)
    world = World(batched, 42, make_setting(batched, 42), None, (), {})

    found = world.run()

    engine = world.setting.engine
    assert isinstance(engine, BatchedEngine)
    assert engine.computed == [7, 7]
    assert found.virtual_us == wanted.virtual_us
    spent = [
        [e for e in run.events if type(e).__name__ == "PrivacySpent"] for run in (found, wanted)
    ]
    assert len(spent[0]) == 14
    assert spent[0] == spent[1]
    assert found.invariants == wanted.invariants


@pytest.mark.slow
@pytest.mark.parametrize("engine", [ProcessParams(workers=2), RayParams(workers=2)])
def test_workers_give_the_same_run(engine: ProcessParams | RayParams) -> None:
    """Bit for bit: the digest over the whole trace is that of the inline engine."""
    if isinstance(engine, RayParams):
        pytest.importorskip("ray", reason="the extra ray is not installed")
    inline = load(QUICKSTART, SMALL)
    elsewhere = dataclasses.replace(inline, engine=engine)

    assert simulate(elsewhere, 42).trace_digest == simulate(inline, 42).trace_digest


@pytest.mark.parametrize(
    "strategy",
    [[], ["federation.strategy=FedProx", "federation.strategy_args={proximal_mu: 0.5}"]],
)
def test_a_batched_round_gives_the_same_model(strategy: list[str]) -> None:
    """From one global model the next one agrees within tolerance. (Noise is keyed by the model that
    training starts from, so later rounds draw other noise; see `Trainer.draws`.) What the strategy
    puts into an order, like FedProx its pull, is part of the announced task."""
    inline = load(QUICKSTART, [*SMALL, "federation.rounds=1", *strategy])
    batched = dataclasses.replace(inline, engine=BatchedParams())
    world = World(batched, 42, make_setting(batched, 42), None, (), {})

    found = world.run()

    assert isinstance(world.setting.engine, BatchedEngine)
    assert world.setting.engine.computed == [7]
    wanted = simulate(inline, 42)
    for name, array in wanted.arrays.items():
        np.testing.assert_allclose(found.arrays[name], array, atol=2e-6, rtol=0)
    if strategy:
        averaged = simulate(load(QUICKSTART, [*SMALL, "federation.rounds=1"]), 42)
        for name, array in wanted.arrays.items():
            assert np.abs(averaged.arrays[name] - array).max() > 1e-3


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("model.norm=layer", "model.norm: layer is no pointwise function"),
        ("privacy=none", "it computes private training only"),
        ("federation.rounds=2", None),
    ],
)
def test_an_engine_with_nothing_to_do_says_so(override: str, reason: str | None) -> None:
    """A model outside the engine's class trains with Opacus, and the run says so first."""
    said = concerns(load(QUICKSTART, [override, "engine=batched"]))

    if reason is None:
        assert said == []
    else:
        assert len(said) == 1
        assert reason in said[0]
