"""Verification of Ed25519 signatures, each distinct one computed once per process.

The copies of a simulated federation live in one process and check the same signatures. Verification
is a pure function of key, message and signature, so they share its result; hosts charge every check
in virtual time all the same.

A replica's signature of a block is a vote that all others check. Whoever holds the key makes it for
real, and that it is good is known from its making: these very bytes are not verified once more in
the process that made them. Any other bytes, such as a forged vote, are; so are all transactions and
evidence, and everything in a process that only reads (`wardchain verify`).
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache

from simulation.base.keys import KeyError25519, PublicKey, SigningKey

_MOST_VOTES = 1 << 16
_votes: OrderedDict[tuple[bytes, bytes, bytes], None] = OrderedDict()
"""Key, message and signature of the votes that were made in this process."""


def sign_vote(key: SigningKey, message: bytes) -> bytes:
    """The holder's signature of a vote."""
    signature = key.sign(message)
    _votes[key.public.encoded, message, signature] = None
    if len(_votes) > _MOST_VOTES:
        _votes.popitem(last=False)
    return signature


def is_vote(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is a vote of the holder of the encoded public key ``key``."""
    return (key, message, signature) in _votes or is_signature(key, message, signature)


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
