"""What a Byzantine PBFT replica may do: behaviours around an honest core.

Each is a function ``(effects, situation) -> effects`` (see `simulation.consensus.byzantine`). A
liar signs with its own key only; everything else it sends are true messages of others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from simulation.base.digest import Digest, Tag, tagged_hash
from simulation.consensus.byzantine import GENERAL, Behaviour, Effects, Situation
from simulation.consensus.pbft import messages as m
from simulation.consensus.pbft.replica import PbftReplica
from simulation.consensus.protocol import NULL_BATCH, Batch, Broadcast, Receive, Send

PROPOSALS = (m.PrePrepare, m.Prepare, m.Commit)


def core_of(situation: Situation) -> PbftReplica:
    """The honest core inside, as what it is."""
    assert isinstance(situation.core, PbftReplica)
    return situation.core


def other_digest(digest: Digest) -> Digest:
    """A digest of nothing."""
    return tagged_hash(Tag.BATCH, b"another", digest)


def now_and_then(situation: Situation, what: str, pause_us: int) -> bool:
    """Whether a pause has passed: liars that answer each other must not flood the group."""
    if situation.now_us < situation.memory.get(what, 0):
        return False
    situation.memory[what] = situation.now_us + situation.draw.between(1, 2 * pause_us)
    return True


def equivocate(effects: Effects, situation: Situation) -> Effects:
    """As primary, propose one batch to one half and another batch to the other; vote for both."""
    out: Effects = []
    for effect in effects:
        match effect:
            case Broadcast(m.PrePrepare(view, seq, _, batch)) if batch.requests:
                twin = replace(batch, requests=batch.requests[1:], time_us=batch.time_us + 1)
                lie = m.pre_prepare(situation.signer, view, seq, twin)
                cut = situation.draw.between(1, situation.n - 1)
                for to in range(situation.n):
                    if to != situation.id:
                        out.append(Send(to, effect.message if to < cut else lie))
            case _:
                out.append(effect)
    return out


def split_evenly(effects: Effects, situation: Situation) -> Effects:
    """As primary, propose one batch to the even replicas and another one to the odd ones."""
    out: Effects = []
    for effect in effects:
        match effect:
            case Broadcast(m.PrePrepare(view, seq, _, batch)) if batch.requests:
                twin = replace(batch, requests=batch.requests[1:], time_us=batch.time_us + 1)
                lie = m.pre_prepare(situation.signer, view, seq, twin)
                for to in range(situation.n):
                    if to != situation.id:
                        out.append(Send(to, lie if to % 2 else effect.message))
            case _:
                out.append(effect)
    return out


def vote_for_all(effects: Effects, situation: Situation) -> Effects:
    """Send PREPARE and COMMIT for every digest that anybody mentions, whatever was voted before."""
    out = list(effects)
    event = situation.event
    if isinstance(event, Receive) and isinstance(event.message, PROPOSALS):
        view, seq, digest = event.message.view, event.message.seq, event.message.digest
        voted: set[Any] = situation.memory.setdefault("voted", set())
        if (view, seq, digest) not in voted:
            voted.add((view, seq, digest))
            out.append(Broadcast(m.prepare(situation.signer, view, seq, digest)))
            out.append(Broadcast(m.commit(situation.signer, view, seq, digest)))
    return out


def vote_to_each(effects: Effects, situation: Situation) -> Effects:
    """Send every peer the votes that it wants to see, and no vote of one's own to all."""
    out: Effects = []
    for effect in effects:
        match effect:
            case Broadcast(m.Prepare() | m.Commit()):
                pass
            case _:
                out.append(effect)
    event = situation.event
    if isinstance(event, Receive) and isinstance(event.message, PROPOSALS):
        view, seq, digest = event.message.view, event.message.seq, event.message.digest
        peer = event.sender
        told: set[Any] = situation.memory.setdefault("told", set())
        if (peer, view, seq, digest) not in told:
            # Once each, or two such liars would talk to each other without end.
            told.add((peer, view, seq, digest))
            for _ in range(2):
                out.append(Send(peer, m.prepare(situation.signer, view, seq, digest)))
                out.append(Send(peer, m.commit(situation.signer, view, seq, digest)))
    return out


