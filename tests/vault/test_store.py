"""The vault: an object's address is a digest of its bytes, and is checked whenever it is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiformats import CID, multihash

from simulation.vault.store import DirectoryVault, MemoryVault, Vault, VaultError, cid_of


@pytest.fixture(params=["memory", "directory"])
def vault(request, tmp_path: Path) -> Vault:
    return MemoryVault() if request.param == "memory" else DirectoryVault(tmp_path / "vault")


@given(st.binary(max_size=100))
def test_an_address_is_a_library_s_address(data: bytes) -> None:
    """CIDv1, dag-cbor, sha2-256, base32: an implementation of all CIDs gives the same."""
    assert cid_of(data) == str(CID("base32", 1, "dag-cbor", multihash.digest(data, "sha2-256")))


def test_a_published_address() -> None:
    """The CID of the empty dag-cbor map, as the IPLD documentation's tools print it."""
    assert cid_of(b"\xa0") == "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"


def test_objects_come_back(vault: Vault) -> None:
    """What is put can be had under its address."""
    one, other = vault.put(b"one"), vault.put(b"other")

    assert one == cid_of(b"one")
    assert vault.put(b"one") == one
    assert vault.get(one) == b"one"
    assert vault.has(other)
    assert vault.cids() == sorted([one, other])


def test_what_is_not_there_is_not_there(vault: Vault) -> None:
    """A vault may lose objects; it says so."""
    cid = cid_of(b"lost")

    assert not vault.has(cid)
    with pytest.raises(VaultError, match="no such object"):
        vault.get(cid)


def test_an_altered_object_is_refused(tmp_path: Path) -> None:
    """A vault alters an object: the address no longer fits."""
    vault = DirectoryVault(tmp_path)
    cid = vault.put(b"one")
    (tmp_path / cid).write_bytes(b"two")

    assert vault.has(cid)
    with pytest.raises(VaultError, match="not what the address says"):
        vault.get(cid)


@pytest.mark.parametrize("cid", ["", "..", "../secret", "a/b", "sub"])
def test_addresses_lead_nowhere_else(tmp_path: Path, cid: str) -> None:
    """Addresses come from the ledger, where anybody may have written them."""
    (tmp_path / "secret").write_bytes(b"x")
    vault = DirectoryVault(tmp_path / "vault")
    (tmp_path / "vault" / "sub").mkdir()

    assert not vault.has(cid)
    with pytest.raises(VaultError):
        vault.get(cid)


def test_a_vault_outlives_its_object(tmp_path: Path) -> None:
    """Files stay; reading creates nothing."""
    cid = DirectoryVault(tmp_path / "vault").put(b"one")

    assert DirectoryVault(tmp_path / "vault", create=False).get(cid) == b"one"
    assert not DirectoryVault(tmp_path / "none", create=False).has(cid)
    assert not (tmp_path / "none").exists()
