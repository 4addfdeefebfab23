"""What a finished run says of itself in its manifest: messages, and what is on the ledger."""

from __future__ import annotations

import dataclasses
from typing import Any

from simulation.config.experiment import Experiment
from simulation.ledger.copy import LedgerCopy
from simulation.network.network import Network
from simulation.world.ledgers import Ledgers


def sent_by_kind(network: Network) -> dict[str, dict[str, int]]:
    """How many messages of each kind were sent, and their bytes."""
    return {kind: dataclasses.asdict(count) for kind, count in network.sent.items()}


def ledger_summary(ledgers: Ledgers, experiment: Experiment) -> dict[str, Any]:
    """The chain, and the longest of its copies."""
    copy = max((service.copy for service in ledgers.services), key=lambda copy: copy.height)
    return {
        "chain": copy.genesis.chain_id.hex(),
        "copies": len(ledgers.services),
        "height": copy.height,
        "head": copy.tip.digest.hex(),
        "state_root": copy.tip.state_root.hex(),
        "protocol": experiment.ledger.kind,
        "aggregation": ledgers.guarantee(),
        "evidence": ledgers.evidence(),
        **_epochs(copy, experiment),
    }


def _epochs(copy: LedgerCopy, experiment: Experiment) -> dict[str, list[dict[str, Any]]]:
    """Who has voted from which height on, where that has changed."""
    if not experiment.membership:
        return {}
    found = [{"since": epoch.since, "replicas": epoch.voters.ids} for epoch in copy.epochs]
    return {"epochs": found}
