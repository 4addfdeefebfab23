"""A data set's home for tests: a small web server on this machine, which can misbehave."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class Home:
    """What the server has, how it behaves, and what it was asked for."""

    body: bytes
    etag: str = '"v1"'
    changed: str = ""
    ranges: bool = True
    believes_if_range: bool = True
    """Otherwise it gives a part of whatever it has."""
    breaks_after: int | None = None
    """Bytes of an answer after which the connection ends."""
    address: str = ""
    asked: list[tuple[str | None, str | None]] = field(default_factory=list)
    """Range and If-Range of each request."""
    sent: list[int] = field(default_factory=list)
    """Bytes announced in each answer."""


@contextmanager
def serving(home: Home) -> Generator[Home, None, None]:
    """Serve ``home.body`` at ``home.address`` while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(home, self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    home.address = f"http://127.0.0.1:{server.server_port}/home.zip"
    try:
        yield home
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(home: Home, request: BaseHTTPRequestHandler) -> None:
    wanted, condition = request.headers.get("Range"), request.headers.get("If-Range")
    home.asked.append((wanted, condition))
    current = condition in {home.etag, home.changed} or not home.believes_if_range
    begin = 0
    if wanted is not None and home.ranges and current:
        begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if begin >= len(home.body):
            request.send_error(416)
            return
        request.send_response(206)
        last = len(home.body) - 1
        request.send_header("Content-Range", f"bytes {begin}-{last}/{len(home.body)}")
    else:
        request.send_response(200)
    rest = home.body[begin:]
    home.sent.append(len(rest))
    request.send_header("Content-Length", str(len(rest)))
    for name, value in (("ETag", home.etag), ("Last-Modified", home.changed)):
        if value:
            request.send_header(name, value)
    request.end_headers()
    request.wfile.write(rest[: home.breaks_after])


def archive(**members: bytes) -> bytes:
    """An archive of files ``NAME.data``."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in members.items():
            opened.writestr(f"{name}.data", data)
    return packed.getvalue()
