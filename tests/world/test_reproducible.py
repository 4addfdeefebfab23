"""Two runs of one configuration are one run: every file, in another process, byte for byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simulation.runs.verify import verify_run

ROOT = Path(__file__).parents[2]
CONFIG = """
name: small
seeds: [5]
hospitals: 4
data: {kind: breast_cancer, normalisation: public}
partition: iid
model: logistic
training: {learning_rate: 0.1}
privacy: {kind: dp_sgd, noise_multiplier: 1.0, delta: 1e-4}
federation: {rounds: 2}
"""
NOT_THE_RESULT = {"manifest.json", "DONE"}
"""They hold wall time and host, and the digest of the file that does."""
FLIPS = 200


@pytest.fixture(scope="module")
def run_once(tmp_path_factory):
    """Runs the configuration in a process of its own and returns the run directory."""
    folder = tmp_path_factory.mktemp("runs")
    config = folder / "small.yaml"
    config.write_text(CONFIG)

    def run(name: str, hash_seed: str) -> Path:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-m", "simulation", "run", str(config), "--out", str(folder / name)],
            env=environment, cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (found,) = (folder / name).rglob("DONE")
        return found.parent

    return run


@pytest.fixture(scope="module")
def finished(run_once) -> Path:
    return run_once("first", "0")


def contents(run: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in NOT_THE_RESULT
    }


def test_every_file_is_the_same_in_another_process_under_another_hash_seed(run_once, finished):
    """Equal trace digest and equal metrics.parquet; ledgers, vault and figures too."""
    again = run_once("second", "4242")
    one, other = contents(finished), contents(again)
    assert {"metrics.parquet", "trace.jsonl.gz", "genesis.cbor"} <= set(one)
    assert sorted(one) == sorted(other)
    assert [name for name in one if one[name] != other[name]] == []
    digests = [
        json.loads((run / "manifest.json").read_text())["trace_digest"] for run in (finished, again)
    ]
    assert digests[0] == digests[1]


def test_an_untouched_run_has_no_findings(finished):
    report = verify_run(finished)
    assert report.findings == ()
    assert report.ok


def test_any_flipped_bit_of_any_file_is_found(finished):
    """At least 200 random flips over all files of a finished run, none missed."""
    rng = np.random.default_rng(7)
    files = [path for path in sorted(finished.rglob("*")) if path.is_file()]
    missed = []
    for number in range(FLIPS):
        # Each file in turn, so that a small one is hit as often as a large one.
        path = files[number % len(files)]
        original = path.read_bytes()
        damaged = bytearray(original)
        where = int(rng.integers(len(damaged)))
        damaged[where] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(damaged))
        try:
            if verify_run(finished).ok:
                missed.append((path.name, where))
        finally:
            path.write_bytes(original)
    assert len(files) > 15
    assert missed == []
    assert verify_run(finished).ok
