"""The dialogues in tests/consensus/transcripts are what the replicas say, byte for byte.

``pytest tests/consensus/pbft/test_transcripts.py --regenerate`` writes them anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simulation.consensus.byzantine import Effects, Situation
from simulation.consensus.pbft import messages as m
from simulation.consensus.protocol import Broadcast, Send
from tests.consensus.pbft.dialogue import Dialogue
from tests.consensus.pbft.stage import QUICK

FOLDER = Path(__file__).parent.parent / "transcripts"
SETTING = replace(QUICK, heartbeat_ms=0.0, retransmit_ms=150.0)
LEGEND = """\
Times are in milliseconds; every message takes one. v is a view, n a sequence number, d the first
digits of a digest, 2/1 the first request of the hospital at replica 2. Lines with dashes say what
happens at a replica; all other lines are messages: sender → receiver."""


def normal_case() -> Dialogue:
    """The normal case (§4.2). Four replicas, replica 0 is the primary of view 0.

    The request goes to the primary (1 message), the primary proposes (3), the backups prepare (9),
    all commit (12). Prepared: the proposal and two PREPAREs. Executed: three COMMITs. From the
    primary's proposal to the execution it takes three message delays.
    """
    talk = Dialogue(params=SETTING)
    talk.request(2, 0)
    talk.until(50)
    return talk


def view_change_without_prepared() -> Dialogue:
    """A view change (§4.4) with nothing prepared. Replica 0, the primary, is dead.

    Replica 2 alone knows of the request, so it alone asks for view 1 at first. When it has told
    all others (§4.1), their timers run out as well; a quorum starts view 1. No request was
    prepared anywhere, so P and O are empty. The new primary orders the request in its own name.
    """
    talk = Dialogue(params=SETTING)
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
    talk = Dialogue(params=SETTING)
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
    talk = Dialogue(params=replace(SETTING, checkpoint_interval=2, window=4))
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
    talk = Dialogue(params=params)
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
    talk = Dialogue(params=SETTING, liars={0: [two_faces]})
    talk.request(2, 0)
    talk.until(620)
    return talk


TRANSCRIPTS: dict[str, Callable[[], Dialogue]] = {
    made.__name__: made
    for made in (
        normal_case,
        view_change_without_prepared,
        view_change_with_prepared,
        checkpoint,
        state_transfer,
        equivocating_primary,
    )
}


def text_of(made: Callable[[], Dialogue]) -> str:
    """What the docstring says, the legend, and the dialogue."""
    talk = made()
    talk.check()
    lead = "\n".join(line.strip() for line in (made.__doc__ or "").strip().splitlines())
    return f"{lead}\n\n{LEGEND}\n\n" + "\n".join(talk.lines) + "\n"


@pytest.mark.parametrize("name", list(TRANSCRIPTS))
def test_the_dialogue_is_what_the_transcript_says(name: str, request: Any) -> None:
    """A change of the protocol shows up as a change of what a student reads."""
    path = FOLDER / f"{name}.txt"
    text = text_of(TRANSCRIPTS[name])
    if request.config.getoption("--regenerate"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")

    assert path.read_bytes().decode("utf-8") == text


def test_every_transcript_has_its_dialogue() -> None:
    """Nothing lies in the folder that no test keeps true."""
    assert {path.stem for path in FOLDER.glob("*")} == set(TRANSCRIPTS)
