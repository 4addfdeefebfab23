"""Who votes on the next block, as contracts and hosts read it from the state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from simulation.base.encoding import Value
from simulation.base.ids import ReplicaId
from simulation.ledger.state import Reader
from simulation.ledger.value import read_once
from simulation.ledger.voters import VOTERS_KEY


@dataclass(frozen=True, slots=True)
class Committee:
    """The replicas of one epoch, by number."""

    epoch: int
    replicas: tuple[ReplicaId, ...]
    """Sorted."""
    quorum: int

    @property
    def holders(self) -> int:
        """More replicas than can be faulty: among so many there is an honest one."""
        return len(self.replicas) - self.quorum + 1


def committee(state: Reader) -> Committee:
    """The replicas that vote on the next block."""
    return _committee(state.get(VOTERS_KEY))


@read_once
def _committee(value: Value) -> Committee:
    match value:
        case {"epoch": int(epoch), "quorum": int(quorum), "replicas": (*pairs,)}:
            ids = tuple(cast("tuple[int, Value]", pair)[0] for pair in pairs)
            return Committee(epoch, ids, quorum)
        case _:
            raise AssertionError("the membership contract writes its voters at height 0")
