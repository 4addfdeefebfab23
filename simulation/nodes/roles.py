"""Who votes, who follows and who feeds whom, in one epoch, as a node reads it from its own copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from simulation.base.ids import NodeId
from simulation.contracts.member_changes import former_key
from simulation.contracts.rounds import status
from simulation.ledger.copy import LedgerCopy


@dataclass(frozen=True)
class Roles:
    """The parts of all nodes in one epoch."""

    node: NodeId
    """Who asks."""
    since: int
    """The first height of the epoch."""
    voters: tuple[NodeId, ...]
    followers: tuple[NodeId, ...]
    """Who is handed certified blocks: members that do not vote, and who is still to join."""
    fed_by: int
    """How many replicas feed a follower: one of them is honest."""

    @cached_property
    def peers(self) -> tuple[NodeId, ...]:
        """The other replicas."""
        return tuple(voter for voter in self.voters if voter != self.node)

    @cached_property
    def feeders(self) -> tuple[NodeId, ...]:
        """The replicas that feed this node."""
        return self._feeders(self.node)

    @cached_property
    def fed(self) -> tuple[NodeId, ...]:
        """The followers that this node feeds."""
        return tuple(f for f in self.followers if self.node in self._feeders(f))

    def _feeders(self, follower: NodeId) -> tuple[NodeId, ...]:
        """So many replicas, spread evenly over the followers."""
        count = len(self.voters)
        return tuple(sorted(self.voters[(follower + k) % count] for k in range(self.fed_by)))


def _never(node: NodeId, after: int) -> bool:
    del node, after
    return False


@dataclass(frozen=True, slots=True)
class Casting:
    """Tells a node its part whenever an epoch begins.

    Args:
        nodes: all nodes that there are.
        tolerates: the most faulty replicas that n replicas survive.
        returns: whether a hospital that has gone is still to come back, after a round.
    """

    nodes: Sequence[NodeId]
    tolerates: Callable[[int], int]
    returns: Callable[[NodeId, int], bool] = _never

    def of(self, copy: LedgerCopy) -> Roles:
        """The roles in the epoch of the next block."""
        epoch = copy.epoch
        voters = epoch.voters.ids
        followers = tuple(
            node
            for node in self.nodes
            if node not in epoch.voters.keys and not self.is_gone(copy, node)
        )
        return Roles(copy.node, epoch.since, voters, followers, self.tolerates(len(voters)) + 1)

    def is_gone(self, copy: LedgerCopy, node: NodeId) -> bool:
        """Whether a member has left or was revoked for good."""
        return is_former(copy, node) and not self.returns(node, status(copy).round)

    def readable_to(self, copy: LedgerCopy, node: NodeId) -> int:
        """The last block that a node is handed: whoever has gone gets those up to its going."""
        match copy.get(former_key(node)):
            case {"height": int(height)} if self.is_gone(copy, node):
                return height
            case _:
                return copy.height


def is_former(copy: LedgerCopy, node: NodeId) -> bool:
    """Whether a member has left or was revoked, and has not come back."""
    return copy.get(former_key(node)) is not None
