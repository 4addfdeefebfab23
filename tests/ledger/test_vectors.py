"""Frozen bytes: whoever changes an encoding changes these, and every ledger written before.

The digests are recomputed here with hashlib from the frozen bytes, so that they do not rest on the
code under test.
"""

from __future__ import annotations

import hashlib

import pytest

from simulation.base.keys import SigningKey
from simulation.contracts import default_contracts, task
from simulation.ledger.block import Block, Certificate, attest, vote_digest
from simulation.ledger.chain import MemoryStore
from simulation.ledger.copy import LedgerCopy
from simulation.ledger.genesis import Genesis, Member
from simulation.ledger.transaction import SignedTransaction, Transaction

CHAIN = "0e98dc3c4bca13ba85e45c01036a6fb95dbbc77a63e62e1ba2176e0fcd35adde"
GENESIS_STATE = "aff01ec1ebb1fba44d5832c1ab967bb6cc86aa7328c75c6b011e7fa1ec81f446"
GENESIS_HEADER = "0f9bac39dda5e2f9b5d364a1f0ec4ac0f74d8d1af6fb69a6bf0544f8f8d00f20"
# [chain, 4, 1, 10, "task.open", {"round": 1, "eligible": [0, 1, 2, 3], "base_root": 32 zero bytes}]
TRANSACTION = (
    f"865820{CHAIN}04010a697461736b2e6f70656ea3"
    f"65726f756e640168656c696769626c65840001020369626173655f726f6f745820{'00' * 32}"
)
SIGNATURE = (
    "e8b96e51b8b4aa9523b0a0d207ccacba9b7428dfb6d7f01ff58785b3fd1c8435"
    "e4327bb62f17aa3c4dd5d52119f7d33d455b3f9970b752bf616d98404a2d7b01"
)
TRANSACTION_ROOT = "867052f017128900a5aa505a59141e31caed6daea1ed81df0d60e07369b5d6e3"
STATE_ROOT = "464874ad6aae86299116feb51c7ace8cf0ba81014391a46fc2780db8dd26d509"
RECEIPTS_ROOT = "2dcb8bd69a189f6b07282dc4803d90d236218972f08a68c7d88d060ae724e917"
# [1, chain, 1, 0, parent, transaction root, state root, receipts root, 0, 1000]
HEADER = (
    f"8a015820{CHAIN}01005820{GENESIS_HEADER}5820{TRANSACTION_ROOT}5820{STATE_ROOT}"
    f"5820{RECEIPTS_ROOT}001903e8"
)
HEADER_DIGEST = "f85f5a70ce7e9b4ba2c4a5103a3947eb533ca037d9f8115325afe550b7307b65"
VOTE = "5b45558a480d65841636139ec2466e6c2b6e59bcf4f482e0002cb7b164ec177d"
CERTIFICATE_SHA256 = "d43eac9f3868a7ba94d276ec515f84db94c275fcefee84c9e9c2a0d96bfd5d28"
BLOCK_SHA256 = "df08a09fcda8651c667360a929103ae7890146328641eb72849757f48aa842ac"
COMMITMENT = "b4cc320722fb347f785e9b4251b57a6264d8d7cf8d911e65a0c42c9abb137a2b"


def tagged(tag: str, data: bytes) -> str:
    prefix = hashlib.sha256(f"wardchain/v1/{tag}".encode()).digest()
    return hashlib.sha256(prefix + prefix + data).hexdigest()


@pytest.fixture
def keys() -> list[SigningKey]:
    return [SigningKey(bytes([i]) * 32) for i in range(1, 6)]


@pytest.fixture
def genesis(keys) -> Genesis:
    members = tuple(
        Member(i, "hospital" if i < 4 else "coordinator", key.public.encoded)
        for i, key in enumerate(keys)
    )
    return Genesis("vectors", members, 4, 3, {"name": "vectors", "initial_root": bytes(32)})


