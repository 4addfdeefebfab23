"""What a configuration says about the ledger path of a round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Union


@dataclass(frozen=True, kw_only=True, slots=True)
class NoLedger:
    """Plain federated learning: no replicas, no commitments, no checks. The ablation baseline."""

    kind: Literal["none"] = "none"
    """No ledger at all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CommitLedger:
    """Every update is committed on the ledger by its salted digest before it is sent."""

    kind: Literal["commit"] = "commit"
    """Commit, then send; whoever uses an update checks it against its own ledger copy."""

    store: Literal["sqlite", "memory"] = "sqlite"
    """Where each node keeps its copy: a SQLite file per node in the run directory, or memory."""

    verifiers: Literal["all", "coordinator"] = "all"
    """Who receives and checks the updates besides the coordinator: every hospital, or nobody."""

    expiry_blocks: int = 1000
    """Blocks after which a signed transaction that is still unordered may no longer run."""

    def __post_init__(self) -> None:
        if self.expiry_blocks < 1:
            raise ValueError(f"expiry_blocks: must be at least 1, got {self.expiry_blocks}")


LedgerParams = Union[NoLedger, CommitLedger]
