"""A bench for one HotStuff replica: chains, certificates and proposals of its peers."""

from __future__ import annotations

from typing import Any

from simulation.base.ids import NodeId
from simulation.consensus.hotstuff.blocks import (
    GENESIS,
    GENESIS_QC,
    Block,
    QuorumCert,
    TimeoutCert,
    extend_history,
    new_view_statement,
    vote_statement,
)
from simulation.consensus.hotstuff.messages import (
    Proposal,
    Vote,
    proposal,
)
from simulation.consensus.hotstuff.params import HotStuffParams
from simulation.consensus.hotstuff.replica import HotStuffReplica, build
from simulation.consensus.protocol import (
    NULL_BATCH,
    Batch,
    Receive,
    Request,
    Send,
)
from simulation.consensus.signing import Signer

AT_ONCE = HotStuffParams(batch_max_age_ms=0.0)
QUICK = HotStuffParams(
    batch_max_age_ms=0.0, round_timeout_ms=300, client_retry_ms=200, retransmit_ms=100
)


def request(client: int, timestamp: int = 1) -> Request:
    return Request(NodeId(client), timestamp, b"x")


def take(core: HotStuffReplica, sender: int, message: Any, now_us: int = 0) -> list[Any]:
    """One message in; the effects out."""
    return list(core.step(Receive(NodeId(sender), message), now_us))


def votes(effects: list[Any]) -> list[tuple[int, int]]:
    """Receiver and round of the votes among effects."""
    return [
        (e.to, e.message.round)
        for e in effects
        if isinstance(e, Send) and isinstance(e.message, Vote)
    ]


def leader(round_: int, n: int = 4, tenure: int = 4) -> int:
    return (round_ // tenure) % n


def child(parent: Block, justify: QuorumCert, round_: int, *requests: Request) -> Block:
    """A block as its leader would make it."""
    view = parent.view + (round_ != parent.round + 1)
    if not requests:
        return Block(round_, view, parent.seq, parent.history, NULL_BATCH, justify)
    batch = Batch(requests, 0, view, leader(round_))
    history = extend_history(parent.history, batch)
    return Block(round_, view, parent.seq + 1, history, batch, justify)


def certify(block: Block, signers: tuple[int, ...] = (0, 1, 2)) -> QuorumCert:
    statement = vote_statement(block.round, block.digest)
    ballots = tuple(Signer(i).sign(statement) for i in signers)
    return QuorumCert(block.round, block.digest, ballots)


def timeout(view: int) -> TimeoutCert:
    statement = new_view_statement(view)
    return TimeoutCert(view, tuple((view, Signer(i).sign(statement)) for i in (0, 1, 2)))


def offer(block: Block, reason: TimeoutCert | None = None, by: int | None = None) -> Proposal:
    return proposal(Signer(leader(block.round) if by is None else by), block, reason)


def chain(length: int, *requests: Request) -> list[Block]:
    """Blocks in rounds 1, 2, …; the first one carries the requests."""
    blocks: list[Block] = []
    parent, justify = GENESIS, GENESIS_QC
    for round_ in range(1, length + 1):
        block = child(parent, justify, round_, *(requests if round_ == 1 else ()))
        blocks.append(block)
        parent, justify = block, certify(block)
    return blocks


def fed(blocks: list[Block], replica: int = 3) -> HotStuffReplica:
    core = build(replica, 4, AT_ONCE)
    for block in blocks:
        take(core, leader(block.round), offer(block))
    return core
