"""Identities: RFC 8032's vectors, and the small-order points derived from the curve equation."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.base.keys import (
    PUBLIC_KEY_BYTES,
    SECRET_KEY_BYTES,
    SIGNATURE_BYTES,
    KeyError25519,
    PublicKey,
    SigningKey,
)

# RFC 8032 §7.1: secret key, public key, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]

# ---- edwards25519 from its equation -x² + y² = 1 + d·x²·y² over the integers modulo p ------------

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
L = 2**252 + 27742317777372353535851937790883648493
NEUTRAL = (0, 1)
Point = tuple[int, int]


def on_curve(point: Point) -> bool:
    """Whether the coordinates fulfil the curve equation."""
    x, y = point
    return (-x * x + y * y - 1 - D * x * x * y * y) % P == 0


def add(one: Point, other: Point) -> Point:
    """The unified addition law of twisted Edwards curves with a = −1."""
    (x1, y1), (x2, y2) = one, other
    cross = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + cross, -1, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - cross, -1, P) % P
    return x, y


def multiply(scalar: int, point: Point) -> Point:
    """Double and add."""
    total = NEUTRAL
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point = add(point, point)
        scalar >>= 1
    return total


def root_of(square: int) -> int | None:
    """A square root modulo p (p = 5 mod 8), or none."""
    candidate = pow(square, (P + 3) // 8, P)
    for root in (candidate, candidate * pow(2, (P - 1) // 4, P) % P):
        if root * root % P == square % P:
            return root
    return None


def torsion() -> list[Point]:
    """The eight points whose order divides 8: the multiples of L·Q for a Q that has order 8·L."""
    for y in range(2, 100):
        x = root_of((y * y - 1) * pow(D * y * y + 1, -1, P))
        if x is None:
            continue
        generator = multiply(L, (x, y))
        points = [multiply(k, generator) for k in range(8)]
        if len(set(points)) == 8:
            return points
    raise AssertionError("no generator of the torsion group among the first points")


def encodings(point: Point) -> list[bytes]:
    """Every 32-byte string that a decoder could read as this point, canonical or not."""
    x, y = point
    signs = (0, 1) if x == 0 else (x & 1,)  # x = 0 has one sign, but two ways to write it
    ys = [y + k * P for k in (0, 1) if y + k * P < 2**255]
    return [(sign << 255 | value).to_bytes(32, "little") for value in ys for sign in signs]


TORSION = torsion()
SMALL_ORDER = [encoded for point in TORSION for encoded in encodings(point)]


def test_the_derived_points_are_the_torsion_group() -> None:
    """Eight points on the curve, closed under addition, of orders 1, 2, 4, 4, 8, 8, 8, 8."""
    assert len(set(TORSION)) == 8
    assert all(on_curve(point) for point in TORSION)
    assert all(add(a, b) in TORSION for a in TORSION for b in TORSION)
    orders = [next(k for k in (1, 2, 4, 8) if multiply(k, p) == NEUTRAL) for p in TORSION]
    assert sorted(orders) == [1, 2, 4, 4, 8, 8, 8, 8]
    # Canonical forms (8), the sign bit on x = 0 (2), y + p for y = 0 and 1 (2 signs each: 4).
    assert len(set(SMALL_ORDER)) == 14


@pytest.mark.parametrize("encoded", SMALL_ORDER, ids=lambda e: e.hex()[:8] + e.hex()[-2:])
def test_small_order_public_keys_are_refused(encoded: bytes) -> None:
    """Refuse small-order keys at registration, in all their canonical and other encodings."""
    with pytest.raises(KeyError25519, match="small-order"):
        PublicKey(encoded)


def test_the_binding_alone_would_accept_them() -> None:
    """The usual Python binding to OpenSSL accepts a small-order public key for any message."""
    neutral = encodings(NEUTRAL)[0]
    forged = neutral + bytes(32)  # R = the neutral element, S = 0: S·B = R + h·A for every h
    for message in (b"", b"pay everything to me", b"a second message"):
        Ed25519PublicKey.from_public_bytes(neutral).verify(forged, message)  # raises if refused
    # Under the other seven, R = −h·A is one of the eight points too: whoever tries them all signs
    # about two messages in three without any secret.
    forgeries = [encodings(r)[0] + bytes(32) for r in TORSION]
    messages = [b"message %d" % i for i in range(24)]
    for point in TORSION:
        key = Ed25519PublicKey.from_public_bytes(encodings(point)[0])
        signed = sum(any(_accepts(key, f, message) for f in forgeries) for message in messages)
        assert signed >= 8


def _accepts(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


@pytest.mark.parametrize("excess", range(2, 19))
@pytest.mark.parametrize("sign", [0, 1])
def test_encodings_with_an_unreduced_coordinate_are_refused(excess: int, sign: int) -> None:
    """RFC 8032 §5.1.3: decoding fails when y ≥ p; otherwise one member would have two names."""
    with pytest.raises(KeyError25519, match="non-canonical"):
        PublicKey((sign << 255 | P + excess).to_bytes(32, "little"))


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC_8032)
def test_rfc_8032_vectors(secret: str, public: str, message: str, signature: str) -> None:
    """Ed25519 as published: RFC 8032 §7.1, tests 1 to 3."""
    key = SigningKey(bytes.fromhex(secret))
    assert key.public == PublicKey(bytes.fromhex(public))
    assert key.sign(bytes.fromhex(message)).hex() == signature
    assert key.public.verify(bytes.fromhex(signature), bytes.fromhex(message))


@settings(max_examples=50)
@given(message=st.binary(max_size=64), bit=st.integers(0, 511))
def test_any_flipped_bit_of_a_signature_is_noticed(message: bytes, bit: int) -> None:
    """A signature fits one message and one key; S is read strictly below the group order."""
    key = SigningKey(bytes(range(SECRET_KEY_BYTES)))
    signature = key.sign(message)
    altered = bytearray(signature)
    altered[bit // 8] ^= 1 << bit % 8
    assert len(signature) == SIGNATURE_BYTES
    assert key.public.verify(signature, message)
    assert not key.public.verify(bytes(altered), message)
    assert not key.public.verify(signature, message + b"\x00")
    assert not SigningKey(bytes(32)).public.verify(signature, message)


def test_a_signature_has_no_second_form() -> None:
    """RFC 8032 §5.1.7: S + L would verify too if it were not refused (malleability)."""
    key = SigningKey(bytes(range(SECRET_KEY_BYTES)))
    signature = key.sign(b"message")
    larger = int.from_bytes(signature[32:], "little") + L
    assert not key.public.verify(signature[:32] + larger.to_bytes(32, "little"), b"message")


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
def test_keys_and_signatures_of_another_length_are_refused(length: int) -> None:
    """32-byte keys raise KeyError25519 otherwise; a signature of another length is just false."""
    with pytest.raises(KeyError25519, match=f"{PUBLIC_KEY_BYTES} bytes, not {length}"):
        PublicKey(bytes(length))
    with pytest.raises(KeyError25519, match=f"{SECRET_KEY_BYTES} bytes, not {length}"):
        SigningKey(bytes(length))
    assert not SigningKey(bytes(32)).public.verify(bytes(length), b"message")


def test_bytes_that_are_no_point_verify_nothing() -> None:
    """About half of all y have no x on the curve: such a key accepts no signature."""
    y = next(y for y in range(2, 99) if root_of((y * y - 1) * pow(D * y * y + 1, -1, P)) is None)
    key = PublicKey(y.to_bytes(32, "little"))
    assert not key.verify(SigningKey(bytes(32)).sign(b"m"), b"m")
    assert not key.verify(encodings(NEUTRAL)[0] + bytes(32), b"m")


def test_equal_bytes_are_equal_keys() -> None:
    """A public key is its 32 bytes: it can be compared and be the key of a mapping."""
    one, other = SigningKey(b"\x01" * 32).public, SigningKey(b"\x01" * 32).public
    assert one == other
    assert hash(one) == hash(other)
    frozen = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    assert SigningKey(bytes(range(32))).public.encoded.hex() == frozen


# ---- receiving secrets --------------------------------------------------------------------------


def test_a_key_has_a_second_form_that_fits_its_secret() -> None:
    """RFC 7748 §4.1: the map between the curve's forms takes a public key to a public key."""
    for i in range(20):
        key = SigningKey(bytes([i]) * 32)
        secret = X25519PrivateKey.from_private_bytes(key.agreement)
        assert secret.public_key().public_bytes_raw() == key.public.agreement


def test_a_published_pair_of_forms() -> None:
    """libsodium's own test of its conversion (test/default/ed25519_convert.c)."""
    seed = "421151a459faeade3d247115f94aedae42318124095afabe4d1451a559faedee"

    key = SigningKey(bytes.fromhex(seed))

    assert key.public.agreement.hex() == (
        "f1814f0e8ff1043d8a44d25babff3cedcae6c22c3edaa48f857ae70de2baae50"
    )
