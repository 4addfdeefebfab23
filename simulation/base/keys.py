"""Ed25519 identities: real signatures for everything that outlives the moment it is sent.

The same identity also receives secrets: the curve has a second form on which X25519 works, so a
member's key of one kind gives its key of the other, and who registers or replaces one key has
registered or replaced both. Using one pair for Ed25519 and for a key encapsulation over X25519 is
proven safe in the random oracle model (E. Thormarker, IACR ePrint 2021/509).

The binding to OpenSSL accepts signatures under small-order public keys for any message, so such
keys are refused when a `PublicKey` is built, before they can reach a membership list. So are
encodings whose y-coordinate is not reduced: they would give one member a second name.

Source: RFC 8032 §5.1.3 (decoding) and §5.1.5 (the secret scalar); RFC 7748 §4.1 (the map between
the two forms). The small-order encodings are the eight torsion points and their non-canonical
forms, derived in tests/base/test_keys.py from the curve equation.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PUBLIC_KEY_BYTES = 32
SECRET_KEY_BYTES = 32
SIGNATURE_BYTES = 64

_P = 2**255 - 19
# y-coordinates of the points of order 8 on edwards25519; the others have y in {0, 1, -1}.
_Y8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y = (0, 1, _P - 1, _Y8, _P - _Y8)


class KeyError25519(ValueError):
    """The bytes are not a public key that may identify a member."""


@dataclass(frozen=True)
class PublicKey:
    """A member's verification key.

    Raises:
        KeyError25519: when the bytes have the wrong length, encode a small-order point, or are not
            the canonical encoding of their point.
    """

    encoded: bytes

    def __post_init__(self) -> None:
        if len(self.encoded) != PUBLIC_KEY_BYTES:
            raise KeyError25519(
                f"a public key has {PUBLIC_KEY_BYTES} bytes, not {len(self.encoded)}"
            )
        y = int.from_bytes(self.encoded, "little") & ((1 << 255) - 1)  # the top bit is x's sign
        if y % _P in _SMALL_ORDER_Y:
            raise KeyError25519("small-order public key: it would accept signatures on any message")
        if y >= _P:
            raise KeyError25519(
                "non-canonical public key: its y-coordinate is not below 2**255 − 19"
            )

    @cached_property
    def _key(self) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(self.encoded)

    @cached_property
    def agreement(self) -> bytes:
        """The member's X25519 public key: ``u = (1 + y) / (1 − y)`` of the same point."""
        y = int.from_bytes(self.encoded, "little") & ((1 << 255) - 1)
        return ((1 + y) * pow(1 - y, -1, _P) % _P).to_bytes(PUBLIC_KEY_BYTES, "little")

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether ``signature`` is this key's signature of ``message``."""
        try:
            self._key.verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class SigningKey:
    """A member's secret key, built from 32 secret bytes (in a run: from its named stream)."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_KEY_BYTES:
            raise KeyError25519(f"a secret key has {SECRET_KEY_BYTES} bytes, not {len(secret)}")
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        # X25519 clamps the scalar as Ed25519 does, so the unclamped half of the hash is the key.
        self.agreement = hashlib.sha512(secret).digest()[:SECRET_KEY_BYTES]
        """The X25519 secret that belongs to `PublicKey.agreement`."""
        self.public = PublicKey(self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of ``message``."""
        return self._key.sign(message)
