"""Transactions: canonical, bound to chain, sender, sequence number and expiry, really signed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.encoding import EncodingError, encode
from simulation.base.keys import SigningKey
from simulation.base.merkle import leaf_hash
from simulation.ledger.transaction import (
    MAX_TRANSACTION_BYTES,
    SignedTransaction,
    Transaction,
    transaction_id,
)

KEY = SigningKey(b"k" * 32)
TRANSACTION = Transaction(b"c" * 32, 3, 1, 9, "task.commit", {"round": 1, "dp": None})


def test_a_signed_transaction_survives_its_bytes() -> None:
    """One encoding per value, and a way back."""
    signed = TRANSACTION.sign(KEY)

    decoded = SignedTransaction.decode(signed.encoded)

    assert decoded == signed
    assert decoded.encoded == signed.encoded
    assert decoded.is_signed_by(KEY.public.encoded)


@pytest.mark.parametrize(
    "change",
    [
        {"chain": b"d" * 32},
        {"sender": 4},
        {"seq": 2},
        {"expiry": 10},
        {"kind": "task.open"},
        {"body": {"round": 2, "dp": None}},
    ],
)
def test_the_signature_covers_every_field(change: dict[str, object]) -> None:
    """Signatures are Ed25519 over TH(tx, body): no field can be changed under one."""
    signature = TRANSACTION.sign(KEY).signature

    changed = SignedTransaction(replace(TRANSACTION, **change), signature)

    assert not changed.is_signed_by(KEY.public.encoded)


def test_another_key_has_not_signed() -> None:
    """A signature is its key's."""
    other = SigningKey(b"o" * 32)

    assert not TRANSACTION.sign(KEY).is_signed_by(other.public.encoded)
    assert not TRANSACTION.sign(KEY).is_signed_by(b"\x00" * 32)


def test_the_id_is_the_leaf_of_the_signed_bytes() -> None:
    """The signature is inside the id: nobody else can make a transaction of that name."""
    signed = TRANSACTION.sign(KEY)
    forged = SignedTransaction(TRANSACTION, bytes(64))

    assert signed.id == leaf_hash(signed.encoded) == transaction_id(signed.encoded)
    assert forged.id != signed.id


def test_a_body_that_changes_later_changes_no_decoded_transaction() -> None:
    """Copies share decoded transactions, so these cannot be written to."""
    decoded = SignedTransaction.decode(TRANSACTION.sign(KEY).encoded)

    with pytest.raises(TypeError):
        decoded.transaction.body["round"] = 2  # type: ignore[index]


FIELDS = [b"c" * 32, 3, 1, 9, "task.commit", {}]


@pytest.mark.parametrize(
    "fields",
    [
        FIELDS[:-1],
        [*FIELDS, 1],
        [b"c" * 31, *FIELDS[1:]],
        [*FIELDS[:1], -1, *FIELDS[2:]],
        [*FIELDS[:1], True, *FIELDS[2:]],
        [*FIELDS[:2], "1", *FIELDS[3:]],
        [*FIELDS[:3], 1 << 63, *FIELDS[4:]],
        [*FIELDS[:5], []],
    ],
)
def test_other_shapes_are_refused(fields: list[object]) -> None:
    """A decoder accepts exactly one shape."""
    with pytest.raises(EncodingError, match="a transaction is"):
        SignedTransaction.decode(encode([encode(fields), bytes(64)]))  # type: ignore[arg-type]


@pytest.mark.parametrize("outer", [[], [b""], [b"", bytes(63)], [b"", b"", b""], {"a": 1}, None])
def test_other_envelopes_are_refused(outer: object) -> None:
    """A decoder accepts exactly one shape."""
    with pytest.raises(EncodingError):
        SignedTransaction.decode(encode(outer))  # type: ignore[arg-type]


def test_a_transaction_beyond_the_size_limit_is_refused() -> None:
    """Longer byte strings are malformed, before anybody decodes them."""
    big = replace(TRANSACTION, body={"x": bytes(MAX_TRANSACTION_BYTES)}).sign(KEY)

    with pytest.raises(EncodingError, match="more than"):
        SignedTransaction.decode(big.encoded)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_in_one_way(data: bytes) -> None:
    """A decoder has one way to say no."""
    with pytest.raises(EncodingError):
        SignedTransaction.decode(data)


@given(st.integers(min_value=0, max_value=10**6))
def test_no_flipped_bit_survives_decoding_and_verification(position: int) -> None:
    """Whatever bit of the bytes is flipped: no decoding, or no signature."""
    data = bytearray(TRANSACTION.sign(KEY).encoded)
    bit = position % (8 * len(data))
    data[bit // 8] ^= 1 << bit % 8

    try:
        decoded = SignedTransaction.decode(bytes(data))
    except EncodingError:
        return

    assert not decoded.is_signed_by(KEY.public.encoded)
