"""Damage to one vault: what its keeper could do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from simulation.runs.tampering import Damage, Scene
from simulation.vault.audit_key import FILE, AuditKey


def object_altered(scene: Scene) -> Damage:
    """One bit of an object."""
    path = _object(scene)
    path.write_bytes(scene.flip(path.read_bytes()))
    return _damage(path, "one bit of an object")


def object_deleted(scene: Scene) -> Damage:
    """An object is gone."""
    path = _object(scene)
    path.unlink()
    return _damage(path, "an object is deleted:")


def objects_swapped(scene: Scene) -> Damage:
    """Two objects of one vault change places."""
    path = _object(scene)
    others = [other for other in sorted(path.parent.iterdir()) if other != path]
    other = scene.choose("second object", others)
    one, two = path.read_bytes(), other.read_bytes()
    path.write_bytes(two)
    other.write_bytes(one)
    damage = _damage(path, f"swapped with {other.name}:")
    both = (*damage.fields, f"vault/{path.parent.name}/{other.name}")
    return Damage(damage.told, None, path.parent.name, both)


def audit_key_replaced(scene: Scene) -> Damage:
    """The auditor is handed somebody else's key."""
    path = scene.choose("auditor's key", list(scene.run.glob(FILE)))
    AuditKey.of(scene.rng.bytes(32)).write(path.parent)
    return Damage(f"{FILE} holds another key", None, None, (FILE,))


KINDS: dict[str, Callable[[Scene], Damage]] = {
    "object-altered": object_altered,
    "object-deleted": object_deleted,
    "objects-swapped": objects_swapped,
    "audit-key-replaced": audit_key_replaced,
}


def _object(scene: Scene) -> Path:
    """An object of a hospital or the coordinator, all equally likely."""
    return scene.choose("vault object", sorted((scene.run / "vault").glob("*/*")))


def _damage(path: Path, told: str) -> Damage:
    name = f"vault/{path.parent.name}/{path.name}"
    # At which height it is needed, the ledger knows.
    return Damage(f"{told} {name}", None, path.parent.name, (name,))
