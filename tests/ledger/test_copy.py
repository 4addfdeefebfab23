"""A node's copy: replicas execute and certify, followers believe nothing but certificates."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.digest import Digest
from simulation.base.merkle import merkle_root
from simulation.contracts import default_contracts
from simulation.ledger.block import HEADER_FIELDS, Block, Certificate, Outcome, attest
from simulation.ledger.chain import MemoryStore
from simulation.ledger.copy import MAX_AHEAD, LedgerCopy, LedgerFault
from simulation.ledger.runtime import Runtime
from simulation.ledger.transaction import transaction_id


def run(copy: LedgerCopy, *payloads: bytes, time_us: int = 0) -> Block:
    block = copy.execute(list(payloads), view=2, proposer=1, time_us=time_us)
    assert block is not None
    return block


# ---- executing ----------------------------------------------------------------------------------


def test_a_copy_starts_at_the_genesis(chain) -> None:
    """Height 0 has the members, the task, and a header that names the chain."""
    copy = chain.copy()

    assert copy.height == 0
    assert copy.tip.chain == chain.genesis.chain_id
    assert copy.tip.parent == bytes(32)
    assert copy.get("member/000") == {"role": "hospital", "key": chain.keys[0].public.encoded}
    assert copy.get("nothing/here") is None


def test_an_empty_batch_makes_no_block(chain) -> None:
    """A non-empty batch makes one block; an empty one makes none."""
    copy = chain.copy()

    assert copy.execute([], view=0, proposer=0, time_us=5) is None
    assert copy.height == 0


def test_a_block_commits_to_what_it_did(chain) -> None:
    """The header holds parent, transaction root, proposer, view and time."""
    copy = chain.copy()
    genesis = copy.tip
    payloads = [chain.open(), b"rubbish"]

    block = run(copy, *payloads, time_us=77)

    header = block.header
    assert copy.tip is header
    assert (header.height, header.view, header.proposer, header.time_us) == (1, 2, 1, 77)
    assert header.parent == genesis.digest
    assert header.transaction_root == merkle_root(payloads)
    assert header.state_root != genesis.state_root
    assert copy.block(1) == block


@pytest.mark.parametrize(("time_us", "expected"), [(0, 101), (100, 101), (101, 101), (500, 500)])
def test_header_time_is_strictly_increasing(chain, time_us: int, expected: int) -> None:
    """Header time = max(parent time + 1, batch time)."""
    copy = chain.copy()
    run(copy, b"x", time_us=100)

    assert run(copy, b"y", time_us=time_us).header.time_us == expected


def test_outcomes_are_found_by_transaction(chain) -> None:
    """A submitter asks its own copy what became of its transaction."""
    copy = chain.copy()
    opened = chain.open()
    run(copy, b"x")

    assert copy.outcome(transaction_id(opened)) is None
    run(copy, b"y", opened)

    assert copy.outcome(transaction_id(opened)) == (2, Outcome(True, "ok"))
    assert copy.outcome(transaction_id(b"x")) == (1, Outcome(False, "malformed"))


def test_copies_that_share_a_runtime_and_copies_that_do_not_agree(chain) -> None:
    """Sharing one real computation changes no result."""
    contracts = default_contracts()
    runtime = Runtime(contracts)
    shared = [
        LedgerCopy(chain.genesis, contracts, MemoryStore(), node, runtime=runtime)
        for node in range(3)
    ]
    alone = chain.copy(3)
    batches = [[chain.open()], [chain.sign(i) for i in range(3)], [b"x"]]

    tips: list[set[Digest]] = [
        {run(copy, *batch).header.digest for copy in (*shared, alone)} for batch in batches
    ]

    assert [len(digests) for digests in tips] == [1, 1, 1]
    assert shared[0].get("sequence/002") == alone.get("sequence/002") == 1


# ---- certifying ---------------------------------------------------------------------------------


def test_the_certificate_is_returned_exactly_once(chain) -> None:
    """Returned exactly once, when the quorum is reached."""
    copies = [chain.copy(node) for node in range(4)]
    for copy in copies:
        run(copy, b"x")
    votes = [copy.attest(chain.keys[copy.node]) for copy in copies]

    results = [copies[0].add_attestation(votes[i]) for i in (0, 0, 3, 3, 1, 2, 1)]

    assert [result is not None for result in results] == [False] * 4 + [True] + [False] * 2
    assert copies[0].certificate(1) == results[4]
    assert results[4].replicas == [0, 1, 3]
    assert results[4].fault(copies[0].tip, chain.genesis.voters) is None


def test_early_attestations_wait_for_their_block(chain) -> None:
    """Signatures that arrive before this copy has executed the block are buffered."""
    fast = [chain.copy(node) for node in range(1, 4)]
    slow = chain.copy(0)
    for copy in fast:
        run(copy, b"x")
    early = [slow.add_attestation(copy.attest(chain.keys[copy.node])) for copy in fast]

    run(slow, b"x")
    certificate = slow.add_attestation(slow.attest(chain.keys[0]))

    assert early == [None] * 3
    assert certificate is not None
    assert certificate.replicas == [0, 1, 2, 3]


def test_attestations_of_several_blocks_interleave(chain) -> None:
    """Several blocks may be waiting for their certificates at once."""
    copies = [chain.copy(node) for node in range(4)]
    votes = []
    for payload in (b"x", b"y"):
        for copy in copies:
            run(copy, payload)
        votes.append([copy.attest(chain.keys[copy.node]) for copy in copies])
    mine = copies[0]

    got = [mine.add_attestation(votes[h][i]) for i in range(3) for h in (1, 0)]

    assert [c is not None for c in got] == [False] * 4 + [True, True]
    assert mine.certificate(1).fault(mine.block(1).header, chain.genesis.voters) is None
    assert mine.certificate(2).fault(mine.block(2).header, chain.genesis.voters) is None


def test_false_attestations_never_count(chain) -> None:
    """Forged signatures, other blocks, other views and non-voters certify nothing."""
    copy = chain.copy(0)
    run(copy, b"x")
    other = chain.copy(1)
    run(other, b"y")
    vote = attest(copy.tip, 1, chain.keys[1])
    false = [
        replace(vote, signature=bytes(64)),
        replace(vote, signer=2),
        attest(copy.tip, 2, chain.keys[1]),
        attest(copy.tip, 4, chain.keys[4]),
        attest(other.tip, 1, chain.keys[1]),
        attest(replace(copy.tip, view=9), 2, chain.keys[2]),
        replace(vote, height=0),
        replace(vote, height=MAX_AHEAD + 2),
    ]

    results = [copy.add_attestation(item) for item in false]
    results += [copy.add_attestation(attest(copy.tip, i, chain.keys[i])) for i in (0, 3)]

    assert results == [None] * 10
    assert copy.certificate(1) is None


def test_a_replica_has_one_vote_per_height(chain) -> None:
    """A replica that signs two blocks of one height is counted for its first signature only."""
    copy = chain.copy(0)
    run(copy, b"x")
    other = chain.copy(3)
    run(other, b"y")
    copy.add_attestation(attest(other.tip, 3, chain.keys[3]))

    results = [copy.add_attestation(attest(copy.tip, i, chain.keys[i])) for i in (3, 0, 1)]
    last = copy.add_attestation(attest(copy.tip, 2, chain.keys[2]))

    assert results == [None] * 3
    assert last is not None
    assert last.replicas == [0, 1, 2]


@given(order=st.permutations(list(range(4)) * 2))
def test_any_order_of_attestations_gives_one_valid_certificate(make_chain, order) -> None:
    """Whatever the network does with order and duplicates, one certificate comes out."""
    chain = make_chain()
    copies = [chain.copy(node) for node in range(4)]
    for copy in copies:
        run(copy, b"x")
    votes = [copy.attest(chain.keys[copy.node]) for copy in copies]

    got = [c for i in order if (c := copies[2].add_attestation(votes[i])) is not None]

    assert len(got) == 1
    assert got[0].fault(copies[2].tip, chain.genesis.voters) is None


# ---- following ----------------------------------------------------------------------------------


BATCHES = 5


@pytest.fixture
def history(chain) -> list[tuple[Block, Certificate]]:
    batches = [[chain.open()], [chain.sign(0), b"x"], [chain.sign(1)], [chain.sign(0)], [b"y"]]
    return chain.certified(batches)


def test_a_follower_ends_where_the_replicas_are(chain, history) -> None:
    """A follower executes every block itself and has the same state."""
    follower = chain.copy(4)

    grown = [follower.follow(block, certificate) for block, certificate in history]

    assert grown == [True] * BATCHES
    assert follower.tip == history[-1][0].header
    assert follower.get("task/round/1") is not None
    assert follower.certificate(3) == history[2][1]
    assert follower.outcome(transaction_id(b"y")) == (5, Outcome(False, "malformed"))


def test_a_known_block_changes_nothing(chain, history) -> None:
    """Each follower has several feeders; the first copy of a block wins."""
    follower = chain.copy(4)
    follower.follow(*history[0])

    assert not follower.follow(*history[0])
    assert follower.height == 1


def test_blocks_ahead_of_the_tip_wait_for_the_gap_to_close(chain, history) -> None:
    """Messages overtake one another."""
    follower = chain.copy(4)

    assert not follower.follow(*history[2])
    assert not follower.follow(*history[1])
    assert follower.height == 0
    assert follower.follow(*history[0])
    assert follower.height == 3


@given(order=st.permutations(range(BATCHES)))
def test_a_follower_takes_blocks_in_any_order(make_chain, order) -> None:
    """Messages overtake one another."""
    chain = make_chain()
    blocks = chain.certified([[chain.sign(0)] for _ in range(BATCHES)])
    follower = chain.copy(4)

    for i in order:
        follower.follow(*blocks[i])

    assert follower.tip == blocks[-1][0].header


def forged(block: Block, **header: object) -> Block:
    return replace(block, header=replace(block.header, **header))


@pytest.mark.parametrize("name", HEADER_FIELDS)
def test_a_forged_header_is_refused(chain, history, name: str) -> None:
    """Follow verifies the certificate: no header field can be changed under it."""
    follower = chain.copy(4)
    follower.follow(*history[0])
    block, certificate = history[1]
    value = getattr(block.header, name)
    changed = value + 1 if isinstance(value, int) else bytes(32)

    with pytest.raises(LedgerFault) as caught:
        follower.follow(forged(block, **{name: changed}), certificate)

    assert caught.value.field == ("chain" if name == "chain" else "certificate")
    assert follower.tip == history[0][0].header


@pytest.mark.parametrize("field", ["transactions", "outcomes"])
def test_a_forged_body_under_a_true_certificate_is_refused(chain, history, field: str) -> None:
    """Follow re-executes and compares the roots; the copy is left as it was."""
    follower = chain.copy(4)
    follower.follow(*history[0])
    block, certificate = history[1]
    change = {
        "transactions": {"transactions": block.transactions[::-1]},
        "outcomes": {"outcomes": (Outcome(True, "ok"),) * 2},
    }[field]
    before = follower.tip, follower.get("sequence/000")

    with pytest.raises(LedgerFault) as caught:
        follower.follow(replace(block, **change), certificate)

    named = {"transactions": "transaction_root", "outcomes": "outcomes"}
    assert (caught.value.height, caught.value.field) == (2, named[field])
    assert "hospital-04, height 2" in str(caught.value)
    assert (follower.tip, follower.get("sequence/000")) == before
    assert follower.follow(block, certificate)


def test_certificates_of_another_block_are_refused(chain, history) -> None:
    """A certificate is for one header."""
    follower = chain.copy(4)

    with pytest.raises(LedgerFault, match="did not sign"):
        follower.follow(history[0][0], history[1][1])


@pytest.mark.parametrize("field", ["state_root", "receipts_root", "transaction_root", "parent"])
def test_even_a_signed_lie_is_refused(chain, history, field: str) -> None:
    """What a quorum signed still has to follow from the blocks before it."""
    follower = chain.copy(4)
    follower.follow(*history[0])
    block = forged(history[1][0], **{field: bytes(32)})
    votes = [attest(block.header, i, chain.keys[i]) for i in range(3)]

    with pytest.raises(LedgerFault) as caught:
        follower.follow(block, Certificate.of(votes, chain.genesis.voters))

    assert (caught.value.height, caught.value.field) == (2, field)
    assert follower.height == 1


def test_a_signed_block_without_later_time_is_refused(chain, history) -> None:
    """Header time is strictly increasing."""
    follower = chain.copy(4)
    follower.follow(*history[0])
    block = forged(history[1][0], time_us=history[0][0].header.time_us)
    votes = [attest(block.header, i, chain.keys[i]) for i in range(3)]

    with pytest.raises(LedgerFault, match="time_us"):
        follower.follow(block, Certificate.of(votes, chain.genesis.voters))


def test_a_second_certified_block_at_one_height_is_a_fault(chain, history) -> None:
    """Two quorums signed differently: a follower says so instead of choosing."""
    follower = chain.copy(4)
    follower.follow(*history[0])
    block = forged(history[0][0], view=9)
    votes = [attest(block.header, i, chain.keys[i]) for i in range(3)]

    with pytest.raises(LedgerFault, match="not this copy's block"):
        follower.follow(block, Certificate.of(votes, chain.genesis.voters))


def test_the_genesis_is_no_block_to_follow(chain) -> None:
    """Height 0 comes from the genesis, not from a message."""
    follower = chain.copy(4)
    block = Block(follower.tip, (), ())
    votes = [attest(block.header, i, chain.keys[i]) for i in range(3)]

    with pytest.raises(LedgerFault):
        follower.follow(block, Certificate.of(votes, chain.genesis.voters))