def wrong_digest(effects: Effects, situation: Situation) -> Effects:
    """Vote for a digest of nothing; propose batches under a digest that is not theirs."""
    out: Effects = []
    for effect in effects:
        match effect:
            case Broadcast(m.Prepare(view, seq, digest)) if situation.draw.chance(500):
                lie = m.prepare(situation.signer, view, seq, other_digest(digest))
                out.append(Broadcast(lie))
            case Broadcast(m.Commit(view, seq, digest)) if situation.draw.chance(500):
                out.append(Broadcast(m.commit(situation.signer, view, seq, other_digest(digest))))
            case Broadcast(m.PrePrepare(view, seq, digest, batch)):
                out.append(effect)
                twin = replace(batch, time_us=batch.time_us + 1)
                signature = situation.signer.sign(m.pre_prepare_statement(view, seq, digest))
                for to in situation.draw.sample(range(situation.n), situation.n // 2):
                    if to != situation.id:
                        out.insert(0, Send(to, m.PrePrepare(view, seq, digest, twin, signature)))
            case _:
                out.append(effect)
    return out


def censor(effects: Effects, situation: Situation) -> Effects:
    """As primary, leave out the requests of every second client."""
    victims = {i for i in range(situation.n) if i % 2 != situation.id % 2}
    out: Effects = []
    for effect in effects:
        match effect:
            case Broadcast(m.PrePrepare(view, seq, _, batch)):
                kept = tuple(r for r in batch.requests if r.client not in victims)
                lie = replace(batch, requests=kept)
                out.append(Broadcast(m.pre_prepare(situation.signer, view, seq, lie)))
            case _:
                out.append(effect)
    return out


def usurp(effects: Effects, situation: Situation) -> Effects:
    """Propose without being primary."""
    core = core_of(situation)
    out = list(effects)
    event = situation.event
    if isinstance(event, Receive) and isinstance(event.message, m.PrePrepare):
        message = event.message
        # Only the true primary's proposals, or two usurpers would answer each other without end.
        if message.batch.requests and message.view % situation.n == event.sender != situation.id:
            twin = Batch(message.batch.requests[:-1], situation.now_us, message.view, core.leader)
            for seq in (message.seq, message.seq + 1):
                lie = m.pre_prepare(situation.signer, message.view, seq, twin)
                out.append(Broadcast(lie))
                out.append(Broadcast(m.prepare(situation.signer, message.view, seq, lie.digest)))
    return out


def stale_view_change(effects: Effects, situation: Situation) -> Effects:
    """Ask for the next view again and again, and hide what was prepared."""
    out: Effects = []
    for effect in effects:
        match effect:
            case Broadcast(m.ViewChange(view)):
                out.append(Broadcast(m.view_change(situation.signer, view, 0, (), ())))
            case _:
                out.append(effect)
    if now_and_then(situation, "stale", 50_000):
        view = core_of(situation).view + situation.draw.between(1, 3)
        out.append(Broadcast(m.view_change(situation.signer, view, 0, (), ())))
    return out


def old_proofs(effects: Effects, situation: Situation) -> Effects:
    """In a VIEW-CHANGE, show the oldest certificate for each number instead of the newest."""
    core = core_of(situation)
    oldest: dict[int, m.PreparedProof] = situation.memory.setdefault("oldest", {})
    for seq, proof in core.proofs.items():
        oldest.setdefault(seq, proof)
    out: Effects = []
    for effect in effects:
        match effect:
            case Broadcast(m.ViewChange(view, low, stable, prepared)):
                proofs = tuple(oldest.get(p.seq, p) for p in prepared)
                lie = m.view_change(situation.signer, view, low, stable, proofs)
                out.append(Broadcast(lie))
            case _:
                out.append(effect)
    return out


def invent_proofs(effects: Effects, situation: Situation) -> Effects:
    """In a VIEW-CHANGE, claim that something else was prepared, with votes of one's own only."""
    out: Effects = []
    for effect in effects:
        match effect:
            case Broadcast(m.ViewChange(view, low, stable, prepared)):
                seqs = [p.seq for p in prepared] or [low + 1]
                lies: list[m.PreparedProof] = []
                for seq in seqs:
                    digest = NULL_BATCH.digest
                    signed = situation.signer.sign(m.pre_prepare_statement(view - 1, seq, digest))
                    vote = m.prepare(situation.signer, view - 1, seq, digest)
                    votes = (vote,) * situation.n
                    lies.append(m.PreparedProof(view - 1, seq, digest, signed, votes))
                lie = m.view_change(situation.signer, view, low, stable, tuple(lies))
                out.append(Broadcast(lie))
            case _:
                out.append(effect)
    return out


def corrupt_new_view(effects: Effects, situation: Situation) -> Effects:
    """As new primary, leave out or change what V says; or show too small a V."""
    out: Effects = []
    for effect in effects:
        match effect:
            case Broadcast(m.NewView(view, votes, assignments)):
                digests = [(a.seq, a.digest) for a in assignments]
                way = situation.draw.below(4)
                if way == 0 and digests:
                    digests.pop()
                elif way == 1 and digests:
                    digests[0] = (digests[0][0], NULL_BATCH.digest)
                elif way == 2:
                    votes = votes[: len(votes) // 2]
                    digests = []
                else:
                    last = digests[-1][0] if digests else votes[0].low
                    digests.append((last + 1, NULL_BATCH.digest))
                lie = m.new_view(situation.signer, view, votes, tuple(digests))
                out.append(Broadcast(lie))
            case _:
                out.append(effect)
    return out


def bad_state_transfer(effects: Effects, situation: Situation) -> Effects:
    """Answer those that lag behind with altered batches and certificates cut short."""
    out: Effects = []
    for effect in effects:
        match effect:
            case Send(to, m.State(first, batches)):
                lie = tuple(replace(b, requests=(), time_us=b.time_us + 1) for b in batches)
                out.append(Send(to, m.State(first, lie)))
            case Send(to, m.Committed(seq, batch, commits)):
                lie = replace(batch, requests=(), time_us=batch.time_us + 1)
                out.append(Send(to, m.Committed(seq, lie, commits)))
                own = m.commit(situation.signer, commits[0].view, seq, lie.digest)
                out.append(Send(to, m.Committed(seq, lie, (own,) * len(commits))))
            case Send(to, m.BatchBody(batch)):
                out.append(Send(to, m.BatchBody(replace(batch, requests=()))))
            case _:
                out.append(effect)
    return out


def false_checkpoint(effects: Effects, situation: Situation) -> Effects:
    """Claim another history and state at every checkpoint, to some replicas."""
    out: Effects = []
    for effect in effects:
        match effect:
            case Broadcast(m.Checkpoint(seq, history, state)):
                lie = m.checkpoint(situation.signer, seq, other_digest(history), state)
                for to in range(situation.n):
                    if to != situation.id:
                        truth = situation.draw.chance(300)
                        out.append(Send(to, effect.message if truth else lie))
            case _:
                out.append(effect)
    return out


def forged_stable(effects: Effects, situation: Situation) -> Effects:
    """Show a certificate for a checkpoint that nobody has reached, signed by oneself alone."""
    out = list(effects)
    if now_and_then(situation, "forged", 200_000):
        core = core_of(situation)
        seq = core.low + core.params.checkpoint_interval
        nothing = other_digest(core.history)
        vote = m.checkpoint(situation.signer, seq, nothing, nothing)
        out.append(Broadcast(m.StableCheckpoint((vote,) * situation.n)))
    return out


def early_checkpoint(effects: Effects, situation: Situation) -> Effects:
    """Echo any CHECKPOINT at once as one's own, executed or not; several times."""
    out = list(effects)
    event = situation.event
    if isinstance(event, Receive) and isinstance(event.message, m.Checkpoint):
        claim = (event.message.seq, event.message.history, event.message.state)
        echoed: set[Any] = situation.memory.setdefault("echoed", set())
        if claim not in echoed:
            echoed.add(claim)
            echo = m.checkpoint(situation.signer, *claim)
            out.extend([Broadcast(echo), Broadcast(echo)])
    return out


def far_ahead(effects: Effects, situation: Situation) -> Effects:
    """Vote and propose far beyond the window, and in views that nobody is in."""
    core = core_of(situation)
    out = list(effects)
    if now_and_then(situation, "far-ahead", 20_000):
        seq = core.high + situation.draw.between(1, 1000)
        view = core.view + situation.draw.between(0, 2) * situation.n
        batch = Batch((), situation.now_us, view, situation.id)
        out.append(Broadcast(m.pre_prepare(situation.signer, view, seq, batch)))
        out.append(Broadcast(m.commit(situation.signer, view, seq, batch.digest)))
        out.append(Broadcast(m.checkpoint(situation.signer, seq, batch.digest, batch.digest)))
    return out


def mutate_votes(effects: Effects, situation: Situation) -> Effects:
    """Small mutations: view ± 1, sequence ± 1."""
    out: Effects = []
    for effect in effects:
        match effect:
            case Broadcast(m.Prepare(view, seq, digest)) if situation.draw.chance(400):
                view, seq = _shift(view, seq, situation)
                out.append(Broadcast(m.prepare(situation.signer, view, seq, digest)))
            case Broadcast(m.Commit(view, seq, digest)) if situation.draw.chance(400):
                view, seq = _shift(view, seq, situation)
                out.append(Broadcast(m.commit(situation.signer, view, seq, digest)))
            case _:
                out.append(effect)
    return out


def _shift(view: int, seq: int, situation: Situation) -> tuple[int, int]:
    if situation.draw.chance(500):
        return max(0, view + situation.draw.choice((-1, 1))), seq
    return view, seq + situation.draw.choice((-1, 1))


ATTACKS: dict[str, Behaviour] = {
    **GENERAL,
    "equivocate": equivocate,
    "split-evenly": split_evenly,
    "vote-for-all": vote_for_all,
    "vote-to-each": vote_to_each,
    "wrong-digest": wrong_digest,
    "censor": censor,
    "usurp": usurp,
    "stale-view-change": stale_view_change,
    "old-proofs": old_proofs,
    "invent-proofs": invent_proofs,
    "forged-stable": forged_stable,
    "corrupt-new-view": corrupt_new_view,
    "bad-state-transfer": bad_state_transfer,
    "false-checkpoint": false_checkpoint,
    "early-checkpoint": early_checkpoint,
    "far-ahead": far_ahead,
    "mutate-votes": mutate_votes,
}
"""What a Byzantine PBFT replica may be told to do, by name."""
