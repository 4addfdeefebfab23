"""Chained HotStuff: missing blocks and batches (§4.2, "tree and branches")."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from simulation.consensus import clients
from simulation.consensus.hotstuff.blocks import GENESIS, GENESIS_QC, Block
from simulation.consensus.hotstuff.messages import (
    CommitProof,
    FetchState,
    State,
)
from simulation.consensus.hotstuff.replica import build
from simulation.consensus.protocol import (
    Decide,
    Report,
    Restarted,
    Send,
    TimerFired,
)
from tests.consensus.hotstuff.bench import (
    AT_ONCE,
    QUICK,
    certify,
    chain,
    child,
    leader,
    offer,
    request,
    take,
)


def test_a_replica_that_was_cut_off_catches_up_from_the_journal(group: Any) -> None:
    """Blocks that left memory: a commit proof, and the batches from a journal."""
    params = replace(QUICK, batch_max_requests=1, window=4, transfer_batches=3)
    net = group(params, 4)
    net.down.add(3)
    for k in range(30):
        net.propose(0, request(0, k), time_us=k * 20_000)
    net.run(until_us=30_000_000)
    assert len(net.decided[0]) == 30
    assert not net.decided[3]

    net.down.clear()
    net.at(net.now_us, 3, Restarted())
    net.run(until_us=net.now_us + 60_000_000)

    assert net.orders()[3] == net.orders()[0]
    assert net.sent["commit-proof"] >= 1
    assert net.cores[0].footprint()["committed blocks"][0] <= 4


def test_transferred_batches_are_held_against_the_committed_history() -> None:
    """A source that serves other batches is found out, and another one is asked."""
    blocks: list[Block] = []
    parent, justify = GENESIS, GENESIS_QC
    for round_ in range(1, 8):
        parent = child(parent, justify, round_, request(0, round_))
        justify = certify(parent)
        blocks.append(parent)
    core = build(3, 4, AT_ONCE)
    effects = take(core, 0, CommitProof(tuple(blocks[4:7]), justify))
    assert [(e.to, e.message) for e in effects if isinstance(e, Send)] == [(0, FetchState(1, 5))]
    honest = tuple(block.batch for block in blocks[:5])
    lies = tuple(replace(batch, time_us=1) for batch in honest)

    effects = take(core, 0, State(1, lies))
    assert [e.what for e in effects if isinstance(e, Report)] == ["bad-transfer"]
    asked = []
    for _ in range(4):
        effects = core.step(TimerFired(("fetch",)), 0)
        asked += [e.to for e in effects if isinstance(e, Send)]
    assert asked[-1] != 0
    effects = take(core, asked[-1], State(1, honest))

    assert [e.batch for e in effects if isinstance(e, Decide)] == list(honest)
    assert core.root.round == 5


def test_what_is_decided_meanwhile_is_not_fetched_again() -> None:
    """Blocks that arrive after all overtake a transfer; nobody is accused of a bad one."""
    blocks = [*chain(6, request(0))]
    parent, justify = blocks[-1], certify(blocks[-1])
    for round_ in range(7, 12):
        parent = child(parent, justify, round_, request(1, round_))
        justify = certify(parent)
        blocks.append(parent)
    core = build(3, 4, replace(AT_ONCE, transfer_batches=2))
    take(core, 0, CommitProof(tuple(blocks[8:11]), certify(blocks[10])))
    assert core.goal is not None
    take(core, 0, State(1, (blocks[0].batch, blocks[6].batch)))

    said = [e for block in blocks[:10] for e in take(core, leader(block.round), offer(block))]

    assert [e.seq for e in said if isinstance(e, Decide)] == [1, 2]
    assert not [e for e in said if isinstance(e, Report) and e.what == "bad-transfer"]
    asked = [e.message for e in core.step(TimerFired(("fetch",)), 0) if isinstance(e, Send)]
    assert FetchState(3, 4) in asked


def test_decided_batches_are_those_of_the_chain_whatever_clients_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client may let an old timestamp fall below the floor of exactly-once while a block with it
    is under way: it was valid for those who voted, so it is executed, and the journal still leads
    to the history in the blocks.
    """
    monkeypatch.setattr(clients, "CLIENT_WINDOW", 2)
    parent, justify = GENESIS, GENESIS_QC
    blocks: list[Block] = []
    for round_, stamp in enumerate((5, 6, 7, 8, 9, 1, 10, 11, 12), start=1):
        parent = child(parent, justify, round_, request(0, stamp))
        justify = certify(parent)
        blocks.append(parent)

    core = build(3, 4, AT_ONCE)
    said = [effect for block in blocks for effect in take(core, leader(block.round), offer(block))]

    decided = [e.batch for e in said if isinstance(e, Decide)]
    assert decided == [block.batch for block in blocks[: len(decided)]]
    assert len(decided) == 6
    assert core.decided_history == blocks[5].history
