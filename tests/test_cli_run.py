"""Whole runs from the command line: watched, summarised, skipped, audited, and failed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulation.cli import app
from simulation.cli.exits import guarded

QUICKSTART = str(Path(__file__).parents[1] / "configs" / "quickstart.yaml")
SMALL = [
    *("--set", "name=small"),
    *("--set", "hospitals=4"),
    *("--set", "federation.rounds=2"),
    *("--set", "privacy=none"),
    *("--set", "model=logistic"),
]

Command = Callable[..., tuple[int, str, str]]

FAILING_APP = """
from flwr.clientapp import ClientApp

client_app = ClientApp()


@client_app.train()
def train(message, context):
    if context.node_config["partition-id"] == 2:
        raise RuntimeError("the records are gone")
    return message
"""


@pytest.fixture
def wardchain(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in this process: exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["wardchain", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            guarded(app)
        return int(str(ended.value.code)), *capsys.readouterr()

    return run


@pytest.fixture
def small(wardchain: Command, tmp_path: Path) -> Path:
    """A finished run of four hospitals and two rounds."""
    code, out, err = wardchain("run", QUICKSTART, *SMALL, "--json", "--out", str(tmp_path))
    assert code == 0, err
    return Path(json.loads(out)["runs"][0]["directory"])


def test_a_run_is_watched_and_summarised(wardchain: Command, tmp_path: Path) -> None:
    """One plain line a round when not a terminal, then where it lies and what to try next."""
    code, out, err = wardchain("run", QUICKSTART, *SMALL, "--out", str(tmp_path))

    lines = out.splitlines()
    assert code == 0
    assert lines[0] == "small, seed 42"
    assert lines[1].split() == [
        *("round", "AUROC", "ε", "accepted", "consensus", "p50", "p99", "virtual", "time")
    ]
    rows = [line.split() for line in lines[2:4]]
    assert [(row[0], row[2], row[3]) for row in rows] == [("1", "-", "4/4"), ("2", "-", "4/4")]
    assert all(0.5 < float(row[1]) <= 1 for row in rows)
    assert all(float(row[4]) <= float(row[6]) for row in rows)
    place = next(tmp_path.glob("small/*/seed-42"))
    assert f"  directory  {place}" in lines
    assert f"  wardchain verify {place}" in lines
    assert "  privacy    no privacy guarantee: privacy: none" in lines
    assert "INFO" not in err
    assert "flwr" not in err


def test_a_run_reports_one_json_object(wardchain: Command, tmp_path: Path) -> None:
    """Standard output is the report and nothing else; the watching goes to standard error."""
    code, out, err = wardchain(
        "run", QUICKSTART, *SMALL, "--json", "--seed", "1", "--seed", "2", "--out", str(tmp_path)
    )

    report: dict[str, Any] = json.loads(out)
    assert code == report["exit_code"] == 0
    assert [run["seed"] for run in report["runs"]] == [1, 2]
    assert {run["status"] for run in report["runs"]} == {"done"}
    assert report["runs"][0]["trace_digest"] != report["runs"][1]["trace_digest"]
    assert all(0.5 < run["final"]["auroc"] <= 1 for run in report["runs"])
    assert "small, seed 1" in err


def test_what_is_done_is_skipped(wardchain: Command, small: Path) -> None:
    """The second call runs nothing, says so, and reports the same."""
    out_folder = str(small.parents[2])
    written = (small / "DONE").stat().st_mtime_ns

    code, out, err = wardchain("run", QUICKSTART, *SMALL, "--json", "--out", out_folder)

    assert code == 0
    assert json.loads(out)["runs"][0]["skipped"] is True
    assert f"{small}: done before, skipped" in err
    assert (small / "DONE").stat().st_mtime_ns == written


def test_an_untouched_run_verifies_and_a_touched_one_does_not(
    wardchain: Command, small: Path
) -> None:
    """Exit code 0, then 3 with height or file, hospital and field."""
    assert wardchain("verify", str(small))[0] == 0

    path = small / "ledger" / "hospital-01.sqlite"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)

    code, out, _ = wardchain("verify", str(small))
    assert code == 3
    assert "hospital-01" in out
    report = json.loads(wardchain("verify", str(small), "--json")[1])
    assert (report["ok"], report["exit_code"]) == (False, 3)
    assert wardchain("figures", str(small))[0] == 3


def test_the_trace_can_be_filtered(wardchain: Command, small: Path) -> None:
    """By event, round and node; as lines or as one JSON object."""
    code, out, _ = wardchain("trace", str(small), "--event", "round_closed")
    assert code == 0
    assert [line.split()[-6:-5] for line in out.splitlines()] == [["round=1"], ["round=2"]]

    report = json.loads(
        wardchain("trace", str(small), "--event", "trained", "--node", "2", "--json")[1]
    )
    assert [(row["round"], row["hospital"]) for row in report["events"]] == [(1, 2), (2, 2)]

    limited = json.loads(wardchain("trace", str(small), "--limit", "3", "--json")[1])
    assert len(limited["events"]) == 3
    code, _, err = wardchain("trace", str(small), "--event", "round_clsed")
    assert code == 2
    assert "did you mean round_closed?" in err


def test_figures_are_drawn_again_under_the_seal(wardchain: Command, small: Path) -> None:
    """Drawing again leaves the run verified, with the same figures as before."""
    pytest.importorskip("matplotlib")
    before = {path: path.read_bytes() for path in small.rglob("*.svg")}
    assert before

    code, out, _ = wardchain("figures", str(small), "--json")

    assert code == 0
    drawn = {Path(path) for path in json.loads(out)["figures"]}
    assert set(before) <= drawn
    assert {path: path.read_bytes() for path in before} == before
    assert wardchain("verify", str(small))[0] == 0


def test_a_figure_that_has_changed_is_sealed_anew(
    wardchain: Command, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who draws differently from before (a newer program, say) does not break the seal."""

    def draw(run: Path) -> list[Path]:
        (run / "new.svg").write_text("<svg/>")
        return [run / "new.svg"]

    # By its module: in the package, the name belongs to the command.
    monkeypatch.setattr(sys.modules["simulation.cli.figures"], "drawer", lambda: draw)

    code, out, _ = wardchain("figures", str(small))

    assert (code, out) == (0, f"{small / 'new.svg'}\n")
    assert wardchain("verify", str(small))[0] == 0


