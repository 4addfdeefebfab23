"""Dialogues as text: who sends what to whom, and what comes of it, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from simulation.base.digest import Digest
from simulation.base.ids import ReplicaId
from simulation.consensus.arena import Action
from simulation.consensus.hotstuff import messages as h
from simulation.consensus.hotstuff.blocks import Block, QuorumCert, signers_of
from simulation.consensus.hotstuff.replica import HotStuffReplica
from simulation.consensus.pbft import messages as m
from simulation.consensus.protocol import NULL_BATCH, Batch, Decide, Effect, Executed, Report
from simulation.consensus.signing import Signature
from tests.consensus.stage import Stage

REMARKS = {
    "pbft": {
        "prepared": "is prepared for n={seq}",
        "request-timeout": "has waited too long for a request",
        "view-change": "leaves its view: {detail}",
        "new-view": "enters view {view}: {detail}",
        "bad-new-view": "refuses a NEW-VIEW: {detail}",
        "stable-checkpoint": "has a stable checkpoint at n={seq} and cuts its log there",
        "state-transfer": "has checked the state up to n={seq}: {detail}",
        "bad-transfer": "refuses a state: {detail}",
        "equivocation": "has evidence: {detail}",
    },
    "hotstuff": {
        "view-change": "gives up its leader: {detail}",
        "new-view": "enters view {view} and its first round: {detail}",
        "state-transfer": "has checked the batches up to n={seq}: {detail}",
        "bad-transfer": "refuses batches: {detail}",
        "bad-block": "refuses a block: {detail}",
        "equivocation": "has evidence: {detail}",
    },
}
"""What a report says in a dialogue; the others are left out."""


def short(digest: Digest) -> str:
    """Enough of a digest to tell it from others."""
    return "null" if digest == NULL_BATCH.digest else digest.hex()[:6]


def numbers(first: int, last: int) -> str:
    return f"n={first}" if first == last else f"n={first}..{last}"


def contents(batch: Batch) -> str:
    return " ".join(f"{r.client}/{r.timestamp}" for r in batch.requests) or "nothing"


def listed(parts: Iterable[object]) -> str:
    return "{" + ", ".join(map(str, parts)) + "}"


def wording(message: Any) -> str:
    """One message in one line."""
    for words in (of_pbft, of_pbft_recovery, of_hotstuff, of_hotstuff_recovery):
        if said := words(message):
            return f"{message.kind.upper()} {said}"
    raise AssertionError(f"no wording for {message!r}")


def of_hotstuff(message: Any) -> str:
    """The fields of the messages that the HotStuff paper defines."""
    match message:
        case h.RequestMessage(request):
            return f"{request.client}/{request.timestamp}"
        case h.Proposal(block, reason):
            why = f" after NEW-VIEWs of {listed(signers(reason.votes))}" if reason else ""
            return f"{block_words(block)}{why}"
        case h.Vote(round_, digest):
            return f"r={round_} b={short(digest)}"
        case h.NewView(view, high):
            return f"view {view}, the highest certificate is {certificate(high)}"
        case _:
            return ""


def of_hotstuff_recovery(message: Any) -> str:
    """The fields of HotStuff's messages that bring a replica up to date."""
    match message:
        case h.Sync(high, last, reason):
            known = f", the last proposal is r={last.block.round}" if last else ""
            why = f", view {reason.view} has begun" if reason else ""
            return f"the highest certificate is {certificate(high)}{known}{why}"
        case h.FetchBlocks(digest, above):
            return f"b={short(digest)} and all between it and r={above}"
        case h.Blocks(blocks):
            return "; ".join(map(block_words, blocks))
        case h.CommitProof(blocks, high):
            rounds = ", ".join(str(block.round) for block in blocks)
            return f"r={rounds} in a row, the last one with {certificate(high)}"
        case h.FetchState(first, last):
            return numbers(first, last)
        case h.State(first, batches):
            return numbers(first, first + len(batches) - 1)
        case _:
            return ""


def block_words(block: Block) -> str:
    what = f"n={block.seq} {contents(block.batch)}" if block.batch.requests else "empty"
    return f"r={block.round} b={short(block.digest)} ({what}) on {certificate(block.justify)}"


def certificate(shown: QuorumCert) -> str:
    if shown.round == 0:
        return "the genesis"
    return f"QC(r={shown.round} b={short(shown.digest)} by {listed(signers_of(shown))})"


def signers(votes: Iterable[tuple[int, Signature]]) -> list[ReplicaId]:
    return sorted(signature.replica for _, signature in votes)


