"""State proofs: what the ledger held at a key, for somebody who keeps 32 bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.encoding import decode, encode
from simulation.ledger.proof import ProofError, StateProof, verify_state_proof


@pytest.fixture
def follower(chain):
    """A copy with two certified blocks."""
    copy = chain.copy(4)
    for block, certificate in chain.certified([[chain.open()], [chain.sign(0)]]):
        copy.follow(block, certificate)
    return copy


def refused(data: bytes, root: bytes) -> str:
    with pytest.raises(ProofError) as caught:
        verify_state_proof(data, root)
    return str(caught.value)


def test_every_entry_can_be_proved(chain, follower) -> None:
    """State proofs of presence."""
    entries = dict(follower.items())

    assert "task/round/1" in entries
    for key, value in entries.items():
        proof = follower.prove(key)
        verified = verify_state_proof(proof.encoded, chain.genesis.voters.root)
        assert verified == proof
        assert (verified.key, verified.value, verified.header.height) == (key, value, 2)


@given(st.text(st.sampled_from("task/round1"), min_size=1, max_size=12))
def test_what_is_not_there_can_be_proved_too(make_chain, key: str) -> None:
    """State proofs of absence; a proof shows one of the two, never both."""
    chain = make_chain()
    copy = chain.copy(4)
    for block, certificate in chain.certified([[chain.open()]]):
        copy.follow(block, certificate)

    proof = copy.prove(key)

    assert verify_state_proof(proof.encoded, chain.genesis.voters.root).value == copy.get(key)
    lie = replace(proof, value=1 if proof.value is None else None)
    assert "does not hold" in refused(lie.encoded, chain.genesis.voters.root)


def test_what_a_state_proof_does_not_prove(chain, make_chain, follower) -> None:
    """Neither key, value, path nor header can be exchanged."""
    root, proof = chain.genesis.voters.root, follower.prove("task/round/1")
    older = chain.copy(4)
    older.follow(follower.block(1), follower.certificate(1))
    cases = {
        "does not hold": replace(proof, key="task/round/2"),
        "does not hold ": replace(proof, value=dict(proof.value) | {"status": "closed"}),
        "does not hold  ": replace(proof, proof=follower.prove("task/status").proof),
        "does not hold   ": replace(
            follower.prove("sequence/000"), certified=older.prove("sequence/000").certified
        ),
        "did not sign": replace(
            proof,
            certified=replace(proof.certified, header=replace(proof.header, state_root=bytes(32))),
        ),
    }

    assert verify_state_proof(proof.encoded, root) == proof
    for message, forged in cases.items():
        assert message.strip() in refused(forged.encoded, root)
    assert "membership root" in refused(proof.encoded, make_chain(quorum=4).genesis.voters.root)


def test_no_proof_before_the_certificate(chain) -> None:
    """What a quorum has not signed cannot be proved."""
    copy = chain.copy(0)
    copy.execute([chain.open()], view=0, proposer=0, time_us=0)

    assert copy.prove("task/round/1") is None


@given(position=st.integers(0, 10**6))
def test_no_flipped_bit_survives(make_chain, position: int) -> None:
    """Whatever bit of a state proof is flipped, it proves nothing."""
    chain = make_chain()
    copy = chain.copy(4)
    for block, certificate in chain.certified([[chain.open()]]):
        copy.follow(block, certificate)
    data = bytearray(copy.prove("task/status").encoded)
    bit = position % (8 * len(data))

    data[bit // 8] ^= 1 << bit % 8

    refused(bytes(data), chain.genesis.voters.root)


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_refused_in_one_way(data: bytes) -> None:
    """A verifier has one way to say no."""
    refused(data, bytes(32))


@pytest.mark.parametrize("part", range(6))
@pytest.mark.parametrize("value", [None, 7, True, [], [1], b"", "x", [[], []], [[b"x"], None]])
def test_other_shapes_are_refused(chain, follower, part: int, value) -> None:
    """A decoder accepts exactly one shape."""
    row = decode(follower.prove("task/round/1").encoded)
    row[part] = value

    refused(encode(row), chain.genesis.voters.root)


def test_a_proof_survives_its_bytes(follower) -> None:
    """One encoding, and a way back."""
    proof = follower.prove("member/000")

    assert StateProof.decode(proof.encoded) == proof
