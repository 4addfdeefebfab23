"""Downloads the files of a source from their original home into the data folder.

The archive at the original home may be repacked at any time, so what is pinned is the SHA-256 of
each file inside, checked before it is put in place.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from simulation.base.units import format_bytes
from simulation.records.download import Report, ResumableDownload
from simulation.records.errors import DataError
from simulation.records.files import SourceFile, data_root, read_original
from simulation.records.registry import source_of
from simulation.records.source import Download, Source


def fetch(kind: str, cache: Path | None = None, report: Report | None = None) -> Sequence[Path]:
    """Download what is missing of a source; return the paths of all its files.

    ``cache`` defaults to the folder that loading uses. A file that is there and is the original is
    left alone; one that is altered is replaced. A download that an earlier call has begun is gone
    on with. ``report`` is told the bytes as they come.

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
    archive = _retrieve(source, source.download, root, report)
    try:
        for member, target in source.download.members.items():
            data = _converted(source.download, _member(archive, member, kind), kind)
            digest = hashlib.sha256(data).hexdigest()
            if digest != expected[target]:
                raise DataError(
                    f"data: {source.download.url} gives another {member or 'file'} than the "
                    f"original of {kind}: expected SHA-256 {expected[target]}, got {digest}; what "
                    "was downloaded is removed"
                )
            _place(root / target, data)
    finally:
        archive.unlink(missing_ok=True)
    return [root / file.path for file in source.files]


def unfinished(kind: str, cache: Path | None = None) -> Path | None:
    """The part file that the next `fetch` of a source goes on with; none when it starts over."""
    download = source_of(kind).download
    if download is None:
        return None
    begun = ResumableDownload(_archive(download, data_root() if cache is None else cache))
    return begun.part if begun.kept_bytes(download.url) else None


def _archive(download: Download, root: Path) -> Path:
    """Where a download lies until its members are in place: beside the first of them."""
    first = next(iter(download.members.values()))
    return (root / first).parent / f"{Path(urlsplit(download.url).path).name}.download"


def _original(file: SourceFile, kind: str, root: Path) -> Path | None:
    try:
        read_original(file, kind, root)
    except DataError:
        return None
    return file.find(root)


def _retrieve(source: Source, download: Download, root: Path, report: Report | None) -> Path:
    import pooch

    target = _archive(download, root)
    downloader = ResumableDownload(target, report)
    retrieve: Any = pooch.retrieve
    # It would say the archive's digest; the digests that count are those of the members.
    pooch.get_logger().setLevel("WARNING")
    try:
        return Path(
            retrieve(
                download.url,
                known_hash=None,
                path=target.parent,
                fname=target.name,
                downloader=downloader,
            )
        )
    except PermissionError as error:
        raise DataError(f"data: cannot write below {root} ({error.strerror or error})") from error
    except (OSError, ValueError) as error:
        kept = downloader.kept_bytes(download.url)
        again = (
            f"{format_bytes(kept)} are kept in {downloader.part}, and 'wardchain data fetch "
            f"{source.kind}' goes on from there; or "
            if kept
            else ""
        )
        raise DataError(
            f"data: {source.kind} cannot be downloaded from {download.url}: {error}; {again}"
            f"download it by hand, and put its files where 'wardchain data path {source.kind}' says"
        ) from error


def _member(archive: Path, member: str, kind: str) -> bytes:
    if not member:
        return archive.read_bytes()
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.read(member)
    except (KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"data: the archive of {kind} does not hold a readable {member} ({error}); it "
            "is removed"
        ) from error


def _converted(download: Download, data: bytes, kind: str) -> bytes:
    if download.convert is None:
        return data
    try:
        return download.convert(data)
    except ValueError as error:
        raise DataError(
            f"data: {download.url} gives something else than the data of {kind} ({error}); what "
            "was downloaded is removed"
        ) from error


def _place(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        raise DataError(f"data: cannot write {path} ({error.strerror})") from error
