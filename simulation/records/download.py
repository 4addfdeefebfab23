"""A downloader for pooch that goes on where an earlier attempt broke off.

What has come so far lies beside the target as ``NAME.part``, and ``NAME.part.origin`` says which
version of which address it is part of. The next attempt asks for the bytes that are missing, on
condition that this version is still the current one (RFC 9110, sections 13.1.5 and 14.2).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

Report = Callable[[int, int | None], None]
"""Is told how many bytes are here and how many it will be; none when the home does not say."""

BLOCK_BYTES = 1 << 16
TIMEOUT_S = 30.0


class ResumableDownload:
    """Downloads to a target by way of its part file; pooch calls it as its downloader.

    The bytes are taken as they are stored: urllib asks for no compression on the way, which a
    client that unpacks by itself would count offsets past.
    """

    def __init__(self, target: Path, report: Report | None = None) -> None:
        self.part = target.with_name(target.name + ".part")
        self._origin = target.with_name(target.name + ".part.origin")
        self._report: Report = report or (lambda _here, _total: None)

    def kept_bytes(self, url: str) -> int:
        """How many bytes the next attempt need not ask for again."""
        return self.part.stat().st_size if self._version(url) and self.part.is_file() else 0

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        """Bring ``output_file`` about, from what is kept and what the address gives.

        Raises:
            OSError: when the address cannot be read to its end; what has come so far is kept.
        """
        try:
            answer, begins = self._open(url)
            with closing(answer):
                self._take(answer, begins, url)
        except HTTPError:
            raise
        except URLError as error:
            raise ConnectionError(f"no answer ({error.reason})") from error
        except HTTPException as error:
            raise ConnectionError(f"the answer broke off ({error})") from error
        self.part.replace(output_file)
        self.discard()

    def discard(self) -> None:
        """Forget what has come so far."""
        self.part.unlink(missing_ok=True)
        self._origin.unlink(missing_ok=True)

    def _version(self, url: str) -> str:
        """What the part file is part of, as If-Range takes it; empty when that is not known."""
        try:
            address, version = self._origin.read_text("utf-8").splitlines()
        except (OSError, ValueError):
            return ""
        return version if address == url else ""

    def _open(self, url: str) -> tuple[Any, int]:
        """The answer to a request for what is missing, and after how many bytes it begins."""
        kept = self.kept_bytes(url)
        if not kept:
            return _ask(url, {}), 0
        try:
            answer = _ask(url, {"Range": f"bytes={kept}-", "If-Range": self._version(url)})
        except HTTPError as error:
            if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
            error.close()
            return _ask(url, {}), 0
        if answer.status != HTTPStatus.PARTIAL_CONTENT:
            return answer, 0
        if self._continues(answer, url, kept):
            return answer, kept
        answer.close()
        return _ask(url, {}), 0

    def _continues(self, answer: Any, url: str, kept: int) -> bool:
        """Whether a partial answer begins where we stopped, in the version that we have."""
        begins = answer.headers.get("Content-Range", "").startswith(f"bytes {kept}-")
        return begins and _version_of(answer) in {"", self._version(url)}

    def _take(self, answer: Any, here: int, url: str) -> None:
        """Add an answer that begins after ``here`` bytes to what is kept; 0 starts over."""
        if not here:
            self.discard()
            self._origin.write_text(f"{url}\n{_version_of(answer)}\n", "utf-8")
        length = answer.headers.get("Content-Length")
        total = here + int(length) if length is not None else None
        self._report(here, total)
        with self.part.open("ab") as out:
            # One read of the socket at a time: a block that never fills up would be lost.
            while block := answer.read1(BLOCK_BYTES):
                out.write(block)
                here += len(block)
                self._report(here, total)
        if total is not None and here < total:
            raise ConnectionError(f"the answer broke off after {here} of {total} bytes")


def _ask(url: str, headers: dict[str, str]) -> Any:
    if not url.startswith(("https://", "http://")):
        raise ValueError("the address is not one of the web")
    return urlopen(Request(url, headers=headers), timeout=TIMEOUT_S)  # noqa: S310 (checked above)


def _version_of(answer: Any) -> str:
    """What If-Range may name: a strong ETag, else the time of the last change, else nothing."""
    tag = answer.headers.get("ETag", "")
    # RFC 9110, 13.1.5: a weak ETag does not promise equal bytes.
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")
