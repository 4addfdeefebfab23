"""The auditor's key: who has it can open every object of one chain's vaults, and sign nothing.

Its public half is in the genesis, so every hospital knows for whom it seals besides the members;
its secret half is handed to whoever audits, in a run as the file ``auditor.pem``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from simulation.vault.hpke import derive_key_pair, public_of

FILE = "auditor.pem"


class AuditKeyError(ValueError):
    """The file holds no X25519 key."""


@dataclass(frozen=True, slots=True)
class AuditKey:
    """An auditor's X25519 key pair."""

    public: bytes
    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, material: bytes) -> AuditKey:
        """The key that 32 secret bytes give."""
        secret, public = derive_key_pair(material)
        return cls(public, secret)

    def write(self, folder: Path) -> None:
        """Write the secret key as PEM (PKCS #8), readable with ``openssl pkey -in … -text``."""
        key = X25519PrivateKey.from_private_bytes(self.secret)
        data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / FILE).write_bytes(data)

    @classmethod
    def read(cls, folder: Path) -> AuditKey:
        """The key that `write` wrote.

        Raises:
            AuditKeyError: when the file is not there, or holds something else.
        """
        try:
            key = load_pem_private_key((folder / FILE).read_bytes(), None)
        except FileNotFoundError:
            raise AuditKeyError("is missing") from None
        except (OSError, ValueError, TypeError) as error:
            raise AuditKeyError(f"holds no key: {error}") from None
        if not isinstance(key, X25519PrivateKey):
            raise AuditKeyError("holds a key of another kind")
        secret = key.private_bytes_raw()
        return cls(public_of(secret), secret)
