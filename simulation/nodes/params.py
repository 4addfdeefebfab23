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
class HashOnlyLedger:
    """The bare digest of every update goes to the ledger, and the update right after it.

    The ablation that most published systems are: no salt, no identity inside, no seal, no reveal.
    Whoever sees another's digest and update can claim them as its own.
    """

    kind: Literal["hash_only"] = "hash_only"
    """Digest, then send; whoever uses an update checks it against its own ledger copy."""

    store: Literal["sqlite", "memory"] = "sqlite"
    """Where each node keeps its copy: a SQLite file per node in the run directory, or memory."""

    verifiers: Literal["all", "coordinator"] = "all"
    """Who receives and checks the updates besides the coordinator: every hospital, or nobody."""

    expiry_blocks: int = 1000
    """Blocks after which a signed transaction that is still unordered may no longer run."""

    def __post_init__(self) -> None:
        _check_expiry(self.expiry_blocks)


@dataclass(frozen=True, kw_only=True, slots=True)
class CommitRevealLedger:
    """Commit, seal, reveal, verify, aggregate: every replica checks every update.

    Hospitals commit to salted digests; when all have, or the round's deadline has passed, the
    commitments are sealed; only then do updates leave their hospitals. Replicas that have checked
    an update sign for its bytes, and with f + 1 such signatures it is revealed. With a strategy in
    integers (``FixedFedAvg``, ``FixedMedian``, ``FixedKrum``, …) every replica recomputes the
    aggregate, and a quorum of them has to get the coordinator's.
    """

    kind: Literal["commit_reveal"] = "commit_reveal"
    """The whole protocol."""

    store: Literal["sqlite", "memory"] = "sqlite"
    """Where each node keeps its copy: a SQLite file per node in the run directory, or memory."""

    expiry_blocks: int = 1000
    """Blocks after which a signed transaction that is still unordered may no longer run."""

    commit_blocks: int = 1
    """Least number of blocks between the opening of a round and a seal that does not wait for all;
    the time is ``federation.round_deadline_s``. Both have to pass."""

    reveal_blocks: int = 1
    """Least number of blocks between the seal and an end of the reveals that does not wait for all
    who have committed."""

    reveal_deadline_s: float = 60.0
    """Virtual seconds, by the ledger's header time, after which a reveal that is missing is counted
    as withheld."""

    aggregate_mb_per_s: float = 400.0
    """How fast a replica reads, multiplies and adds updates when it recomputes an aggregate, in
    MB/s; charged to each replica in virtual time."""

    def __post_init__(self) -> None:
        _check_expiry(self.expiry_blocks)
        for name in ("commit_blocks", "reveal_blocks"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: must be at least 0, got {getattr(self, name)}")
        for name in ("reveal_deadline_s", "aggregate_mb_per_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: must be > 0, got {getattr(self, name)}")


def _check_expiry(expiry_blocks: int) -> None:
    if expiry_blocks < 1:
        raise ValueError(f"expiry_blocks: must be at least 1, got {expiry_blocks}")


LedgerParams = Union[NoLedger, HashOnlyLedger, CommitRevealLedger]