@pytest.fixture
def signed(keys, genesis) -> SignedTransaction:
    body = {"round": 1, "base_root": bytes(32), "eligible": [0, 1, 2, 3]}
    return Transaction(genesis.chain_id, 4, 1, 10, "task.open", body).sign(keys[4])


@pytest.fixture
def block(genesis, signed) -> Block:
    copy = LedgerCopy(genesis, default_contracts(), MemoryStore(), 0)
    assert copy.tip.state_root.hex() == GENESIS_STATE
    assert copy.tip.digest.hex() == GENESIS_HEADER
    made = copy.execute([signed.encoded, b"rubbish"], view=0, proposer=0, time_us=1000)
    assert made is not None
    return made


def test_the_genesis(genesis) -> None:
    """The chain id is TH(genesis, canonical bytes)."""
    assert genesis.chain_id.hex() == CHAIN == tagged("genesis", genesis.encoded)


def test_a_transaction(signed) -> None:
    """Signatures are Ed25519 over TH(tx, body); the id is the RFC 6962 leaf of the signed bytes."""
    envelope = f"825872{TRANSACTION}5840{SIGNATURE}"

    assert signed.transaction.encoded.hex() == TRANSACTION
    assert signed.transaction.signing_digest.hex() == tagged("tx", bytes.fromhex(TRANSACTION))
    assert signed.signature.hex() == SIGNATURE
    assert signed.encoded.hex() == envelope
    assert signed.id == hashlib.sha256(b"\x00" + bytes.fromhex(envelope)).digest()


def test_a_header(block, signed) -> None:
    """Ten fields in their order; the digest is TH(header, canonical bytes)."""
    leaves = [hashlib.sha256(b"\x00" + data).digest() for data in (signed.encoded, b"rubbish")]

    assert hashlib.sha256(b"\x01" + leaves[0] + leaves[1]).hexdigest() == TRANSACTION_ROOT
    assert block.header.encoded.hex() == HEADER
    assert block.header.digest.hex() == HEADER_DIGEST == tagged("header", bytes.fromhex(HEADER))


def test_the_receipts(signed) -> None:
    """A receipt is cbor([id, accepted, code])."""
    rubbish = hashlib.sha256(b"\x00rubbish").digest()
    rows = [
        b"\x83\x58\x20" + signed.id + b"\xf5\x62ok",
        b"\x83\x58\x20" + rubbish + b"\xf4\x69malformed",
    ]
    leaves = [hashlib.sha256(b"\x00" + row).digest() for row in rows]

    assert hashlib.sha256(b"\x01" + leaves[0] + leaves[1]).hexdigest() == RECEIPTS_ROOT


def test_a_vote_and_a_certificate(block, genesis, keys) -> None:
    """A vote is TH(vote, cbor([chain, view, height, header digest]))."""
    body = bytes.fromhex(f"845820{CHAIN}00015820{HEADER_DIGEST}")
    certificate = Certificate.of(
        [attest(block.header, i, keys[i]) for i in range(3)], genesis.voters
    )

    assert vote_digest(genesis.chain_id, 0, 1, block.header.digest).hex() == VOTE
    assert tagged("vote", body) == VOTE
    assert certificate.encoded[:3] == b"\x82\x41\x07"
    assert hashlib.sha256(certificate.encoded).hexdigest() == CERTIFICATE_SHA256
    assert hashlib.sha256(block.encoded).hexdigest() == BLOCK_SHA256


def test_a_commitment(genesis) -> None:
    """C = TH(commit, cbor([chain, task, round, base_root, hospital]) ‖ update_root ‖ salt)."""
    context = bytes.fromhex(f"855820{CHAIN}67766563746f7273015820{'00' * 32}02")
    digest = task.commitment(genesis.chain_id, "vectors", 1, bytes(32), 2, b"u" * 32, b"s" * 32)

    assert digest.hex() == COMMITMENT == tagged("commit", context + b"u" * 32 + b"s" * 32)
