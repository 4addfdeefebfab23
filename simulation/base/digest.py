"""Tagged SHA-256: one hash function per kind of object, so that none can pass for another.

``TH(tag, m) = SHA256(SHA256(tag) ‖ SHA256(tag) ‖ m)``, the construction of BIP-340. The tags are a
closed list: a new kind of object gets a new tag here, never a shared one.
"""

from __future__ import annotations

import hashlib
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash  # pyright: ignore[reportPrivateUsage]: the only name of the type

DIGEST_BYTES = 32

Digest = bytes
"""32 bytes: the result of `tagged_hash`."""


class Tag(Enum):
    """The kinds of object that are hashed or signed."""

    TX = "wardchain/v1/tx"
    BLOCK = "wardchain/v1/block"
    HEADER = "wardchain/v1/header"
    TENSOR = "wardchain/v1/tensor"
    MODEL = "wardchain/v1/model"
    COMMIT = "wardchain/v1/commit"
    RECORD = "wardchain/v1/record"
    CONSENT = "wardchain/v1/consent"
    COHORT = "wardchain/v1/cohort"
    AUDIT = "wardchain/v1/audit"
    STORE = "wardchain/v1/store"
    VOTE = "wardchain/v1/vote"
    STATE = "wardchain/v1/state"
    RECEIPT = "wardchain/v1/receipt"
    REQUEST = "wardchain/v1/request"
    BATCH = "wardchain/v1/batch"
    GENESIS = "wardchain/v1/genesis"
    KEY = "wardchain/v1/key"
    PIPELINE = "wardchain/v1/pipeline"


def _primed(tag: Tag) -> _Hash:
    prefix = hashlib.sha256(tag.value.encode("ascii")).digest()
    return hashlib.sha256(prefix + prefix)


# The prefix fills exactly one SHA-256 block, so its compression is done once per tag.
_PRIMED = {tag: _primed(tag) for tag in Tag}


def tagged_hash(tag: Tag, *parts: bytes | memoryview) -> Digest:
    """``TH(tag, parts[0] ‖ parts[1] ‖ …)``. Callers keep the parts self-delimiting."""
    state = _PRIMED[tag].copy()
    for part in parts:
        state.update(part)
    return state.digest()


def short(digest: Digest) -> str:
    """The first eight hexadecimal digits, for tables and messages."""
    return digest.hex()[:8]