def test_a_failing_client_app_ends_the_run(
    wardchain: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1; hospital, round, virtual time and traceback in ``FAILED``."""
    (tmp_path / "failing_app.py").write_text(FAILING_APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    foreign = ("--set", "federation.client_app=failing_app:client_app")

    code, _, err = wardchain("run", QUICKSTART, *SMALL, *foreign, "--out", "runs")

    place = next(tmp_path.glob("runs/small/*/seed-42"))
    text = (place / "FAILED").read_text()
    assert code == 1
    assert "error: seed 42 failed: HospitalError" in err
    assert "Traceback" not in err
    assert "hospital: 2 (hospital-02)" in text
    assert "round: 1" in text
    assert "virtual time: " in text
    assert "RuntimeError: the records are gone" in text
    assert "failing_app.py" in text
    assert wardchain("verify", str(place))[0] == 2
    assert not (place / "DONE").exists()

    code, out, _ = wardchain("run", QUICKSTART, *SMALL, *foreign, "--out", "runs", "--json")
    assert code == json.loads(out)["exit_code"] == 1
    assert json.loads(out)["runs"][0]["failure"]["hospital"] == 2


WORKLOAD = str(Path(__file__).parents[1] / "configs" / "workload.yaml")
BRIEF = [*("--set", "workload.measure_s=2"), *("--set", "workload.clients=4")]


def test_a_workload_is_summed_up_as_throughput_and_latency(
    wardchain: Command, tmp_path: Path
) -> None:
    """Nothing is trained: no table of rounds, no model, no figure."""
    code, out, _ = wardchain("run", WORKLOAD, *BRIEF, "--out", str(tmp_path))
    assert code == 0
    assert "requests/s over the measured window" in out
    assert "latency    mean" in out
    assert "AUROC" not in out

    code, out, _ = wardchain("check", WORKLOAD, *BRIEF, "--json")
    assert (code, json.loads(out)["estimate"]) == (0, None)


def test_a_run_beyond_what_is_survived_says_so_first_and_fails(
    wardchain: Command, tmp_path: Path
) -> None:
    """It never looks like a success: a warning, the conflicting decisions, exit code 1, FAILED."""
    lie = "{kind: behave, at_ms: 0, node: %d, behaviour: [split-evenly, vote-to-each]}"
    faults = ["--set", f"faults=[{lie % 0}, {lie % 1}]"]

    code, out, err = wardchain("check", QUICKSTART, *SMALL, *faults, "--json")
    assert code == 0
    assert "up to 2 of n = 4 replicas are faulty at once" in json.loads(out)["warnings"][0]

    code, out, err = wardchain("run", QUICKSTART, *SMALL, *faults, "--out", str(tmp_path))
    assert code == 1
    assert err.index("warning: faults: up to 2 of n = 4") < err.index("error: seed 42 failed")
    assert "agreement at replica" in err
    assert len(list(tmp_path.rglob("FAILED"))) == 1
    assert not list(tmp_path.rglob("DONE"))


def test_an_audit_becomes_a_page(wardchain: Command, small: Path, tmp_path: Path) -> None:
    """`--report` writes HTML beside what is printed, and not into the run that it is about."""
    page = tmp_path / "audit.html"

    code, out, _ = wardchain("verify", str(small), "--report", str(page))

    assert code == 0
    assert "everything agrees" in out
    assert "Everything agrees" in page.read_text(encoding="utf-8")
    code, _, err = wardchain("verify", str(small), "--report", str(small / "audit.html"))
    assert code == 2
    assert "--report: " in err
    assert not (small / "audit.html").exists()
    code, _, err = wardchain("verify", str(small), "--report", str(tmp_path / "no" / "audit.html"))
    assert code == 2
    assert "cannot write" in err


def test_a_drill_ends_in_a_finding(wardchain: Command, small: Path, tmp_path: Path) -> None:
    """`tamper` makes a damaged copy, `verify` names the place, the original stays sound."""
    copy = tmp_path / "copy"

    code, out, _ = wardchain(
        "tamper", str(small), "--kind", "object-altered", "--out", str(copy), "--json"
    )

    assert code == 0
    done = json.loads(out)
    code, out, _ = wardchain("verify", str(copy), "--json")
    assert code == 3
    assert json.loads(out)["findings"][0]["field"] in done["fields"]
    assert wardchain("verify", str(small))[0] == 0


def test_what_a_drill_cannot_do_is_one_message(
    wardchain: Command, small: Path, tmp_path: Path
) -> None:
    """Wrong input: exit code 2, what and what to do, and nothing written."""
    code, out, _ = wardchain("tamper", str(small), "--kind", "list")
    assert code == 0
    assert "ledger-bit" in out
    for arguments, told in (
        (["--kind", "moon", "--out", str(tmp_path / "x")], "is none of"),
        (["--kind", "ledger-bit"], "--out: is missing"),
        (["--kind", "ledger-bit", "--out", str(small)], "exists; choose a new folder"),
    ):
        code, _, err = wardchain("tamper", str(small), *arguments)
        assert code == 2
        assert told in err
    assert not (tmp_path / "x").exists()
