"""The dialogues in tests/consensus/transcripts are what the replicas say, byte for byte.

``pytest tests/consensus/test_transcripts.py --regenerate`` writes them anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simulation.consensus.byzantine import Effects, Situation
from simulation.consensus.hotstuff.attacks import equivocate
from simulation.consensus.hotstuff.params import HotStuffParams
from simulation.consensus.pbft import messages as m
from simulation.consensus.protocol import Broadcast, Send
from tests.consensus.dialogue import Dialogue
from tests.consensus.pbft.stage import QUICK

FOLDER = Path(__file__).parent / "transcripts"
SETTING = replace(QUICK, heartbeat_ms=0.0, retransmit_ms=150.0)
CHAINED = HotStuffParams(
    batch_max_age_ms=0.0,
    batch_max_requests=1,
    round_timeout_ms=100.0,
    client_retry_ms=400.0,
    retransmit_ms=60.0,
)
LEGENDS = {
    "pbft": """\
Times are in milliseconds; every message takes one. v is a view, n a sequence number, d the first
digits of a digest, 2/1 the first request of the hospital at replica 2. Lines with dashes say what
happens at a replica; all other lines are messages: sender → receiver.""",
    "hotstuff": """\
Times are in milliseconds; every message takes one. r is a round, b the first digits of a block's
digest, n a sequence number, 2/1 the first request of the hospital at replica 2, QC a quorum
certificate with its signers. A leader votes for its own block without a message. Lines with dashes
say what happens at a replica; all other lines are messages: sender → receiver.""",
}


def normal_case() -> Dialogue:
    """The normal case (§4.2). Four replicas, replica 0 is the primary of view 0.

    The request goes to the primary (1 message), the primary proposes (3), the backups prepare (9),
    all commit (12). Prepared: the proposal and two PREPAREs. Executed: three COMMITs. From the
    primary's proposal to the execution it takes three message delays.
    """
    talk = Dialogue(SETTING)
    talk.request(2, 0)
    talk.until(50)
    return talk


def view_change_without_prepared() -> Dialogue:
    """A view change (§4.4) with nothing prepared. Replica 0, the primary, is dead.

    Replica 2 alone knows of the request, so it alone asks for view 1 at first. When it has told
    all others (§4.1), their timers run out as well; a quorum starts view 1. No request was
    prepared anywhere, so P and O are empty. The new primary orders the request in its own name.
    """
    talk = Dialogue(SETTING)
    talk.at(0, "crash", 0)
    talk.request(2, 10)
    talk.until(540)
    return talk


def view_change_with_prepared() -> Dialogue:
    """A view change (§4.4) that carries over what was prepared. All COMMITs of view 0 are lost.

    The request is prepared in view 0 and executed nowhere when the primary dies. Each VIEW-CHANGE
    proves that in its P, so O must propose the same batch at the same number, and the new view
    finishes what the old one began. Had one replica executed it already, nothing would differ.
    """
    talk = Dialogue(SETTING)
    talk.tap = lambda src, dst, x: None if isinstance(x, m.Commit) and x.view == 0 else 0
    talk.request(2, 0)
    talk.at(20, "crash", 0)
    talk.until(150)
    return talk


def checkpoint() -> Dialogue:
    """A checkpoint (§4.3). Every second sequence number is one: K = 2, L = 4.

    After executing n = 2 each replica multicasts the digests of its state and its history. Three
    equal CHECKPOINTs make it stable: the log up to n = 2 is cut, and the water marks move from
    0 < n ≤ 4 to 2 < n ≤ 6.
    """
    talk = Dialogue(replace(SETTING, checkpoint_interval=2, window=4))
    talk.request(0, 0)
    talk.request(0, 5)
    talk.until(30)
    return talk


def state_transfer() -> Dialogue:
    """State transfer. Replica 3 misses a whole window, K = 2 and L = 4, then comes back.

    It learns from the CHECKPOINTs of the others how far they are; they have cut their logs, so
    there are no votes left to repeat. It asks one of the signers for the decided batches, checks
    that their hash chain ends in the certified history, and only then executes them.
    """
    params = replace(SETTING, checkpoint_interval=2, window=4)
    talk = Dialogue(params)
    talk.at(0, "cut", -1, 0, 3)
    for k in range(5):
        talk.request(0, 1 + 5 * k)
    talk.at(26, "heal")
    talk.request(0, 27)
    talk.until(60)
    return talk


def two_faces(effects: Effects, situation: Situation) -> Effects:
    """One proposal for the replicas with even numbers, another for the others."""
    out: Effects = []
    for effect in effects:
        match effect:
            case Broadcast(m.PrePrepare(view, seq, _, batch)):
                twin = replace(batch, requests=(), time_us=batch.time_us + 1)
                lie = m.pre_prepare(situation.signer, view, seq, twin)
                for to in range(situation.n):
                    if to != situation.id:
                        out.append(Send(to, lie if to % 2 else effect.message))
            case Send(to, m.PrePrepare() as truth):
                # Asked to repeat itself, it tells the other story: now there is a witness.
                if to % 2:
                    out.append(Send(to, truth))
            case _:
                out.append(effect)
    return out


def equivocating_primary() -> Dialogue:
    """An equivocating primary (§4.2). Replica 0 orders 2/1 at n = 1 for replica 2 and nothing at
    n = 1 for replicas 1 and 3.

    Replicas 1 and 3 are even prepared for their version, but a COMMIT quorum needs three of four,
    and any two quorums share an honest replica. Nobody executes anything. The timers run out; the
    certificate of replicas 1 and 3 decides what stands at n = 1 in view 1, and the request, still
    waiting, is ordered after it. When the old primary repeats itself in view 0, whoever has seen
    both of its proposals holds the evidence: two signatures under one number.
    """
    talk = Dialogue(SETTING, liars={0: [two_faces]})
    talk.request(2, 0)
    talk.until(620)
    return talk


def chained_normal_case() -> Dialogue:
    """The normal case (§5). Four replicas; replica 0 leads rounds 1 to 3, replica 1 rounds 4 to 7.

    The request goes to all, because any of them may lead next. Each round is one proposal to all
    and one vote of each, to the leader of the next round, who makes a certificate of three. The
    request's block is decided when it and the next two are certified: that is what the proposal
    of round 4 shows. The blocks after it are empty; they only carry certificates on.
    """
    talk = Dialogue(CHAINED)
    talk.request(2, 0)
    talk.until(50)
    return talk


def chained_pipeline() -> Dialogue:
    """The pipeline (§5). Three requests at once, one in each block.

    The certificate of a block is at the same time the second vote on its parent and the third one
    on its grandparent: three decisions take six rounds instead of twelve.
    """
    talk = Dialogue(CHAINED)
    for replica in (1, 2, 3):
        talk.request(replica, 0)
    talk.until(50)
    return talk


def chained_silent_leader() -> Dialogue:
    """A dead leader (§4.1 nextView interrupt, §6 pacemaker). Replica 0 is dead.

    All wait for round 1 until their timers run out. The NEW-VIEWs of a quorum begin view 1, whose
    first round is 4; its leader, replica 1, shows them with its proposal, which extends the highest
    certificate that they name.
    """
    talk = Dialogue(CHAINED)
    talk.at(0, "crash", 0)
    talk.request(2, 10)
    talk.until(150)
    return talk


def chained_equivocating_leader() -> Dialogue:
    """An equivocating leader. Replica 0 proposes one block to replica 2, another to 1 and 3.

    Each replica votes once in each round, so at most one of the blocks can be certified; here it
    is two votes for each, of three that it takes, and the round dies. The next leader extends the
    genesis again. Whoever then hears of the other proposal holds the evidence.
    """
    talk = Dialogue(CHAINED, liars={0: [equivocate]})
    talk.request(2, 0)
    talk.until(150)
    return talk


TRANSCRIPTS: dict[str, Callable[[], Dialogue]] = {
    f"{protocol}/{made.__name__.removeprefix('chained_')}": made
    for protocol, dialogues in {
        "pbft": (
            normal_case,
            view_change_without_prepared,
            view_change_with_prepared,
            checkpoint,
            state_transfer,
            equivocating_primary,
        ),
        "hotstuff": (
            chained_normal_case,
            chained_pipeline,
            chained_silent_leader,
            chained_equivocating_leader,
        ),
    }.items()
    for made in dialogues
}


def text_of(made: Callable[[], Dialogue]) -> str:
    """What the docstring says, the legend, and the dialogue."""
    talk = made()
    talk.check()
    lead = "\n".join(line.strip() for line in (made.__doc__ or "").strip().splitlines())
    return f"{lead}\n\n{LEGENDS[talk.params.kind]}\n\n" + "\n".join(talk.lines) + "\n"


@pytest.mark.parametrize("name", list(TRANSCRIPTS))
def test_the_dialogue_is_what_the_transcript_says(name: str, request: Any) -> None:
    """A change of the protocol shows up as a change of what a student reads."""
    path = FOLDER / f"{name}.txt"
    text = text_of(TRANSCRIPTS[name])
    if request.config.getoption("--regenerate"):
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text, encoding="utf-8", newline="\n")

    assert path.read_bytes().decode("utf-8") == text


def test_every_transcript_has_its_dialogue() -> None:
    """Nothing lies in the folder that no test keeps true."""
    assert {str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.glob("*/*")} == set(
        TRANSCRIPTS
    )
