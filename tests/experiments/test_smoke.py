"""The whole suite in its smallest size, as a reviewer runs it on a fresh clone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import stem as stem_parts
from experiments.__main__ import main
from experiments.stem import ROOT, stems


def test_the_suite_completes_and_one_altered_number_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--smoke`` completes all stems, draws all figures, and ends with their verdicts; with one
    reference number altered by hand it exits 3 and names it.

    One test and not two, so that the suite is run once, whoever shares the tests among processes.
    """
    out = tmp_path / "smoke"
    done = subprocess.run(
        [sys.executable, "-m", "experiments", "--smoke", "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    judge(done.stdout, out)

    row = alter_a_number(tmp_path, monkeypatch)
    assert main(["free_riders", "--smoke", "--out", str(out)]) == 3
    said = capsys.readouterr()
    assert f"{row}, accepted: holds 0.99" in said.err
    assert "4 runs, 4 done before" in said.err, "what was run is not run again"
    assert "(1 not as in the reference)" in said.out


def judge(said: str, out: Path) -> None:
    """Every stem has its row in the last table: a verdict and a figure, or what it lacks."""
    rows = re.findall(r"^\| (\w+) \| (.+) \| (.+?) \| (\S+) \|$", said, re.MULTILINE)[1:]
    assert [row[0] for row in rows] == list(stems())
    assert said.rstrip().endswith("its numbers decide nothing")
    for name, _, verdict, figure in rows:
        if verdict.startswith("skipped: "):
            assert "WARDCHAIN_DATA" in verdict
            assert figure == "none"
            continue
        assert verdict.startswith(("holds: ", "does not hold: ")), name
        assert Path(figure) == out / "figures" / f"{name}.svg"
        for kind in ("csv", "manifest.json", "svg", "pdf", "png"):
            assert (out / "figures" / f"{name}.{kind}").stat().st_size > 0
    assert {"ablation", "byzantine_grid"} <= {name for name, _, _, f in rows if f != "none"}


def alter_a_number(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Copy the references, alter one number of one of them, and say of which row."""
    shutil.copytree(stem_parts.REFERENCE, folder / "reference")
    monkeypatch.setattr(stem_parts, "REFERENCE", folder / "reference")
    path = folder / "reference" / "free_riders.csv"
    text = path.read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("hash_only,30,"))
    path.write_text(text.replace(line, line.replace(",1.000000,", ",0.990000,", 1)), "utf-8")
    return "ledger hash_only, copycats 30"
