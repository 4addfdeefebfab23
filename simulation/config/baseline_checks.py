"""What training without a federation cannot be combined with."""

from __future__ import annotations

from collections.abc import Iterator

from simulation.config.errors import Problem
from simulation.config.experiment import Experiment


def baseline_problems(experiment: Experiment) -> Iterator[Problem]:
    """Without a federation nothing is sent, agreed on, attacked on its way, or run by Flower."""
    federation = experiment.federation
    if federation.kind == "federated" or not experiment.learns:
        return
    if experiment.ledger.kind != "none":
        yield Problem(
            ("ledger", "kind"),
            f"{federation.kind} training has no updates to put on a ledger; use ledger: none",
        )
    if experiment.privacy.kind not in {"none", "dp_sgd"}:
        yield Problem(
            ("privacy", "kind"),
            f"{experiment.privacy.kind} protects what hospitals send each other, and in "
            f"{federation.kind} training they send nothing; use dp_sgd or none",
        )
    for name in ("attacks", "faults"):
        if getattr(experiment, name):
            yield Problem(
                (name,),
                f"{federation.kind} training has no federation that they could act on; leave them "
                "out, or use federation.kind: federated",
            )
    if not federation.uses_own_apps:
        yield Problem(
            ("federation", "kind"),
            f"{federation.kind} training runs the program's own training only; leave client_app "
            "and server_app out, or use kind: federated",
        )
