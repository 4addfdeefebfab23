"""`make compiled`: out of the compiled consensus core comes what comes out of its sources."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.runs.manifest import read_manifest
from simulation.runs.provenance import is_compiled

ROOT = Path(__file__).parents[1]
COMPILED = ROOT / "build" / "compiled"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler"),
    pytest.mark.skipif(is_compiled(), reason="compares with the interpreted core"),
]


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    made = subprocess.run(
        ["make", "compiled"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr


def printed(package: Path, *arguments: str, code: int = 0) -> str:
    """What ``wardchain`` prints with the package of that folder; it ends with this exit code."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "simulation", *arguments],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stdout


def test_a_run_is_the_same_byte_for_byte(tmp_path) -> None:
    """The quickstart, by the digests of all its files; and the manifest says which core it was."""
    files = []
    for package in (ROOT, COMPILED):
        out = str(tmp_path / package.name)
        said = json.loads(
            printed(package, "run", "configs/quickstart.yaml", "--json", "--out", out)
        )
        manifest = read_manifest(Path(said["runs"][0]["directory"]))
        assert manifest["compiled"] == (package == COMPILED)
        files.append(manifest["files"])

    assert {"metrics.parquet", "trace.jsonl.gz", "figure.png"} <= set(files[0])
    assert files[0] == files[1]


@pytest.mark.parametrize("protocol", ["pbft", "hotstuff", "raft"])
def test_random_schedules_are_survived_in_the_same_way(protocol) -> None:
    """Crashes, liars, losses and partitions: the same messages, views and decisions."""
    tables = [
        printed(package, "soak", "--protocol", protocol, "--first", "0", "--count", "40")
        for package in (ROOT, COMPILED)
    ]

    assert tables[0] == tables[1]
    assert "no violation" in tables[0]


def test_broken_variants_are_caught_at_the_same_seed() -> None:
    """They are not compiled, and derive from what is."""
    arguments = ("soak", "--broken", "quorum-too-small", "--first", "0", "--count", "300")
    said = [printed(package, *arguments, code=3) for package in (ROOT, COMPILED)]

    assert said[0] == said[1]
    assert "--broken quorum-too-small" in said[0]
