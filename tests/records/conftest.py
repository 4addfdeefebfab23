"""The folder of real data sets, and copies of it that a test may damage."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


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
