"""Downloads the files of a source from their original home into the data folder.

The archive at the original home may be repacked at any time, so what is pinned is the SHA-256 of
each file inside, checked before it is put in place.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from simulation.records.errors import DataError
from simulation.records.files import SourceFile, data_root, read_original
from simulation.records.registry import source_of
from simulation.records.source import Source


def fetch(kind: str, cache: Path | None = None) -> Sequence[Path]:
    """Download what is missing of a source; return the paths of all its files.

    ``cache`` defaults to the folder that loading uses. A file that is there and is the original is
    left alone; one that is altered is replaced.

    Raises:
        DataError: when the source is unknown, cannot be reached, or gives other bytes than pinned.
    """
    source = source_of(kind)
    root = data_root() if cache is None else cache
    expected = {file.path: file.sha256 for file in source.files}
    found = [_original(file, kind, root) for file in source.files]
    present = [path for path in found if path is not None]
    if len(present) == len(found):
        return present
    if source.download is None:
        raise DataError(
            f"data: {kind} has no download with pinned bytes ({source.provenance}); put "
            f"{', '.join(expected)} (SHA-256 {', '.join(expected.values())}) below {root}"
        )
    with TemporaryDirectory() as folder:
        archive = _retrieve(source, source.download.url, Path(folder))
        for member, target in source.download.members.items():
            data = _member(archive, member, kind)
            digest = hashlib.sha256(data).hexdigest()
            if digest != expected[target]:
                raise DataError(
                    f"data: {source.download.url} gives another {member or 'file'} than the "
                    f"original of {kind}: expected SHA-256 {expected[target]}, got {digest}"
                )
            _place(root / target, data)
    return [root / file.path for file in source.files]


def _original(file: SourceFile, kind: str, root: Path) -> Path | None:
    try:
        read_original(file, kind, root)
    except DataError:
        return None
    return file.find(root)


def _retrieve(source: Source, url: str, folder: Path) -> Path:
    import pooch

    retrieve: Any = pooch.retrieve
    try:
        return Path(retrieve(url, known_hash=None, path=folder, fname="download"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"data: {source.kind} cannot be downloaded from {url}: {error}; download it by hand, "
            f"and put its files into {data_root()}"
        ) from error


def _member(archive: Path, member: str, kind: str) -> bytes:
    if not member:
        return archive.read_bytes()
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.read(member)
    except (KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"data: the archive of {kind} does not hold {member}") from error


def _place(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        raise DataError(f"data: cannot write {path} ({error.strerror})") from error
