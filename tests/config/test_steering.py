"""Selection of hospitals and early stopping, held against the rest of a configuration."""

from __future__ import annotations

import pytest

from simulation.federation.selection import SelectInTurn
from simulation.federation.stopping import StopWhen

TURNS = "federation.selection={kind: round_robin, count: 3}"


def test_both_are_read(loaded):
    found = loaded(TURNS, "federation.stop_when={patience: 2}").federation
    assert found.selection == SelectInTurn(count=3)
    assert found.stop_when == StopWhen(patience=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["federation.selection={kind: random}"], "federation.selection.count: give exactly one"),
        (["federation.selection={kind: fastest}"], "federation.selection.kind: unknown kind"),
        (
            ["federation.selection={kind: random, count: 99}"],
            "federation.selection.count: must be at most the number of hospitals (7), got 99",
        ),
        (
            [TURNS, "federation.min_updates=4"],
            "federation.min_updates: must be at most the 3 hospitals that federation.selection",
        ),
        (
            [TURNS, "federation.strategy_args={fraction_train: 0.5}"],
            "federation.strategy_args.fraction_train: federation.selection (kind: round_robin)",
        ),
        (
            [TURNS, "federation.kind=central", "ledger=none"],
            "federation.selection: central training has no rounds between hospitals",
        ),
        (
            ["federation.stop_when={}", "federation.kind=local", "ledger=none"],
            "federation.stop_when: local training has no rounds between hospitals",
        ),
        (
            [TURNS, "federation.server_app=mine:app"],
            "federation.selection: is carried out by the program's own ServerApp",
        ),
        (
            [
                TURNS, "ledger=none",
                "privacy={kind: distributed, noise_multiplier: 2.0, delta: 1e-4}",
            ],
            "federation.selection: privacy.kind distributed counts on all hospitals",
        ),
        (
            [TURNS, "membership=[{kind: leave, hospital: 6, round: 2}]"],
            "federation.selection: kind: round_robin shares turns among hospitals that stay",
        ),
        (
            ["federation.stop_when={min_rounds: 11}"],
            "federation.stop_when.min_rounds: must be at most the number of rounds (10), got 11",
        ),
        (["federation.stop_when={patience: 0}"], "federation.stop_when.patience: must be at"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_place(refusal, changes, message):
    assert message in refusal(*changes)
