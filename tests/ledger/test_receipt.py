"""Receipts: one small file that proves a transaction to somebody who keeps 32 bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.encoding import decode, encode
from simulation.base.keys import SigningKey
from simulation.ledger.block import Certificate, Outcome, attest, vote_digest
from simulation.ledger.proof import ProofError
from simulation.ledger.receipt import Receipt, issue_receipt, verify_receipt
from simulation.ledger.transaction import transaction_id


@pytest.fixture
def ledger(chain):
    """A copy with two certified blocks, and the payloads that are in the second."""
    payloads = [chain.sign(0), b"rubbish", chain.open(), chain.sign(1), chain.sign(2)]
    follower = chain.copy(4)
    for block, certificate in chain.certified([[b"first"], payloads]):
        follower.follow(block, certificate)
    return follower, payloads


@pytest.fixture
def receipt(ledger) -> Receipt:
    follower, payloads = ledger
    return issue_receipt(follower, transaction_id(payloads[2]))


def test_every_transaction_has_a_receipt_that_verifies(chain, ledger) -> None:
    """Header + quorum certificate + inclusion proof, for accepted and rejected alike."""
    follower, payloads = ledger

    for payload in [b"first", *payloads]:
        issued = issue_receipt(follower, transaction_id(payload))
        verified = verify_receipt(issued.encoded, chain.genesis.voters.root)
        assert verified == issued
        assert verified.transaction == payload
        height, outcome = follower.outcome(transaction_id(payload))
        assert (verified.header.height, verified.outcome) == (height, outcome)
        assert len(issued.encoded) < 2000


def test_no_receipt_before_the_certificate(chain) -> None:
    """What a quorum has not signed cannot be proved."""
    copy = chain.copy(0)
    copy.execute([b"x"], view=0, proposer=0, time_us=0)

    assert issue_receipt(copy, transaction_id(b"x")) is None
    assert issue_receipt(copy, transaction_id(b"y")) is None
    for i in range(3):
        copy.add_attestation(attest(copy.tip, i, chain.keys[i]))
    assert issue_receipt(copy, transaction_id(b"x")) is not None


def refused(data: bytes, root: bytes) -> str:
    with pytest.raises(ProofError) as caught:
        verify_receipt(data, root)
    return str(caught.value)


def test_what_a_receipt_does_not_prove(chain, receipt, ledger) -> None:
    """Neither transaction, outcome, position, header nor certificate can be exchanged."""
    root, header = chain.genesis.voters.root, receipt.header
    other = issue_receipt(ledger[0], transaction_id(ledger[1][0]))
    votes = [attest(header, i, chain.keys[i]) for i in range(2)]
    cases = {
        "transaction is not": replace(receipt, transaction=ledger[1][0]),
        "outcome is not": replace(receipt, outcome=Outcome(False, "ok")),
        "transaction is not ": replace(receipt, path=other.path),
        "outcome is not ": replace(receipt, outcome_path=other.outcome_path),
        "did not sign": certified(receipt, header=replace(header, time_us=header.time_us + 1)),
        "did not sign ": certified(receipt, header=replace(header, state_root=bytes(32))),
        "another chain": _recertified(chain, receipt, chain_id=bytes(32)),
        "fewer than": certified(receipt, certificate=Certificate.of(votes, chain.genesis.voters)),
    }

    assert verify_receipt(receipt.encoded, root) == receipt
    for message, forged in cases.items():
        assert message.strip() in refused(forged.encoded, root)


def certified(receipt: Receipt, **change) -> Receipt:
    """The receipt with another certified header."""
    return replace(receipt, certified=replace(receipt.certified, **change))


def _recertified(chain, receipt: Receipt, chain_id: bytes) -> Receipt:
    """A header of another chain under votes for it that name the true chain."""
    header = replace(receipt.header, chain=chain_id)
    message = vote_digest(chain.genesis.chain_id, header.view, header.height, header.digest)
    votes = [
        replace(attest(header, i, chain.keys[i]), signature=chain.keys[i].sign(message))
        for i in range(3)
    ]
    certificate = Certificate.of(votes, chain.genesis.voters)
    return certified(receipt, header=header, certificate=certificate)


def test_other_voters_are_refused(chain, make_chain, receipt) -> None:
    """A receipt brings its voters along, but the verifier decides whose signatures count."""
    root = chain.genesis.voters.root
    strangers = [SigningKey(bytes([i + 50]) * 32) for i in range(4)]
    founders = receipt.certified.founders
    keys = tuple((i, key.public.encoded) for i, key in enumerate(strangers))
    voters = replace(founders, replicas=keys)
    votes = [attest(receipt.header, i, strangers[i]) for i in range(3)]
    forged = certified(receipt, founders=voters, certificate=Certificate.of(votes, voters))
    weak = certified(receipt, founders=replace(founders, quorum=1))

    assert "membership root" in refused(forged.encoded, root)
    assert "membership root" in refused(weak.encoded, root)
    assert "membership root" in refused(receipt.encoded, make_chain(quorum=4).genesis.voters.root)
    assert verify_receipt(forged.encoded, voters.root) == forged


def test_the_membership_root_covers_chain_quorum_and_keys(chain) -> None:
    """32 bytes say whose signatures certify."""
    voters = chain.genesis.voters
    others = [
        replace(voters, chain=bytes(32)),
        replace(voters, quorum=2),
        replace(voters, replicas=voters.replicas[:-1]),
        replace(voters, replicas=((0, voters.keys[1]), *voters.replicas[1:])),
    ]

    assert len({voters.root, *(other.root for other in others)}) == 5


@given(position=st.integers(0, 10**6))
def test_no_flipped_bit_survives(make_chain, position: int) -> None:
    """Whatever bit of a receipt is flipped, it proves nothing."""
    chain = make_chain()
    follower = chain.copy(4)
    payloads = [chain.sign(0), b"x", chain.sign(1)]
    ((block, certificate),) = chain.certified([payloads])
    follower.follow(block, certificate)
    data = bytearray(issue_receipt(follower, transaction_id(payloads[2])).encoded)
    bit = position % (8 * len(data))

    data[bit // 8] ^= 1 << bit % 8

    refused(bytes(data), chain.genesis.voters.root)


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_refused_in_one_way(data: bytes) -> None:
    """A verifier has one way to say no."""
    refused(data, bytes(32))


@pytest.mark.parametrize("part", range(7))
@pytest.mark.parametrize("value", [None, 7, True, [], [1], b"", "x", [b"", 1, []], [True, 1]])
def test_other_shapes_are_refused(chain, receipt, part: int, value) -> None:
    """A decoder accepts exactly one shape."""
    row = decode(receipt.encoded)
    row[part] = value

    refused(encode(row), chain.genesis.voters.root)
