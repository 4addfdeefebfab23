"""HPKE in base mode is RFC 9180's, and the library that has it too agrees both ways."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hpke as library
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from simulation.vault.hpke import (
    KEY_BYTES,
    OVERHEAD_BYTES,
    HpkeError,
    derive_key_pair,
    public_of,
    seal,
    unseal,
)

SUITE = library.Suite(library.KEM.X25519, library.KDF.HKDF_SHA256, library.AEAD.AES_256_GCM)

# The RFC's test vectors for base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM
# (github.com/cfrg/draft-irtf-cfrg-hpke, test-vectors.json). Their messages have associated data,
# which this project does not use, so the encapsulated key, and the message at index 0 without any,
# are what is compared.
IKM_R = bytes.fromhex("dac33b0e9db1b59dbbea58d59a14e7b5896e9bdf98fad6891e99d1686492b9ee")
IKM_E = bytes.fromhex("2cd7c601cefb3d42a62b04b7a9041494c06c7843818e0ce28a8f704ae7ab20f9")
SECRET_R = bytes.fromhex("497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d")
PUBLIC_R = bytes.fromhex("430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c")
ENCAPSULATED = bytes.fromhex("6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256")
INFO = bytes.fromhex("4f6465206f6e2061204772656369616e2055726e")
MESSAGE = bytes.fromhex("4265617574792069732074727574682c20747275746820626561757479")
CIPHERTEXT = bytes.fromhex("e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9")
"""Without its tag, which covers the associated data; GCM encrypts in counter mode."""


def test_the_rfc_s_key_pairs() -> None:
    """§7.1.3: DeriveKeyPair gives the vectors' keys."""
    assert derive_key_pair(IKM_R) == (SECRET_R, PUBLIC_R)
    assert derive_key_pair(IKM_E)[1] == ENCAPSULATED
    assert public_of(SECRET_R) == PUBLIC_R


def test_the_rfc_s_message() -> None:
    """§5.1, §5.2: shared secret, key schedule and first nonce give the vector's ciphertext."""
    sealed = seal(PUBLIC_R, MESSAGE, INFO, IKM_E)

    assert sealed[:KEY_BYTES] == ENCAPSULATED
    assert sealed[KEY_BYTES : -OVERHEAD_BYTES + KEY_BYTES] == CIPHERTEXT[: len(MESSAGE)]
    assert unseal(SECRET_R, PUBLIC_R, sealed, INFO) == MESSAGE


@given(st.binary(max_size=64), st.binary(max_size=40))
def test_the_library_opens_what_is_sealed_here_and_the_other_way(
    message: bytes, context: bytes
) -> None:
    """An independent implementation of RFC 9180 reads and writes the same."""
    sealed = seal(PUBLIC_R, message, context, IKM_E)
    theirs = SUITE.encrypt(message, X25519PublicKey.from_public_bytes(PUBLIC_R), context)

    opened = SUITE.decrypt(sealed, X25519PrivateKey.from_private_bytes(SECRET_R), context)
    assert opened == message
    assert unseal(SECRET_R, PUBLIC_R, theirs, context) == message
    assert len(sealed) == len(theirs) == len(message) + OVERHEAD_BYTES


def test_only_the_receiver_opens_it_and_only_in_its_context() -> None:
    """The receiver's key and the context are inside the key schedule."""
    sealed = seal(PUBLIC_R, MESSAGE, INFO, IKM_E)
    other, other_public = derive_key_pair(b"o" * 32)

    for arguments in (
        (other, other_public, sealed, INFO),
        (SECRET_R, PUBLIC_R, sealed, INFO + b"x"),
        (SECRET_R, PUBLIC_R, sealed[:-1], INFO),
        (SECRET_R, PUBLIC_R, bytes([sealed[0] ^ 1]) + sealed[1:], INFO),
        (SECRET_R, PUBLIC_R, b"short", INFO),
    ):
        with pytest.raises(HpkeError):
            unseal(*arguments)


@pytest.mark.parametrize("public", [bytes(32), bytes([1]) + bytes(31), b"short"])
def test_a_key_that_gives_everybody_the_same_secret_is_refused(public: bytes) -> None:
    """§7.1.4: an all-zero Diffie-Hellman result is refused."""
    with pytest.raises(HpkeError):
        seal(public, MESSAGE, INFO, IKM_E)
