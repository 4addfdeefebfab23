"""From files and seeds to tensors, beside pandas reading the same file: a ratio, and memory.

Each measurement is a process of its own, because what matters is its peak of memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.bench

ROOT = Path(__file__).parents[2]
GIGABYTE = 1e9

MEASURE = """
import json, resource, time
{imports}
before = resource.getrusage(resource.RUSAGE_SELF)
started = time.perf_counter()
{work}
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({{
    "wall_s": time.perf_counter() - started,
    "cpu_s": used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime,
    "peak_bytes": used.ru_maxrss * 1024,
    "rows": rows,
}}))
"""
LOAD = """
from simulation.base.rng import Streams
from simulation.records.load import load
from simulation.records.params import Diabetes130Params, NaturalParams, SyntheticParams
import sklearn.model_selection
"""
PLAIN = """
table = pandas.read_csv({path!r}, na_values="?", keep_default_na=False)
rows = len(table)
"""
DIABETES = """
shards = load(Diabetes130Params(), NaturalParams(min_size=50), None, Streams(1)).shards
rows = sum(len(s.train_y) + len(s.test_y) for s in shards)
"""
SYNTHETIC = """
from simulation.records.sources.synthetic import cohort_of
params = SyntheticParams()
shards = load(params, NaturalParams(), 64, Streams(1)).shards
rows = sum(len(s.train_y) + len(s.test_y) for s in shards)
"""
ENCOUNTERS = """
rows = len(cohort_of(SyntheticParams(), 64, Streams(1)).encounters.id)
"""


def measured(imports: str, work: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE.format(imports=imports, work=work)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True,
        text=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def say(capsys: pytest.CaptureFixture[str], what: str, found: dict[str, float], ratio: str) -> None:
    with capsys.disabled():
        print(  # noqa: T201 (the numbers are what this is for)
            f"\n{what}: {found['rows']:.0f} rows, {found['cpu_s']:.1f} s of one core, peak "
            f"{found['peak_bytes'] / 1e6:.0f} MB{ratio}"
        )


def test_diabetes_130_to_tensors(capsys: pytest.CaptureFixture[str]) -> None:
    """Below 1 GB; time is told as a ratio to pandas reading the same file."""
    folder = os.environ.get("WARDCHAIN_DATA")
    if not folder:
        pytest.skip("WARDCHAIN_DATA is not set: this needs the diabetes-130 file")
    path = Path(folder) / "diabetes-130-us-hospitals" / "diabetic_data.csv"
    path = path if path.is_file() else path.with_name(path.name + ".gz")
    plain = measured("import pandas", PLAIN.format(path=str(path)))
    found = measured(LOAD, DIABETES)
    say(capsys, "pandas.read_csv", plain, "")
    ratio = f"; {found['cpu_s'] / plain['cpu_s']:.1f} × pandas reading it"
    say(capsys, "diabetes-130: read, proved original, dealt, split, scaled", found, ratio)
    assert found["rows"] > 69_000
    assert found["peak_bytes"] < GIGABYTE


def test_a_hundred_thousand_synthetic_encounters_to_tensors(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Made, featured, dealt and scaled below 1 GB; beside pandas reading as many rows of text."""
    made = measured(
        LOAD + "from simulation.records.sources.synthetic import cohort_of\n", ENCOUNTERS
    )
    found = measured(LOAD, SYNTHETIC)
    file = tmp_path / "encounters.csv"
    line = ",".join(["12345.678"] * 20) + "\n"
    file.write_text(line * int(made["rows"]))
    plain = measured("import pandas", PLAIN.format(path=str(file)))
    say(capsys, "64 hospitals made", made, "")
    say(
        capsys,
        "64 hospitals to tensors",
        found,
        f"; {found['cpu_s'] / plain['cpu_s']:.1f} × pandas",
    )
    assert made["rows"] > 100_000
    assert found["peak_bytes"] < GIGABYTE
