"""Verification of Ed25519 signatures, each distinct one computed once per process.

The copies of a simulated federation live in one process and check the same signatures. Verification
is a pure function of key, message and signature, so they share its result; hosts charge every check
in virtual time all the same.
"""

from __future__ import annotations

from functools import lru_cache

from simulation.base.keys import KeyError25519, PublicKey


@lru_cache(maxsize=4096)
def public_key(encoded: bytes) -> PublicKey:
    """The verification key of these 32 bytes.

    Raises:
        KeyError25519: as `PublicKey` does.
    """
    return PublicKey(encoded)


@lru_cache(maxsize=1 << 16)
def is_signature(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is the signature of ``message`` under the encoded public key ``key``.

    A key that is no valid public key signs nothing.
    """
    try:
        return public_key(key).verify(signature, message)
    except KeyError25519:
        return False
