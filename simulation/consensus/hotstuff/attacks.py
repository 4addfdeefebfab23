"""What a Byzantine replica may do in HotStuff, beside the behaviours that fit every protocol.

As everywhere, a liar signs as itself only. A proposal that it changes is signed anew, so receivers
see a well-signed lie.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from simulation.base.digest import DIGEST_BYTES
from simulation.consensus.byzantine import (
    GENERAL,
    Behaviour,
    Effects,
    Situation,
    is_message,
    receivers,
)
from simulation.consensus.hotstuff.blocks import (
    GENESIS,
    Block,
    QuorumCert,
    extend_history,
    vote_statement,
)
from simulation.consensus.hotstuff.messages import (
    Blocks,
    CommitProof,
    NewView,
    Proposal,
    State,
    Sync,
    Vote,
    new_view,
    proposal,
)
from simulation.consensus.hotstuff.replica import HotStuffReplica
from simulation.consensus.protocol import NULL_BATCH, Batch, Broadcast, Receive, Request, Send
from simulation.consensus.signing import Signature


def _each(effects: Effects, situation: Situation, change: Any) -> Effects:
    """Every message to every receiver apart, changed by ``change(to, message)``."""
    out: Effects = []
    for effect in effects:
        if is_message(effect):
            for to, message in receivers(effect, situation):
                out.extend(Send(to, m) for m in change(to, message))
        else:
            out.append(effect)
    return out


def _with_batch(block: Block, batch: Batch, before: bytes) -> Block:
    """The block with another batch, in the same place."""
    return replace(block, batch=batch, history=extend_history(before, batch))


def equivocate(effects: Effects, situation: Situation) -> Effects:
    """As a leader, propose different blocks to even and odd replicas."""

    def change(to: int, message: Any) -> list[Any]:
        block = _mine(message, situation)
        parent = block and _parent(block, situation)
        if block is None or parent is None or not block.batch.requests or to % 2 == 0:
            return [message]
        batch = replace(block.batch, time_us=block.batch.time_us + 1)
        twin = _with_batch(block, batch, parent.history)
        return [proposal(situation.signer, twin, message.timeout)]

    return _each(effects, situation, change)


def vote_for_all(effects: Effects, situation: Situation) -> Effects:
    """Vote for every block ever proposed, as often as one is seen, whatever the lock says."""
    message = getattr(situation.event, "message", None)
    if isinstance(message, Proposal) and message.block.sound:
        block, core = message.block, _core(situation)
        statement = vote_statement(block.round, block.digest)
        ballot = Vote(block.round, block.digest, situation.signer.sign(statement))
        to = core.leader_of(block.round + 1)
        if to != situation.id:
            return [*effects, Send(to, ballot)]
    return effects


def hide_certificate(effects: Effects, situation: Situation) -> Effects:
    """In NEW-VIEWs, show the oldest certificate of all."""

    def change(to: int, message: Any) -> list[Any]:
        del to
        if isinstance(message, NewView):
            return [new_view(situation.signer, message.view, QuorumCert(0, GENESIS.digest, ()))]
        return [message]

    return _each(effects, situation, change)


def fork_back(effects: Effects, situation: Situation) -> Effects:
    """As a leader with a reason to start a view, extend an ancestor instead of the parent."""
    depth = situation.draw.between(1, 3)

    def change(to: int, message: Any) -> list[Any]:
        del to
        block = _mine(message, situation)
        if block is None or message.timeout is None:
            return [message]
        child, parent = block, _parent(block, situation)
        for _ in range(depth):
            older = None if parent is None else _parent(parent, situation)
            if parent is None or older is None:
                break
            child, parent = parent, older
        if child is block or parent is None:
            return [message]
        view = parent.view + 1
        batch = replace(block.batch, view=view) if block.batch.requests else block.batch
        seq = parent.seq + bool(batch.requests)
        history = extend_history(parent.history, batch) if batch.requests else parent.history
        forked = Block(block.round, view, seq, history, batch, child.justify)
        return [proposal(situation.signer, forked, message.timeout)]

    return _each(effects, situation, change)


def misnumber(effects: Effects, situation: Situation) -> Effects:
    """As a leader, claim that more batches came before than did."""

    def change(to: int, message: Any) -> list[Any]:
        del to
        block = _mine(message, situation)
        if block is None:
            return [message]
        return [proposal(situation.signer, replace(block, seq=block.seq + 1), message.timeout)]

    return _each(effects, situation, change)


def usurp(effects: Effects, situation: Situation) -> Effects:
    """Begin the own next view while another leads well, and do nothing with it."""
    event, core = situation.event, _core(situation)
    if not isinstance(event, Receive) or not isinstance(event.message, Proposal):
        return effects
    turn = core.view + 1 + (situation.id - core.view - 1) % situation.n
    round_ = turn * core.params.tenure
    if situation.memory.get("usurped", 0) >= round_:
        return effects
    situation.memory["usurped"] = round_
    block = core.make_child(round_, NULL_BATCH)
    return [*effects, Broadcast(proposal(situation.signer, block, None))]


def forge_certificate(effects: Effects, situation: Situation) -> Effects:
    """Claim that the newest block is certified, with votes that nobody cast."""
    tip = _core(situation).tip
    statement = vote_statement(tip.round, tip.digest)
    votes = tuple(Signature(r, statement) for r in range(situation.n))
    forged = QuorumCert(tip.round, tip.digest, votes)

    def change(to: int, message: Any) -> list[Any]:
        del to
        if isinstance(message, NewView):
            return [new_view(situation.signer, message.view, forged)]
        if isinstance(message, Sync):
            return [replace(message, high=forged)]
        return [message]

    return _each(effects, situation, change)


def repeat_requests(effects: Effects, situation: Situation) -> Effects:
    """As a leader, propose a request twice within one block."""

    def change(to: int, message: Any) -> list[Any]:
        del to
        block = _mine(message, situation)
        parent = block and _parent(block, situation)
        if block is None or parent is None or not block.batch.requests:
            return [message]
        doubled: tuple[Request, ...] = block.batch.requests * 2
        twin = _with_batch(block, replace(block.batch, requests=doubled), parent.history)
        return [proposal(situation.signer, twin, message.timeout)]

    return _each(effects, situation, change)


def censor(effects: Effects, situation: Situation) -> Effects:
    """As a leader, leave out the requests of every second client."""
    victims = {i for i in range(situation.n) if i % 2 != situation.id % 2}

    def change(to: int, message: Any) -> list[Any]:
        del to
        block = _mine(message, situation)
        parent = block and _parent(block, situation)
        if block is None or parent is None:
            return [message]
        kept = tuple(r for r in block.batch.requests if r.client not in victims)
        if kept == block.batch.requests:
            return [message]
        if kept:
            twin = _with_batch(block, replace(block.batch, requests=kept), parent.history)
        else:
            twin = replace(block, batch=NULL_BATCH, seq=parent.seq, history=parent.history)
        return [proposal(situation.signer, twin, message.timeout)]

    return _each(effects, situation, change)


def complain(effects: Effects, situation: Situation) -> Effects:
    """Give up every leader at once, and ask for views far ahead."""
    if situation.now_us < situation.memory.get("complain", 0):
        return effects
    situation.memory["complain"] = situation.now_us + situation.draw.between(1, 100_000)
    core = _core(situation)
    message = new_view(situation.signer, core.view + situation.draw.between(1, 3), core.high)
    return [*effects, Broadcast(message)]


def lie_about_state(effects: Effects, situation: Situation) -> Effects:
    """Serve batches that were never decided."""

    def change(to: int, message: Any) -> list[Any]:
        del to
        if not isinstance(message, State):
            return [message]
        batches = tuple(replace(batch, time_us=batch.time_us + 1) for batch in message.batches)
        return [replace(message, batches=batches)]

    return _each(effects, situation, change)


def lie_about_blocks(effects: Effects, situation: Situation) -> Effects:
    """Serve blocks, and proofs that a block is committed, with another history."""

    def change(to: int, message: Any) -> list[Any]:
        del to
        if not isinstance(message, (Blocks, CommitProof)):
            return [message]
        blocks = tuple(replace(b, history=bytes(DIGEST_BYTES)) for b in message.blocks)
        return [replace(message, blocks=blocks)]

    return _each(effects, situation, change)


def _core(situation: Situation) -> HotStuffReplica:
    assert isinstance(situation.core, HotStuffReplica)
    return situation.core


def _mine(message: Any, situation: Situation) -> Block | None:
    """The block in a proposal of the liar's own."""
    own = isinstance(message, Proposal) and message.signed_by == situation.id
    return message.block if own else None


def _parent(block: Block, situation: Situation) -> Block | None:
    return _core(situation).block(block.justify.digest)


ATTACKS: dict[str, Behaviour] = {
    **GENERAL,
    "equivocate": equivocate,
    "vote-for-all": vote_for_all,
    "hide-certificate": hide_certificate,
    "fork-back": fork_back,
    "misnumber": misnumber,
    "usurp": usurp,
    "forge-certificate": forge_certificate,
    "repeat-requests": repeat_requests,
    "censor": censor,
    "complain": complain,
    "lie-about-state": lie_about_state,
    "lie-about-blocks": lie_about_blocks,
}
"""Everything that a liar may draw, by name."""
