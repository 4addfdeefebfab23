"""Blocks and certificates: canonical bytes, and signatures that mean one header and no other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.encoding import EncodingError, encode
from simulation.ledger.block import (
    HEADER_FIELDS,
    Attestation,
    Block,
    Certificate,
    Header,
    Outcome,
    attest,
    header_digest,
    receipts_root,
    vote_digest,
)

HEADER = Header(1, b"c" * 32, 4, 2, b"p" * 32, b"t" * 32, b"s" * 32, b"r" * 32, 3, 99)


def test_a_header_survives_its_bytes() -> None:
    """One encoding per value, and a way back."""
    assert Header.decode(HEADER.encoded) == HEADER
    assert header_digest(HEADER) == HEADER.digest


@pytest.mark.parametrize("name", HEADER_FIELDS)
def test_the_digest_covers_every_field(name: str) -> None:
    """A header commits to everything that it says."""
    value = getattr(HEADER, name)
    other = replace(HEADER, **{name: value + 1 if isinstance(value, int) else b"x" * 32})

    assert other.digest != HEADER.digest
    assert Header.decode(other.encoded) == other


@pytest.mark.parametrize("name", HEADER_FIELDS)
@pytest.mark.parametrize("value", [None, -1, True, "x", b"x" * 31, 1 << 63])
def test_headers_of_other_types_are_refused(name: str, value: object) -> None:
    """A decoder accepts exactly one shape."""
    row = [getattr(HEADER, field) for field in HEADER_FIELDS]
    row[HEADER_FIELDS.index(name)] = value

    with pytest.raises(EncodingError, match=name):
        Header.decode(encode(row))


@pytest.mark.parametrize("row", [[], [1], {}, None, b""])
def test_headers_of_other_shapes_are_refused(row) -> None:
    """A decoder accepts exactly one shape."""
    with pytest.raises(EncodingError):
        Header.decode(encode(row))


def test_a_block_survives_its_bytes() -> None:
    """One encoding per value, and a way back."""
    block = Block(HEADER, (b"a", b""), (Outcome(True, "ok"), Outcome(False, "malformed")))

    assert Block.decode(block.encoded) == block
    assert block.size_bytes == len(block.encoded)


@pytest.mark.parametrize(
    "value",
    [
        [HEADER.encoded, [b"a"], []],
        [HEADER.encoded, [], [[True, "ok"]]],
        [HEADER.encoded, ["a"], [[True, "ok"]]],
        [HEADER.encoded, [b"a"], [[1, "ok"]]],
        [HEADER.encoded, [b"a"], ["ok"]],
        [b"", [b"a"], [[True, "ok"]]],
        [HEADER.encoded, [b"a"]],
    ],
)
def test_blocks_of_other_shapes_are_refused(value) -> None:
    """A decoder accepts exactly one shape."""
    with pytest.raises(EncodingError):
        Block.decode(encode(value))


def test_receipts_cover_transaction_verdict_and_word() -> None:
    """The receipts root is over outcomes, each bound to its transaction."""
    base = receipts_root([b"i" * 32], [Outcome(True, "ok")])

    assert receipts_root([b"j" * 32], [Outcome(True, "ok")]) != base
    assert receipts_root([b"i" * 32], [Outcome(False, "ok")]) != base
    assert receipts_root([b"i" * 32], [Outcome(True, "no")]) != base


# ---- attestations and certificates --------------------------------------------------------------


@pytest.fixture
def header(chain) -> Header:
    return replace(HEADER, chain=chain.genesis.chain_id)


def votes(chain, header: Header, *signers: int) -> list[Attestation]:
    return [attest(header, signer, chain.keys[signer]) for signer in signers]


def test_an_attestation_is_its_signers(chain, header) -> None:
    """Votes are signatures over (chain, view, height, header digest), by a replica."""
    (vote,) = votes(chain, header, 1)

    assert vote.is_genuine(chain.genesis.voters)
    for change in (
        {"signer": 2},
        {"signer": -1},
        {"view": 3},
        {"height": 5},
        {"digest": bytes(32)},
        {"chain": bytes(32)},
        {"signature": bytes(64)},
        {"signature": b""},
    ):
        assert not replace(vote, **change).is_genuine(chain.genesis.voters)


def test_hospitals_that_do_not_vote_cannot_attest(chain, header) -> None:
    """The voters are members 0 .. replicas − 1; followers and the coordinator are not."""
    for node in (chain.replicas, chain.coordinator):
        assert not attest(header, node, chain.keys[node]).is_genuine(chain.genesis.voters)


def test_a_quorum_of_signatures_certifies(chain, header) -> None:
    """A certificate is a quorum of distinct replicas' signatures, whatever their order."""
    one = Certificate.of(votes(chain, header, 0, 2, 3), chain.genesis.voters)
    other = Certificate.of(votes(chain, header, 3, 0, 2), chain.genesis.voters)

    assert one == other
    assert one.fault(header, chain.genesis.voters) is None
    assert one.replicas == [0, 2, 3]
    assert Certificate.decode(one.encoded) == one
    assert (
        Certificate.of(votes(chain, header, 0, 1, 2, 3), chain.genesis.voters).fault(
            header, chain.genesis.voters
        )
        is None
    )


