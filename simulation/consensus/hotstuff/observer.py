"""HotStuff's own properties, checked from outside: votes, certificates, rounds."""

from __future__ import annotations

from typing import Any

from simulation.base.digest import Digest, short
from simulation.base.ids import ReplicaId
from simulation.consensus.hotstuff.blocks import QuorumCert
from simulation.consensus.hotstuff.messages import NewView, Proposal, Sync, Vote
from simulation.consensus.hotstuff.params import HotStuffParams
from simulation.consensus.invariants import Invariants
from simulation.consensus.quorum import byzantine_quorum


class HotStuffInvariants(Invariants):
    """Watches the votes of honest replicas, and what stands behind the certificates they show.

    The vote of a leader for itself is not on the wire, so one vote may be missing in the count.
    """

    def __init__(self, n: int, honest: frozenset[ReplicaId], params: HotStuffParams) -> None:
        super().__init__(n, honest)
        quorum = byzantine_quorum(n, params.quorum)
        self._needed = quorum.size - (n - len(honest)) - 1
        self._tenure = params.tenure
        self._voted: dict[ReplicaId, tuple[int, Digest]] = {}
        self._votes: dict[tuple[int, Digest], set[ReplicaId]] = {}
        self._certified: dict[int, Digest] = {}
        self._proposed: dict[tuple[ReplicaId, int], Digest] = {}

    def on_send(self, replica: ReplicaId, message: Any, now_us: int) -> None:
        """An honest replica sends a message."""
        match message:
            case Vote(round_, digest):
                self._on_vote(replica, round_, digest, now_us)
            case Proposal(block) if message.signed_by == replica:
                if block.round // self._tenure % self.n != replica:
                    self.violate("single-vote", replica, now_us, f"proposes in {block.round}")
                first = self._proposed.setdefault((replica, block.round), block.digest)
                if first != block.digest:
                    what = f"two proposals in round {block.round}"
                    self.violate("single-vote", replica, now_us, what)
                self._on_certificate(replica, block.justify, now_us)
            case NewView(_, high) | Sync(high):
                self._on_certificate(replica, high, now_us)
            case _:
                pass

    def _on_vote(self, replica: ReplicaId, round_: int, digest: Digest, now_us: int) -> None:
        """One vote in each round, in rising rounds (vheight)."""
        last = self._voted.get(replica)
        if last is not None and (round_ < last[0] or (round_ == last[0] and digest != last[1])):
            what = f"votes for {short(digest)} in round {round_} after one in {last[0]}"
            self.violate("single-vote", replica, now_us, what)
        self._voted[replica] = (round_, digest)
        self._votes.setdefault((round_, digest), set()).add(replica)

    def _on_certificate(self, replica: ReplicaId, shown: QuorumCert, now_us: int) -> None:
        if shown.round == 0:
            return
        first = self._certified.setdefault(shown.round, shown.digest)
        if first != shown.digest:
            what = f"{short(first)} and {short(shown.digest)} are both certified in {shown.round}"
            self.violate("certificate", replica, now_us, what)
        behind = len(self._votes.get((shown.round, shown.digest), ()))
        if behind < self._needed:
            what = f"round {shown.round} on {behind} honest votes, needs {self._needed}"
            self.violate("certificate", replica, now_us, what)


def observe(n: int, honest: frozenset[ReplicaId], params: HotStuffParams) -> HotStuffInvariants:
    """The observer of a HotStuff group."""
    return HotStuffInvariants(n, honest, params)
