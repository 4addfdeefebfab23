"""Strategies in integers: Flower's FedAvg with another way to add up the replies.

Everything but the arithmetic is stock. The result is a function of the replies' bytes and declared
numbers of examples alone, the same in any order and on any machine, so that replicas of a ledger
can compute it again. Source: `simulation.contracts.aggregation`.

With ``proximal_mu`` above 0 hospitals are told to pull towards the global model as FedProx does (Li
et al., MLSys 2020), which is theirs to do and no matter of aggregation, so it goes with every rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg

from simulation.base.tensors import decode_model
from simulation.contracts.aggregation import LIMIT, aggregate_models
from simulation.contracts.rules import (
    SCALE_BITS,
    FixedBulyan,
    FixedFedAvg,
    FixedMedian,
    FixedMultiKrum,
    FixedNormClip,
    FixedTrimmedMean,
    Rule,
    least_updates,
)
from simulation.federation.arrays import to_record
from simulation.federation.codec import array_record_bytes, examples_in
from simulation.federation.identity import hospital_of
from simulation.federation.params import FederationParams


class FixedStrategy(FedAvg):
    """FedAvg whose aggregate follows a rule in integers; takes FedAvg's own arguments."""

    def __init__(self, rule: Rule, proximal_mu: float, **rest: Any) -> None:
        super().__init__(**rest)
        self.rule = rule
        self.proximal_mu = proximal_mu

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """FedAvg's orders, with FedProx's coefficient where there is one."""
        if self.proximal_mu:
            config["proximal-mu"] = self.proximal_mu
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The aggregate of the replies' arrays, weighted by ``num-examples`` where the rule weighs.

        None, which leaves the model as it was, when there are too few replies for the rule.
        """
        del server_round
        valid, _ = self._check_and_log_replies(replies, is_train=True)
        if len(valid) < least_updates(self.rule):
            return None, None
        contents = [message.content for message in valid]
        rows = tuple(
            (
                hospital_of(message.metadata.src_node_id),
                examples_in(message.content),
                array_record_bytes(next(iter(message.content.array_records.values()))),
            )
            for message in valid
        )
        arrays = decode_model(aggregate_models(self.rule, rows))
        return to_record(arrays), self.train_metrics_aggr_fn(contents, self.weighted_by_key)


class FixedFedAvgStrategy(FixedStrategy):
    """The weighted mean."""

    def __init__(self, proximal_mu: float = 0.0, **rest: Any) -> None:
        super().__init__(FixedFedAvg(), proximal_mu, **rest)


class FixedMedianStrategy(FixedStrategy):
    """The median of each element."""

    def __init__(self, proximal_mu: float = 0.0, **rest: Any) -> None:
        super().__init__(FixedMedian(), proximal_mu, **rest)


class FixedTrimmedMeanStrategy(FixedStrategy):
    """The mean of each element without its ``trim`` largest and smallest values."""

    def __init__(self, trim: int = 1, proximal_mu: float = 0.0, **rest: Any) -> None:
        super().__init__(FixedTrimmedMean(trim=trim), proximal_mu, **rest)


class FixedKrumStrategy(FixedStrategy):
    """The one update that lies closest to its neighbours."""

    def __init__(self, num_malicious_nodes: int = 1, proximal_mu: float = 0.0, **rest: Any) -> None:
        rule = FixedMultiKrum(byzantine=num_malicious_nodes, select=1)
        super().__init__(rule, proximal_mu, **rest)


class FixedMultiKrumStrategy(FixedStrategy):
    """The weighted mean of the updates that lie closest to their neighbours."""

    def __init__(
        self,
        num_malicious_nodes: int = 1,
        num_nodes_to_select: int = 0,
        proximal_mu: float = 0.0,
        **rest: Any,
    ) -> None:
        rule = FixedMultiKrum(byzantine=num_malicious_nodes, select=num_nodes_to_select)
        super().__init__(rule, proximal_mu, **rest)


class FixedBulyanStrategy(FixedStrategy):
    """The mean of the values closest to the median of the updates that Krum likes best."""

    def __init__(self, num_malicious_nodes: int = 1, proximal_mu: float = 0.0, **rest: Any) -> None:
        super().__init__(FixedBulyan(byzantine=num_malicious_nodes), proximal_mu, **rest)


class FixedNormClipStrategy(FixedStrategy):
    """The weighted mean after pulling each update to within ``max_norm`` of the median."""

    def __init__(self, max_norm: float = 1.0, proximal_mu: float = 0.0, **rest: Any) -> None:
        if not 0 < max_norm < LIMIT:
            raise ValueError(f"strategy_args.max_norm: must be above 0, got {max_norm}; try 1")
        rule = FixedNormClip(radius=max(1, round(max_norm * (1 << SCALE_BITS))))
        super().__init__(rule, proximal_mu, **rest)


FIXED: dict[str, type[FixedStrategy]] = {
    "FixedFedAvg": FixedFedAvgStrategy,
    "FixedMedian": FixedMedianStrategy,
    "FixedTrimmedMean": FixedTrimmedMeanStrategy,
    "FixedKrum": FixedKrumStrategy,
    "FixedMultiKrum": FixedMultiKrumStrategy,
    "FixedBulyan": FixedBulyanStrategy,
    "FixedNormClip": FixedNormClipStrategy,
}


def rule_for(params: FederationParams) -> Rule | None:
    """The rule by which replicas can recompute this federation's aggregates, if there is one.

    Only where both apps are the program's own: what another app does with the replies is its own.
    """
    if not params.uses_own_apps or params.strategy not in FIXED:
        return None
    arguments: Any = dict(params.strategy_args)
    return FIXED[params.strategy](**arguments).rule
