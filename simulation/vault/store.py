"""A content-addressed store: the address of an object is a digest of its bytes.

The ledger names objects by address; whoever fetches one recomputes the address, so a vault can lose
an object but not change it unnoticed.

Source: CIDv1 (https://github.com/multiformats/cid) with the dag-cbor codec, sha2-256 and base32.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Protocol

_PREFIX = bytes([1, 0x71, 0x12, 32])
"""CID version, codec dag-cbor, hash sha2-256, digest length: the multicodec table's numbers."""


MISSING, ALTERED = "missing", "altered"


class VaultError(Exception):
    """The object is not there, or its bytes are not what its address says.

    ``problem`` is `MISSING` or `ALTERED`.
    """

    def __init__(self, cid: str, problem: str) -> None:
        word = "no such object" if problem == MISSING else "the bytes are not what the address says"
        super().__init__(f"{cid}: {word}")
        self.problem = problem


@lru_cache(maxsize=512)
def cid_of(data: bytes) -> str:
    """The address of these bytes: CIDv1, dag-cbor, sha2-256, in lower-case base32."""
    # Cached, because every holder of an object asks, and more than once.
    # With version, codec and hash pinned, a CID is four fixed bytes and the digest; a library that
    # knows all of them takes two milliseconds for it (the tests hold this against one).
    binary = _PREFIX + hashlib.sha256(data).digest()
    return "b" + base64.b32encode(binary).decode("ascii").rstrip("=").lower()


class Vault(Protocol):
    """What every vault offers."""

    def put(self, data: bytes) -> str:
        """Keep the bytes and return their address."""
        ...

    def get(self, cid: str) -> bytes:
        """The bytes at an address, checked against it.

        Raises:
            VaultError: when they are missing or altered.
        """
        ...

    def has(self, cid: str) -> bool:
        """Whether there is an object at the address (altered or not)."""
        ...

    def cids(self) -> list[str]:
        """All addresses, sorted."""
        ...


class MemoryVault:
    """Objects in a dictionary."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        """Keep the bytes and return their address."""
        cid = cid_of(data)
        self._objects[cid] = data
        return cid

    def get(self, cid: str) -> bytes:
        """The bytes at an address; see `Vault.get`."""
        if cid not in self._objects:
            raise VaultError(cid, MISSING)
        return _checked(cid, self._objects[cid])

    def has(self, cid: str) -> bool:
        """Whether there is an object at the address."""
        return cid in self._objects

    def cids(self) -> list[str]:
        """All addresses, sorted."""
        return sorted(self._objects)


class DirectoryVault:
    """One file per object, named by its address.

    The directory is made when it does not exist, unless ``create`` is false (for reading only).
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self._path = path
        if create:
            path.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes) -> str:
        """Keep the bytes and return their address."""
        cid = cid_of(data)
        # Written even where a file is: it may be the damaged one that this replaces.
        (self._path / cid).write_bytes(data)
        return cid

    def get(self, cid: str) -> bytes:
        """The bytes at an address; see `Vault.get`."""
        if not self.has(cid):
            raise VaultError(cid, MISSING)
        return _checked(cid, (self._path / cid).read_bytes())

    def has(self, cid: str) -> bool:
        """Whether there is an object at the address."""
        # Addresses come from the ledger, where anybody may have written them: no path separators.
        return cid.isalnum() and (self._path / cid).is_file()

    def cids(self) -> list[str]:
        """All addresses, sorted."""
        return sorted(self._files())

    def _files(self) -> Iterator[str]:
        for file in self._path.iterdir():
            if file.is_file():
                yield file.name


def _checked(cid: str, data: bytes) -> bytes:
    if cid_of(data) != cid:
        raise VaultError(cid, ALTERED)
    return data
