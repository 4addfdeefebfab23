"""One real computation per distinct input is shared, and nobody shares what is not the same.

Copies of a process share executions, blocks, readings of their state and known signatures. Each
test gives one of them something that differs, if only in a bit, and it must be on its own.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.digest import DIGEST_BYTES
from simulation.base.keys import SigningKey
from simulation.contracts import default_contracts
from simulation.contracts.rounds import read_round
from simulation.ledger import signatures
from simulation.ledger.block import Block, attest
from simulation.ledger.chain import MemoryStore
from simulation.ledger.copy import LedgerCopy, LedgerFault
from simulation.ledger.runtime import Runtime
from simulation.ledger.signatures import is_vote, sign_vote
from simulation.ledger.state import Journal, State, read_once_per_state
from simulation.ledger.value import read_once


@pytest.fixture
def copies(chain) -> list[LedgerCopy]:
    """Four replicas that share a runtime, as those of one run do."""
    runtime = Runtime(default_contracts())
    return [
        LedgerCopy(chain.genesis, default_contracts(), MemoryStore(), node, runtime=runtime)
        for node in range(4)
    ]


def run(copy: LedgerCopy, *payloads: bytes, view: int = 0) -> Block:
    block = copy.execute(list(payloads), view=view, proposer=0, time_us=5)
    assert block is not None
    return block


# ---- execution ----------------------------------------------------------------------------------


def test_replicas_that_execute_the_same_batch_share_its_block(chain, copies) -> None:
    """Replicas with the same state and the same bytes share one real computation."""
    payloads = [chain.open(), chain.sign(1)]

    blocks = [run(copy, *payloads) for copy in copies]

    assert all(block is blocks[0] for block in blocks)


@pytest.mark.parametrize("differs", ["bytes", "order", "view", "state"])
def test_a_replica_that_differs_executes_for_itself(chain, copies, differs: str) -> None:
    """A replica whose input differs by one bit does not profit from what the others computed."""
    first, second = chain.open(), chain.sign(1)
    flipped = second[:-1] + bytes([second[-1] ^ 1])
    liar, honest, before = copies[0], copies[1:], chain.sign(2)
    if differs == "state":
        run(liar, flipped)
        for copy in honest:
            run(copy, before)
    true, *_ = [run(copy, first, second) for copy in honest]

    false = {
        "bytes": lambda: run(liar, first, flipped),
        "order": lambda: run(liar, second, first),
        "view": lambda: run(liar, first, second, view=1),
        "state": lambda: run(liar, first, second),
    }[differs]()

    alone = chain.copy(0)
    if differs == "state":
        run(alone, flipped)
    assert false != true
    expected = run(alone, *false.transactions, view=false.header.view)
    assert false == expected, "what a runtime of its own makes of it"
    vote = liar.attest(chain.keys[0])
    for copy in honest:
        assert copy.add_attestation(vote) is None
        assert [copy.add_attestation(c.attest(chain.keys[c.node])) for c in honest[:2]] == [
            None,
            None,
        ], "the liar's vote is for another block and completes nothing"


def test_a_false_block_under_true_roots_is_its_own_block(chain, copies) -> None:
    """Whoever hands on a block with other transactions than its header says is found out."""
    true = run(copies[1], chain.open())
    certificate = chain.certify([*copies[1:2], *(_after(c, true) for c in copies[2:])])
    false = Block(true.header, (b"rubbish",), true.outcomes)

    with pytest.raises(LedgerFault, match="transaction_root"):
        copies[0].follow(false, certificate)

    assert copies[0].follow(true, certificate)


def _after(copy: LedgerCopy, block: Block) -> LedgerCopy:
    run(copy, *block.transactions)
    return copy


# ---- readings -----------------------------------------------------------------------------------


def test_equal_states_share_a_reading_and_others_do_not(chain, copies) -> None:
    """The root stands for every entry: one more, and the copy reads for itself."""
    opened = chain.open()
    for copy in copies:
        run(copy, opened)
    assert read_round(copies[0], 1) is read_round(copies[1], 1)

    run(copies[0], chain.sign(1))

    assert copies[0].root != copies[1].root
    assert read_round(copies[0], 1) is not read_round(copies[1], 1)
    assert read_round(copies[0], 1) == read_round(copies[1], 1)


def test_changes_under_way_are_read_each_time() -> None:
    """A journal has no root yet; what it answers may change from one question to the next."""
    read = read_once_per_state(lambda state, key: state.get(key))
    state = State()
    journal = Journal(state)

    before = read(journal, "a/b")
    journal.put("a/b", 1)

    assert (before, read(journal, "a/b"), read(state, "a/b")) == (None, 1, None)
    state.commit(state.stage(journal.entries))
    assert read(state, "a/b") == 1


def test_a_value_is_read_once_and_one_that_may_change_each_time() -> None:
    """The object is what is remembered, not its looks, and only where nobody can change it."""
    seen: list[object] = []
    read = read_once(lambda value, extra: seen.append(extra) or dict(value))
    frozen, twin, loose = (MappingProxyType({"a": 1}), MappingProxyType({"a": 1}), {"a": 1})

    assert read(frozen, 1) is read(frozen, 1)
    assert read(twin, 2) is not read(frozen, 1)
    assert read(frozen, 3) is not read(frozen, 1), "another question"
    read(loose, 4)
    loose["a"] = 2
    assert read(loose, 4) == {"a": 2}

    assert seen == [1, 2, 3, 4, 4]


# ---- signatures ---------------------------------------------------------------------------------

ALICE, BOB = SigningKey(b"a" * 32), SigningKey(b"b" * 32)


@given(message=st.binary(max_size=64), bit=st.integers(0, 511))
def test_a_vote_is_known_by_every_bit_of_it(message: bytes, bit: int) -> None:
    """It holds a signing key and no other: it cannot forge."""
    key, other = ALICE.public.encoded, BOB.public.encoded
    vote = sign_vote(ALICE, message)
    forged = bytearray(vote)
    forged[bit // 8] ^= 1 << bit % 8

    assert is_vote(key, message, vote)
    assert not is_vote(key, message, bytes(forged))
    assert not is_vote(other, message, vote)
    assert not is_vote(key, message + b"!", vote)


def test_a_vote_that_was_not_made_here_is_verified(monkeypatch) -> None:
    """A process that only reads knows no votes, and accepts true ones and no others."""
    vote = sign_vote(ALICE, b"block")
    monkeypatch.setattr(signatures, "_votes", {})

    assert is_vote(ALICE.public.encoded, b"block", vote)
    assert not is_vote(ALICE.public.encoded, b"block", vote[:-1] + bytes([vote[-1] ^ 1]))


def test_a_replica_cannot_vote_in_anothers_name(chain, copies) -> None:
    """What a liar signs with its own key is no vote of somebody else, whatever it is called."""
    block = run(copies[0], chain.open())

    stolen = replace(attest(block.header, 3, chain.keys[3]), signer=2)

    assert len(stolen.digest) == DIGEST_BYTES
    assert not stolen.is_genuine(copies[0].voters_at(1))
