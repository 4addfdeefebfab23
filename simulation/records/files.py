"""Where the original files lie, and the proof that they are the original ones.

Many public copies of clinical data sets are altered (missing values turned into 0, rows dropped),
so a file is used only when its SHA-256 is the one pinned in its source.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from simulation.records.errors import AbsentDataError, DataError

ENVIRONMENT = "WARDCHAIN_DATA"
"""Names the folder that replaces the user's cache folder."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One original file of a source."""

    path: str
    """Path inside the data folder, e.g. ``heart-disease-uci/processed.va.data``. The file may lie
    there compressed as well, with ``.gz`` after its name."""
    sha256: str
    """Hexadecimal digest of the original bytes, uncompressed."""
    size_bytes: int
    """Their number."""

    def find(self, root: Path) -> Path | None:
        """Where the file lies below ``root``, plain or compressed; none when it is absent."""
        plain = root / self.path
        packed = plain.with_name(plain.name + ".gz")
        return next((path for path in (plain, packed) if path.is_file()), None)


def data_root() -> Path:
    """The folder of data sets: ``WARDCHAIN_DATA``, else ``wardchain`` in the user's cache."""
    chosen = os.environ.get(ENVIRONMENT, "")
    if chosen:
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if cache else Path.home() / ".cache") / "wardchain"


def read_original(file: SourceFile, source: str, root: Path | None = None) -> bytes:
    """The bytes of an original file.

    Raises:
        AbsentDataError: when the file is not there; the message names its path and what to do.
        DataError: when it is unreadable or altered.
    """
    root = data_root() if root is None else root
    path = file.find(root) or root / file.path
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        kind = AbsentDataError if isinstance(error, FileNotFoundError) else DataError
        raise kind(
            f"data: {source} needs the file {path}, which cannot be read ({reason}); run "
            f"'wardchain data fetch {source}' or set {ENVIRONMENT} to the folder that holds "
            f"{file.path}"
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise DataError(
            f"data: {path} is not the original file of {source}: expected SHA-256 {file.sha256}, "
            f"got {found} ({len(data)} bytes, original {file.size_bytes}). Many public copies are "
            f"altered; delete it and run 'wardchain data fetch {source}'"
        )
    return data
