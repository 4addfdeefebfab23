"""What a configuration says about the bytes behind the ledger's digests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class VaultParams:
    """Where the models that the ledger speaks of lie, and who can read them there.

    Every hospital has a vault of its own. An update lies in several of them, so that one may lose
    or alter it; f + 1 replicas sign that they hold it before it is revealed. Whoever takes an
    object out of a vault checks it against its content address, and fetches it from another holder
    when it does not fit.
    """

    replication: int | None = None
    """Replicas whose vaults keep an update, its owner's among them, counted on from the owner. At
    least f + 1, because so many must sign for it; with 2f + 1 any f of them may be silent. Null for
    2f + 1, or all replicas where there are fewer."""

    encryption: Literal["aes_256_gcm", "none"] = "aes_256_gcm"
    """What a vault holds: each object encrypted under a key of its own, which is wrapped for each
    of its readers and for the auditor (HPKE, RFC 9180), so that whoever keeps the vault reads
    nothing; or, as an ablation, the models as they are."""

    def __post_init__(self) -> None:
        if self.replication is not None and self.replication < 1:
            raise ValueError(
                f"replication: must be at least 1, got {self.replication}; leave it out for 2f + 1"
            )

    def count(self, replicas: int, certificate: int) -> int:
        """Holders of one update: ``certificate`` is how many must sign for it (f + 1)."""
        wanted = 2 * certificate - 1 if self.replication is None else self.replication
        return min(wanted, replicas)


def placement(owner: int, replicas: int, count: int) -> tuple[int, ...]:
    """The replicas that keep an owner's objects: so many, in a ring, from the owner on."""
    return tuple((owner + k) % replicas for k in range(min(count, replicas)))
