"""What selecting hospitals and stopping early cannot be combined with."""

from __future__ import annotations

from collections.abc import Iterator

from simulation.config.errors import Problem
from simulation.config.experiment import Experiment
from simulation.federation.params import OWN_SERVER_APP
from simulation.learning.trust import CentralParams, DistributedParams

_FLOWERS = ("fraction_train", "min_train_nodes", "min_available_nodes")
"""Arguments of Flower's strategies that say how many hospitals train."""


def steering_problems(experiment: Experiment) -> Iterator[Problem]:
    """Everything that ``selection`` or ``stop_when`` and another field say against each other."""
    federation = experiment.federation
    selects = federation.selection.kind != "all"
    for name, asked in (("selection", selects), ("stop_when", federation.stop_when is not None)):
        if not asked:
            continue
        if federation.kind != "federated":
            yield Problem(
                ("federation", name),
                f"{federation.kind} training has no rounds between hospitals; leave it out, or use "
                "kind: federated",
            )
        elif federation.server_app != OWN_SERVER_APP:
            yield Problem(
                ("federation", name),
                "is carried out by the program's own ServerApp, but another app is named; leave it "
                "out and do it in your own app",
            )
    stop = federation.stop_when
    if stop is not None and stop.min_rounds > federation.rounds:
        yield Problem(
            ("federation", "stop_when", "min_rounds"),
            f"must be at most the number of rounds ({federation.rounds}), got {stop.min_rounds}; "
            "leave stop_when out to play all",
        )
    if selects and federation.kind == "federated":
        yield from _selection(experiment)


def _selection(experiment: Experiment) -> Iterator[Problem]:
    federation, hospitals = experiment.federation, experiment.hospitals
    size = federation.selection.size(hospitals)
    if size > hospitals:
        yield Problem(
            ("federation", "selection", "count"),
            f"must be at most the number of hospitals ({hospitals}), got {size}",
        )
    elif federation.min_updates > size:
        yield Problem(
            ("federation", "min_updates"),
            f"must be at most the {size} hospitals that federation.selection lets train, got "
            f"{federation.min_updates}; no round could close",
        )
    for name in _FLOWERS:
        if name in federation.strategy_args:
            yield Problem(
                ("federation", "strategy_args", name),
                f"federation.selection (kind: {federation.selection.kind}) says who trains; leave "
                "one of the two out",
            )
    if isinstance(experiment.privacy, (CentralParams, DistributedParams)):
        yield Problem(
            ("federation", "selection"),
            f"privacy.kind {experiment.privacy.kind} counts on all hospitals in every round; use "
            "kind: all, or privacy.kind: dp_sgd",
        )
    if experiment.membership:
        yield Problem(
            ("federation", "selection"),
            f"kind: {federation.selection.kind} shares turns among hospitals that stay; use kind: "
            "all, or leave membership out",
        )
