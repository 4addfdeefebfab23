"""What cryptography and execution cost a node's processor, in virtual time.

The run signs and verifies what outlives it for real; how long that takes on a hospital's machine is
modelled here, so that the result does not depend on the machine that simulates. Defaults were
measured on one core: Ed25519 sign 22.9 µs and verify 72.7 µs, SHA-256 of 1 MiB in 0.60 ms, X25519
50 µs, AES-256-GCM of 1 MiB in 0.37 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulation.base.units import US_PER_S
from simulation.consensus.protocol import Message


@dataclass(frozen=True, kw_only=True, slots=True)
class CryptoCosts:
    """Modelled processor time of a node, one job after the other."""

    sign_us: int = 23
    """Time to sign one message, in µs (Ed25519 on one core; HMAC-SHA256: 1.5 µs). A broadcast is
    signed once."""
    verify_us: int = 73
    """Time to verify one signature, in µs (Ed25519 on one core)."""
    hash_mb_per_s: float = 1700.0
    """SHA-256 throughput in MB/s, charged for the bytes that a receiver hashes; 0 for free."""
    agree_us: int = 50
    """Time of one X25519 operation, in µs. Wrapping an object's key for one receiver takes two,
    opening a wrapped key one."""
    aead_mb_per_s: float = 2800.0
    """AES-256-GCM throughput in MB/s, charged for the bytes that are encrypted or decrypted; 0 for
    free."""
    execute_us: int = 100
    """Time to execute one ordered request on a ledger copy, in µs: one check of its signature and
    a few reads and writes."""
    cores: int = 1
    """Cores over which checking and hashing of received messages are spread evenly; signing and
    execution stay on one."""

    def __post_init__(self) -> None:
        for name in (
            "sign_us", "verify_us", "hash_mb_per_s", "agree_us", "aead_mb_per_s", "execute_us",
        ):  # fmt: skip
            if not getattr(self, name) >= 0:
                raise ValueError(
                    f"{name}: must be >= 0, got {getattr(self, name)}; use 0 for a free operation"
                )
        if self.cores < 1:
            raise ValueError(f"cores: must be >= 1, got {self.cores}; use 1 for a single core")

    def receive_us(self, message: Message) -> int:
        """Time to check a received message before its handler runs: signatures and hashes."""
        return self.checking_us(message.verifications, message.hashed_bytes)

    def checking_us(self, signatures: int, hashed_bytes: int = 0) -> int:
        """Time to verify so many signatures and to hash so many bytes."""
        work_us = signatures * self.verify_us
        if hashed_bytes and self.hash_mb_per_s:
            work_us += round(hashed_bytes * US_PER_S / (self.hash_mb_per_s * 1e6))
        return -(-work_us // self.cores)

    def send_us(self, message: Message) -> int:
        """Time to sign a message; nothing when receivers check no signature on it."""
        return self.sign_us if message.verifications else 0

    def sealing_us(self, size_bytes: int, receivers: int) -> int:
        """Time to encrypt an object and to wrap its key for so many receivers."""
        return 2 * self.agree_us * receivers + self._aead_us(size_bytes)

    def opening_us(self, size_bytes: int) -> int:
        """Time to unwrap an object's key and to decrypt the object."""
        return self.agree_us + self._aead_us(size_bytes)

    def _aead_us(self, size_bytes: int) -> int:
        if not self.aead_mb_per_s:
            return 0
        return round(size_bytes * US_PER_S / (self.aead_mb_per_s * 1e6))

    def executing_us(self, requests: int) -> int:
        """Time to execute a batch of so many requests."""
        return requests * self.execute_us


FREE = CryptoCosts(
    sign_us=0, verify_us=0, hash_mb_per_s=0.0, agree_us=0, aead_mb_per_s=0.0, execute_us=0
)
"""A processor that takes no time: for closed forms that count messages and delays only."""