def test_what_does_not_certify(chain, header) -> None:
    """Too few, repeated, foreign or misattributed signatures are no certificate."""
    good = Certificate.of(votes(chain, header, 0, 2, 3), chain.genesis.voters)
    few = Certificate.of(votes(chain, header, 0, 2), chain.genesis.voters)
    misattributed = Certificate(b"\x0b", good.signatures)
    repeated = Certificate(b"\x0d", (good.signatures[0],) * 3)
    swapped = Certificate(b"\x0d", good.signatures[::-1])
    stranger = Certificate(b"\x1c", good.signatures)
    wide = Certificate(b"\x0d\x00", good.signatures)
    extra = Certificate(b"\x0d", (*good.signatures, good.signatures[0]))
    empty = Certificate(b"\x00", ())

    def fault(certificate: Certificate, of: Header = header) -> str:
        return certificate.fault(of, chain.genesis.voters) or ""

    assert "fewer than the quorum" in fault(few)
    assert "fewer than the quorum" in fault(empty)
    assert "did not sign" in fault(misattributed)
    assert "did not sign" in fault(repeated)
    assert "did not sign" in fault(swapped)
    assert "no replica" in fault(stranger)
    assert "no replica" in fault(wide)
    assert "signatures for" in fault(extra)
    for name in HEADER_FIELDS:
        value = getattr(header, name)
        other = replace(header, **{name: value + 1 if isinstance(value, int) else b"x" * 32})
        if name != "chain":  # the vote names the chain of the genesis, not of the header
            assert "did not sign" in fault(good, other)


@given(signers=st.sets(st.integers(0, 3)))
def test_exactly_the_quorums_certify(make_chain, signers: set[int]) -> None:
    """A set of honest signatures certifies iff it is as large as the quorum."""
    chain = make_chain()
    header = replace(HEADER, chain=chain.genesis.chain_id)

    certificate = Certificate.of(votes(chain, header, *sorted(signers)), chain.genesis.voters)

    assert (certificate.fault(header, chain.genesis.voters) is None) == (
        len(signers) >= chain.quorum
    )


@pytest.mark.parametrize("value", [[], [b""], [b"", [1]], ["", []], [b"", [], []], None])
def test_certificates_of_other_shapes_are_refused(value) -> None:
    """A decoder accepts exactly one shape."""
    with pytest.raises(EncodingError):
        Certificate.decode(encode(value))


def test_votes_for_different_things_are_different() -> None:
    """No vote can be read as a vote for something else."""
    digests = {
        vote_digest(b"c" * 32, 1, 2, b"d" * 32),
        vote_digest(b"d" * 32, 1, 2, b"d" * 32),
        vote_digest(b"c" * 32, 2, 2, b"d" * 32),
        vote_digest(b"c" * 32, 1, 1, b"d" * 32),
        vote_digest(b"c" * 32, 1, 2, b"c" * 32),
    }

    assert len(digests) == 5
