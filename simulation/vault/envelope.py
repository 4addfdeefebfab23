"""The envelope: an object encrypted at rest, with its key for the auditor.

    {"v": 2, "box": AES-256-GCM(model), "audit": HPKE(key)}

It is what a vault stores and what an address names; who keeps the vault sees a size, no model. The
key for a reader is wrapped for it alone and goes to it beside the envelope: in the envelope, the
keys of n readers would go to n readers from n hospitals, and whoever turned a bit in somebody
else's would go unnoticed. For that reason the box is also bound to the auditor's key.

The committed root stays that of the model inside, so a sender who boxes something else, or makes a
box that opens differently under two keys (AES-GCM does not bind its key), is caught by whoever
opens it: each holds what comes out against the one root on the ledger.

Every object has a key of its own, used once; that is why a constant nonce is right.

Source: RFC 9180 (HPKE); NIST SP 800-38D (GCM), section 8 (uniqueness of key and nonce).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from simulation.base.encoding import EncodingError, decode, encode
from simulation.vault.hpke import OVERHEAD_BYTES, public_of, seal, unseal

OBJECT_KEY_BYTES = 32
WRAPPED_BYTES = OBJECT_KEY_BYTES + OVERHEAD_BYTES
"""An object's key for one receiver."""
_NONCE = bytes(12)


class EnvelopeError(ValueError):
    """The bytes are no envelope, or not one that this key opens in this context."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """An encrypted object, and its key as the auditor gets it."""

    box: bytes
    audit: bytes
    """The wrapped key."""

    @property
    def encoded(self) -> bytes:
        """The canonical bytes: what is stored, and what an address is of."""
        return encode({"v": 2, "box": self.box, "audit": self.audit})

    def open(self, key: bytes, context: bytes) -> bytes:
        """What is inside, with the object's own key.

        Raises:
            EnvelopeError: when it is not this object's key, or the context is another's.
        """
        if len(key) != OBJECT_KEY_BYTES:
            raise EnvelopeError(f"the object's key has {len(key)} bytes, not {OBJECT_KEY_BYTES}")
        return _opened(key, self.box, context + self.audit)


def enclose(data: bytes, key: bytes, auditor: bytes, context: bytes, material: bytes) -> Envelope:
    """Encrypt an object under its own key, and wrap that key for the auditor.

    Args:
        data: the object.
        key: 32 secret bytes that encrypt nothing else.
        auditor: the auditor's X25519 public key.
        context: what the object is; who opens it has to say the same.
        material: the secret bytes from which the ephemeral key for the auditor is derived.
    """
    audit = wrap(key, auditor, context, material)
    return Envelope(AESGCM(key).encrypt(_NONCE, data, context + audit), audit)


@lru_cache(maxsize=256)
def _opened(key: bytes, box: bytes, bound_to: bytes) -> bytes:
    # Many nodes open one object; what comes out is a function of these three, so they share it.
    try:
        return AESGCM(key).decrypt(_NONCE, box, bound_to)
    except InvalidTag:
        raise EnvelopeError("the box does not open with this key in this context") from None


_wrapped_here: OrderedDict[tuple[bytes, bytes, bytes], bytes] = OrderedDict()
"""What `wrap` has made lately: the key inside, by receiver, wrapped key and context."""
_MOST_WRAPPED = 1 << 14


def wrap(key: bytes, public: bytes, context: bytes, material: bytes) -> bytes:
    """An object's key for one receiver, whose X25519 public key is given.

    ``material`` are secret bytes that are used for nothing else.
    """
    wrapped = seal(public, key, context, material)
    _wrapped_here[public, wrapped, context] = key
    if len(_wrapped_here) > _MOST_WRAPPED:
        _wrapped_here.popitem(last=False)
    return wrapped


def unwrap(wrapped: bytes, secret: bytes, public: bytes, context: bytes) -> bytes:
    """An object's key, by a receiver with its pair of keys.

    What was wrapped in this process opens to what went in, so these bytes, in this context, with
    the pair of keys that they were made for, are not opened once more; any others are.

    Raises:
        EnvelopeError: when there is no key for this receiver in this context.
    """
    known = _wrapped_here.get((public, wrapped, context))
    try:
        if known is not None and public_of(secret) == public:
            return known
        return unseal(secret, public, wrapped, context)
    except ValueError as error:  # an `HpkeError`, or a secret that is none
        raise EnvelopeError(f"the wrapped key does not open: {error}") from None


@lru_cache(maxsize=1024)
def object_context(chain: bytes, task: str, number: int, owner: int) -> bytes:
    """What an envelope is bound to: an object of one round and owner opens as no other."""
    return encode(["object", chain, task, number, owner])


@lru_cache(maxsize=256)
def read_envelope(data: bytes) -> Envelope:
    """The envelope whose canonical bytes these are; all nodes of a run read the same ones.

    Raises:
        EnvelopeError: when they are no envelope's.
    """
    try:
        match decode(data):
            case {"v": 2, "box": bytes(box), "audit": bytes(audit)} if len(audit) == WRAPPED_BYTES:
                envelope = Envelope(box, audit)
            case _:
                raise EnvelopeError("an envelope holds v, box and audit")
    except EncodingError as error:
        raise EnvelopeError(str(error)) from None
    if envelope.encoded != data:
        raise EnvelopeError("an envelope holds nothing besides v, box and audit")
    return envelope