def of_pbft(message: Any) -> str:
    """The fields of the messages that the PBFT paper defines."""
    match message:
        case m.RequestMessage(request):
            return f"{request.client}/{request.timestamp}"
        case m.PrePrepare(view, seq, digest, batch):
            return f"v={view} n={seq} d={short(digest)} orders {contents(batch)}"
        case m.Prepare(view, seq, digest) | m.Commit(view, seq, digest):
            return f"v={view} n={seq} d={short(digest)}"
        case m.Checkpoint(seq, history, state):
            return f"n={seq} history={short(history)} state={short(state)}"
        case m.ViewChange(view, low, stable, prepared):
            c = listed(sorted(vote.signed_by for vote in stable))
            p = listed(f"n={x.seq} d={short(x.digest)} of v={x.view}" for x in prepared)
            return f"v={view} h={low} C={c} P={p}"
        case m.NewView(view, votes, assignments):
            v = listed(vote.signed_by for vote in votes)
            o = listed(f"n={a.seq} d={short(a.digest)}" for a in assignments)
            return f"v={view} V={v} O={o}"
        case _:
            return ""


def of_pbft_recovery(message: Any) -> str:
    """The fields of PBFT's messages that repeat and transfer."""
    match message:
        case m.Status(view, active, low, executed):
            between = "" if active else " (between views)"
            return f"v={view}{between} h={low} executed={executed}"
        case m.FetchState(first, last):
            return numbers(first, last)
        case m.State(first, batches):
            return numbers(first, first + len(batches) - 1)
        case m.StableCheckpoint(proof):
            return f"n={proof[0].seq} signed by {listed(sorted(v.signed_by for v in proof))}"
        case m.Committed(seq, batch, commits):
            signers = listed(sorted(vote.signed_by for vote in commits))
            return f"n={seq} d={short(batch.digest)} signed by {signers}"
        case m.FetchBatch(digest):
            return f"d={short(digest)}"
        case m.BatchBody(batch):
            return f"d={short(batch.digest)} is {contents(batch)}"
        case _:
            return ""


class Dialogue(Stage):
    """A stage that writes down what happens on it; every message takes one millisecond."""

    def __init__(self, params: Any, **setting: Any) -> None:
        self.lines: list[str] = []
        self._lost: list[ReplicaId] = []
        self._certified: dict[ReplicaId, int] = {}
        super().__init__(params, spread_us=0, **setting)

    def remark(self, text: str) -> None:
        """A line between the messages."""
        self.lines.append(f"{self.now_us / 1000:>9.3f}  ------   {text}")

    def _act(self, action: Action) -> None:
        match action.what:
            case "propose":
                self.remark(f"the hospital at replica {action.replica} wants something ordered")
            case "crash":
                self.remark(f"replica {action.replica} crashes")
            case "cut":
                self.remark(f"the links of replica {', '.join(map(str, action.group))} are cut")
            case "heal":
                self.remark("the links are whole again")
            case _:
                pass
        super()._act(action)

    def _perform(self, replica: ReplicaId, effects: Sequence[Effect[Any]]) -> None:
        core = self.core(replica)
        if isinstance(core, HotStuffReplica):
            self._remark_certificate(replica, core)
        super()._perform(replica, effects)

    def _remark_certificate(self, replica: ReplicaId, core: HotStuffReplica) -> None:
        """HotStuff reports no phases: they are what the newest certificate means to its chain."""
        if core.high.round > self._certified.get(replica, 0):
            self._certified[replica] = core.high.round
            lock = f", locks r={core.locked_round}" if core.locked_round else ""
            self.remark(f"replica {replica} has the certificate of r={core.high.round}{lock}")

    def _transmit(
        self, replica: ReplicaId, receivers: Sequence[ReplicaId], message: Any, honest: bool
    ) -> None:
        self._lost = []
        place = len(self.lines)
        super()._transmit(replica, receivers, message, honest)
        all_others = len(receivers) == self.n - 1
        to = "all" if all_others else ",".join(map(str, receivers))
        lost = ""
        if self._lost:
            whom = "all" if self._lost == list(receivers) else ", ".join(map(str, self._lost))
            lost = f"   (lost on the way to {whom})" if all_others else "   (lost)"
        line = f"{self.now_us / 1000:>9.3f}  {replica} → {to:<4} {wording(message)}{lost}"
        self.lines.insert(place, line)

    def _post(self, src: ReplicaId, dst: ReplicaId, message: Any) -> None:
        if (src, dst) in self._cut or self.tap(src, dst, message) is None or dst in self.down:
            self._lost.append(dst)
        super()._post(src, dst, message)

    def _report(self, replica: ReplicaId, report: Report, honest: bool) -> None:
        super()._report(replica, report, honest)
        text = REMARKS[self.params.kind].get(report.what)
        if text is not None:
            said = text.format(seq=report.seq, view=report.view, detail=report.detail)
            self.remark(f"replica {replica} {said}")

    def _decide(self, replica: ReplicaId, decision: Decide, honest: bool) -> Executed:
        what = f"n={decision.seq}: {contents(decision.batch)}"
        self.remark(f"replica {replica} executes {what}")
        return super()._decide(replica, decision, honest)
