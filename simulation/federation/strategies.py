"""Strategies by name: Flower's own, unchanged, and those in integers, with Flower's arguments."""

from __future__ import annotations

import inspect
from typing import Any

from flwr.serverapp import strategy as stock
from flwr.serverapp.strategy import Strategy
from flwr.supercore.privacy_accounting import (
    NeighboringRelation,
    PrivacyConfig,
    SamplingMethod,
)
from flwr.supercore.privacy_accounting.rdp_accountant import RdpAccountant

from simulation.federation.fixed import FIXED
from simulation.federation.params import FederationParams
from simulation.learning.privacy import PrivacyPlan


def strategy_class(name: str) -> type[Strategy]:
    """The strategy class with this name: Flower's own, or one in integers."""
    return FIXED.get(name) or getattr(stock, name)


def _arguments(cls: type[Strategy]) -> dict[str, inspect.Parameter]:
    """What a strategy's constructor takes; its parent's arguments too, where it hands them on."""
    own = dict(inspect.signature(cls).parameters)
    if any(p.kind is p.VAR_KEYWORD for p in own.values()):
        inherited = inspect.signature(stock.FedAvg).parameters
        own = {n: p for n, p in (*inherited.items(), *own.items()) if p.kind is not p.VAR_KEYWORD}
    return own


def check_strategy_args(params: FederationParams) -> None:
    """Refuse arguments that the named strategy does not take, or that are no numbers where it
    wants numbers.

    Raises:
        ValueError: naming the argument and what would do.
    """
    known = _arguments(strategy_class(params.strategy))
    for name, value in params.strategy_args.items():
        if name not in known:
            raise ValueError(
                f"strategy_args.{name}: {params.strategy} has no such argument; it takes "
                f"{', '.join(sorted(known))}"
            )
        usual = known[name].default
        if isinstance(usual, (int, float)) and not isinstance(value, (int, float)):
            raise ValueError(
                f"strategy_args.{name}: {params.strategy} wants a number such as {usual}, "
                f"got {value!r}"
            )


def build_strategy(
    params: FederationParams,
    hospitals: int,
    evaluate: bool,
    central: PrivacyPlan | None = None,
) -> Strategy:
    """The configured strategy; unless told otherwise it trains on every hospital in every round.

    ``evaluate`` asks hospitals to evaluate after each round, which sends their metrics out.
    ``central`` puts Flower's wrapper for central differential privacy around it, in its accounted
    mode: equal weights and all hospitals, or no release.
    """
    defaults: dict[str, Any] = {
        "fraction_train": 1.0,
        "fraction_evaluate": 1.0 if evaluate else 0.0,
        # The grid knows all members of a round at once; Flower would wait for who is none yet.
        "min_available_nodes": 1,
        "min_train_nodes": 1,
        "min_evaluate_nodes": 1,
    }
    cls = strategy_class(params.strategy)
    known = _arguments(cls)
    given = {name: value for name, value in defaults.items() if name in known}
    built = cls(**{**given, **params.strategy_args})
    return built if central is None else _central(built, central, hospitals)


def _central(strategy: Strategy, release: PrivacyPlan, hospitals: int) -> Strategy:
    config = PrivacyConfig(
        target_delta=release.delta,
        population_size=hospitals,
        neighboring_relation=NeighboringRelation.ADD_OR_REMOVE_ONE,
        sampling_method=SamplingMethod.NO_AMPLIFICATION,
    )
    return stock.DifferentialPrivacyServerSideFixedClipping(
        strategy,
        noise_multiplier=release.sigma,
        clipping_norm=release.max_grad_norm,
        num_sampled_clients=hospitals,
        accountant=RdpAccountant(config),
    )
