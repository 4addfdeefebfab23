"""The seal of a finished run: a digest of every file, and a digest of the list of digests.

``manifest.json`` names every other file of the run directory with its SHA-256, and ``DONE``,
written last, holds the SHA-256 of ``manifest.json``. The seal finds accidents and single edits
anywhere; it does not stop somebody who seals again afterwards, which is what the signatures in the
ledger are for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

MANIFEST = "manifest.json"
DONE = "DONE"


def seal(run_dir: Path, manifest: dict[str, Any]) -> None:
    """Put the digests of all files into ``manifest["files"]``, write it, and write `DONE`.

    Everything else must be in place: a file that changes or appears later breaks the seal.
    """
    manifest["files"] = file_digests(run_dir)
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    data = text.encode() + b"\n"
    (run_dir / MANIFEST).write_bytes(data)
    (run_dir / DONE).write_bytes(_done(data))


def reseal(run_dir: Path) -> None:
    """Seal a run again whose files were changed: what the seal by itself cannot stop.

    Raises:
        ValueError: when its manifest can no longer be read.
    """
    manifest: dict[str, Any] = json.loads((run_dir / MANIFEST).read_bytes())
    (run_dir / DONE).unlink(missing_ok=True)
    seal(run_dir, manifest)


def file_digests(run_dir: Path) -> dict[str, str]:
    """Relative path (with ``/``) to hexadecimal SHA-256, for all files but the seal's own two."""
    digests: dict[str, str] = {}
    for path in sorted(run_dir.rglob("*")):
        name = path.relative_to(run_dir).as_posix()
        if name not in (MANIFEST, DONE) and (path.is_file() or path.is_symlink()):
            digests[name] = _sha256(path)
    return digests


def broken_seals(run_dir: Path) -> Iterator[tuple[str, str]]:
    """Relative path and what is wrong, for every file that is not as it was sealed."""
    try:
        data = (run_dir / MANIFEST).read_bytes()
    except OSError:
        yield MANIFEST, "is missing"
        return
    try:
        done = (run_dir / DONE).read_bytes()
    except OSError:
        yield DONE, "is missing: the run has not finished, or its seal was removed"
    else:
        if done != _done(data):
            yield DONE, f"does not hold the SHA-256 of {MANIFEST}: one of the two was changed"
    sealed = _sealed_files(data)
    if sealed is None:
        yield MANIFEST, "lists no files"
        return
    found = file_digests(run_dir)
    for name in sorted(sealed.keys() | found.keys()):
        if name not in found:
            yield name, "is missing"
        elif name not in sealed:
            yield name, "was not there when the run was sealed"
        elif found[name] != sealed[name]:
            yield name, "was changed after the run was sealed"


def _sealed_files(data: bytes) -> dict[str, object] | None:
    try:
        manifest: object = json.loads(data)
    except ValueError:
        return None
    if not isinstance(manifest, dict):
        return None
    files = cast("dict[str, object]", manifest).get("files")
    return cast("dict[str, object]", files) if isinstance(files, dict) else None


def _done(manifest: bytes) -> bytes:
    return hashlib.sha256(manifest).hexdigest().encode() + b"\n"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
