"""What hospitals commit to and holders sign, as digests that everybody computes alike."""

from __future__ import annotations

from functools import lru_cache

from simulation.base.digest import DIGEST_BYTES, Digest, Tag, tagged_hash
from simulation.base.encoding import encode
from simulation.base.ids import HospitalId

SALT_BYTES = 32


@lru_cache(maxsize=1 << 12)
def commitment(
    chain: Digest,
    task: str,
    round: int,  # noqa: A002 -- the word of the protocol
    base_root: Digest,
    hospital: HospitalId,
    update_root: Digest,
    salt: bytes,
) -> Digest:
    """``TH(commit, cbor([chain, task, round, base_root, hospital]) ‖ update_root ‖ salt)``.

    ``task`` is the task's name in the genesis. Hospital, coordinator and contract all call this.

    Raises:
        ValueError: when update root or salt are not 32 bytes; lengths are fixed so that the parts
            cannot be shifted against one another.
    """
    if len(update_root) != DIGEST_BYTES or len(salt) != SALT_BYTES:
        raise ValueError(f"update_root and salt: expected {DIGEST_BYTES} bytes each")
    context = encode([chain, task, round, base_root, hospital])
    return tagged_hash(Tag.COMMIT, context, update_root, salt)


@lru_cache(maxsize=1 << 12)
def holding(
    chain: Digest,
    task: str,
    round: int,  # noqa: A002 -- the word of the protocol
    hospital: HospitalId,
    update_root: Digest,
    cid: str,
) -> Digest:
    """What a holder signs: it has this update's bytes, has checked them, and will hand them out."""
    return tagged_hash(Tag.STORE, encode([chain, task, round, hospital, update_root, cid]))
