"""HPKE in base mode: a short secret for one receiver, who needs nothing but its own key.

One suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; one message per encapsulation. The
library that all keys come from has HPKE too, but draws the ephemeral key itself, and a run has to
repeat byte for byte: here the caller gives the bytes from which that key is derived (§7.1.3). The
tests hold this against the RFC's vectors and against the library, both ways.

Source: RFC 9180, sections 4, 5.1, 5.2 and 7.1.3.
"""

from __future__ import annotations

import hmac
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
"""Of an X25519 key, public or secret, and of an encapsulated key."""
TAG_BYTES = 16
OVERHEAD_BYTES = KEY_BYTES + TAG_BYTES
"""What a sealed message has more than the message."""

_KEM, _KDF, _AEAD = bytes([0, 0x20]), bytes([0, 1]), bytes([0, 2])
_KEM_SUITE = b"KEM" + _KEM
_SUITE = b"HPKE" + _KEM + _KDF + _AEAD
_NONCE_BYTES = 12
_BASE_MODE = b"\x00"


class HpkeError(ValueError):
    """The key is none, or the message was not sealed for it in this context."""


def derive_key_pair(material: bytes) -> tuple[bytes, bytes]:
    """Secret and public key from at least 32 bytes of key material (``DeriveKeyPair``, §7.1.3)."""
    prk = _labeled_extract(_KEM_SUITE, b"", b"dkp_prk", material)
    secret = _labeled_expand(_KEM_SUITE, prk, b"sk", b"", KEY_BYTES)
    return secret, public_of(secret)


def public_of(secret: bytes) -> bytes:
    """The public key of a secret one."""
    return _private(secret).public_key().public_bytes_raw()


def seal(public: bytes, message: bytes, context: bytes, material: bytes) -> bytes:
    """The encapsulated key and the sealed message, for whoever has the key of ``public``.

    ``context`` is HPKE's ``info``: who opens has to say the same. ``material`` is secret, and never
    used twice.

    Raises:
        HpkeError: when ``public`` is no key, or one that would give everybody the same secret.
    """
    secret, encapsulated = derive_key_pair(material)
    shared = _agree(secret, public, encapsulated + public)
    key, nonce = _schedule(shared, context)
    return encapsulated + AESGCM(key).encrypt(nonce, message, None)


def unseal(secret: bytes, public: bytes, sealed: bytes, context: bytes) -> bytes:
    """The message that was sealed for this pair of keys in this context.

    Raises:
        HpkeError: when there is none.
    """
    encapsulated, ciphertext = sealed[:KEY_BYTES], sealed[KEY_BYTES:]
    if len(ciphertext) < TAG_BYTES:
        raise HpkeError("too short for a sealed message")
    shared = _agree(secret, encapsulated, encapsulated + public)
    key, nonce = _schedule(shared, context)
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, None)
    except InvalidTag:
        raise HpkeError("not sealed for this key and context") from None


@lru_cache(maxsize=512)
def _private(secret: bytes) -> X25519PrivateKey:
    # The library multiplies once more when it reads a key, as dear as the agreement itself; a
    # member's key opens many objects, and an ephemeral one is asked for its public half first.
    return X25519PrivateKey.from_private_bytes(secret)


def _agree(secret: bytes, other: bytes, context: bytes) -> bytes:
    """``ExtractAndExpand`` of the Diffie-Hellman result (§4.1)."""
    try:
        peer = X25519PublicKey.from_public_bytes(other)
        shared = _private(secret).exchange(peer)
    except ValueError as error:  # a wrong length, or a result of zeros (§7.1.4)
        raise HpkeError(f"no X25519 key: {error}") from None
    prk = _labeled_extract(_KEM_SUITE, b"", b"eae_prk", shared)
    return _labeled_expand(_KEM_SUITE, prk, b"shared_secret", context, 32)


def _schedule(shared: bytes, context: bytes) -> tuple[bytes, bytes]:
    """Key and first nonce (``KeySchedule``, §5.1, without a pre-shared key)."""
    hashes = _PSK_ID_HASH + _labeled_extract(_SUITE, b"", b"info_hash", context)
    secret = _labeled_extract(_SUITE, shared, b"secret", b"")
    key = _labeled_expand(_SUITE, secret, b"key", _BASE_MODE + hashes, 32)
    nonce = _labeled_expand(_SUITE, secret, b"base_nonce", _BASE_MODE + hashes, _NONCE_BYTES)
    return key, nonce


def _labeled_extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite + label + material, "sha256")


def _labeled_expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    # HKDF-Expand of at most one block of SHA-256: nothing here needs more.
    labeled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(prk, labeled + b"\x01", "sha256")[:length]


_PSK_ID_HASH = _labeled_extract(_SUITE, b"", b"psk_id_hash", b"")
