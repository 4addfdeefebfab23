"""Strategies in integers: Flower's FedAvg with another way to add up the replies.

Everything but the arithmetic is stock. The result is a function of the replies' bytes and declared
numbers of examples alone, the same in any order and on any machine, so that replicas of a ledger
can compute it again. Source: `simulation.contracts.aggregation`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from flwr.app import Array, ArrayRecord, Message, MetricRecord
from flwr.serverapp.strategy import FedAvg

from simulation.base.tensors import decode_model
from simulation.contracts.aggregation import (
    FixedFedAvg,
    FixedMedian,
    FixedTrimmedMean,
    Rule,
    aggregate_models,
    least_updates,
)
from simulation.federation.codec import array_record_bytes, examples_in
from simulation.federation.identity import hospital_of
from simulation.federation.params import FederationParams


class FixedStrategy(FedAvg):
    """FedAvg whose aggregate follows a rule in integers; takes FedAvg's own arguments."""

    rule: Rule

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
        record = ArrayRecord({name: Array(array) for name, array in arrays.items()})
        return record, self.train_metrics_aggr_fn(contents, self.weighted_by_key)


class FixedFedAvgStrategy(FixedStrategy):
    """The weighted mean."""

    rule = FixedFedAvg()


class FixedMedianStrategy(FixedStrategy):
    """The median of each element."""

    rule = FixedMedian()


class FixedTrimmedMeanStrategy(FixedStrategy):
    """The mean of each element without its ``trim`` largest and smallest values."""

    def __init__(self, trim: int = 1, **rest: Any) -> None:
        super().__init__(**rest)
        self.rule = FixedTrimmedMean(trim=trim)


FIXED: dict[str, type[FixedStrategy]] = {
    "FixedFedAvg": FixedFedAvgStrategy,
    "FixedMedian": FixedMedianStrategy,
    "FixedTrimmedMean": FixedTrimmedMeanStrategy,
}


def rule_for(params: FederationParams) -> Rule | None:
    """The rule by which replicas can recompute this federation's aggregates, if there is one.

    Only where both apps are the program's own: what another app does with the replies is its own.
    """
    if not params.uses_own_apps:
        return None
    match params.strategy:
        case "FixedFedAvg":
            return FixedFedAvg()
        case "FixedMedian":
            return FixedMedian()
        case "FixedTrimmedMean":
            return FixedTrimmedMean(trim=cast(int, params.strategy_args.get("trim", 1)))
        case _:
            return None
