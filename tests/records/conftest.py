"""The folder of real data sets, and copies of it that a test may damage."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from simulation.records.files import SourceFile
from simulation.records.registry import SOURCES
from simulation.records.source import Download, Source
from tests.records.home import Home, archive, serving


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets; a test that asks for it is skipped where there is none."""
    chosen = os.environ.get("WARDCHAIN_DATA", "")
    if not chosen:
        pytest.skip("WARDCHAIN_DATA is not set: this test needs the folder of real data sets")
    return Path(chosen)


@pytest.fixture
def copy_of_heart(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A writable copy of the heart disease files, which WARDCHAIN_DATA then names."""
    target = tmp_path / "data" / "heart-disease-uci"
    target.mkdir(parents=True)
    for path in sorted((real_data / "heart-disease-uci").glob("processed.*")):
        shutil.copyfile(path, target / path.name)
    monkeypatch.setenv("WARDCHAIN_DATA", str(tmp_path / "data"))
    return target


@pytest.fixture
def small_home(monkeypatch: pytest.MonkeyPatch) -> Generator[Home, None, None]:
    """The home of a small source: an archive of which one member is wanted."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(Home(archive(a=b"original", other=b"not wanted"))) as served:
        source = Source(
            kind="small",
            title="t",
            hospitals="h",
            licence="l",
            provenance="p",
            schema=SOURCES["breast_cancer"].schema,
            params=SOURCES["breast_cancer"].params,
            read=SOURCES["breast_cancer"].read,
            files=(SourceFile("small/a.data", hashlib.sha256(b"original").hexdigest(), 8),),
            download=Download(served.address, {"a.data": "small/a.data"}),
        )
        monkeypatch.setitem(SOURCES, "small", source)
        yield served
