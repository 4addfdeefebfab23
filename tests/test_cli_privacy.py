"""``wardchain privacy plan``: the table, the warnings, one JSON object, and wrong input."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from simulation.cli import app
from simulation.cli.exits import guarded

QUICKSTART = str(Path(__file__).parents[1] / "configs" / "quickstart.yaml")
SIGMA = "privacy={kind: dp_sgd, noise_multiplier: 2.0, delta: 1e-4}"


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs the command in this process; its exit code, output and messages."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["wardchain", "privacy", "plan", QUICKSTART, *arguments])
        with pytest.raises(SystemExit) as ended:
            guarded(app)
        captured = capsys.readouterr()
        return int(str(ended.value.code)), captured.out, captured.err

    return run


def test_the_table_and_the_object_say_the_same(plan) -> None:
    """A line for each hospital, with the same ε as in the JSON object."""
    code, out, _ = plan("--set", SIGMA)
    _, text, _ = plan("--set", SIGMA, "--json")

    report = json.loads(text)
    assert code == 0
    assert len(report["hospitals"]) == 7
    lines = {
        line.split()[0]: line.split() for line in out.splitlines() if "hospital-0" in line[:12]
    }
    for row in report["hospitals"]:
        cells = lines[f"hospital-0{row['hospital']}"]
        assert cells[1] == str(row["records"])
        assert cells[2] == str(row["patients"])
        assert cells[7] == f"{row['epsilon']:.3f}"
        assert cells[11] == f"{row['epsilon_one_more']:.3f}"
    assert "not refused: no epsilon target" in out
    assert sum(line.startswith("warning: ") for line in out.splitlines()) == len(report["warnings"])


def test_no_privacy_prints_no_table(plan) -> None:
    """Only the sentence that there is no guarantee."""
    code, out, _ = plan("--set", "privacy=none")

    assert code == 0
    assert out == "warning: no privacy guarantee: privacy: none\n"


def test_a_budget_that_no_noise_meets_is_one_message(plan) -> None:
    """Exit code 2, the field and the remedy, before anything runs."""
    code, out, err = plan("--set", "privacy.epsilon=0.000001", "--set", "privacy.delta=1e-12")

    assert (code, out) == (2, "")
    assert "privacy.epsilon: 1e-06 cannot be reached" in err


def test_an_audit_draws_the_claim_beside_the_bounds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Claim, bound, ceiling and estimate, each with a bar; exit code 0 when nothing contradicts."""
    small = ["--set", SIGMA, "--set", "model=logistic", "--set", "engine=batched"]
    arguments = ["audit", QUICKSTART, *small, "--canaries", "200", "--hospital", "2"]
    seen: list[str] = []
    for extra in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", ["wardchain", *arguments, *extra])
        with pytest.raises(SystemExit) as ended:
            guarded(app)
        assert ended.value.code == 0
        seen.append(capsys.readouterr().out)

    report = json.loads(seen[1])
    assert report["hospital"] == 2
    assert report["findings"] == []
    for name, value in (
        ("claimed", report["claimed"]),
        ("one-run bound", report["one_run"]),
        ("one-run ceiling", report["one_run_ceiling"]),
        ("f-DP bound", report["f_dp"]),
        ("f-DP ceiling", report["f_dp_ceiling"]),
        ("estimate", report["conformance"]),
    ):
        (line,) = [line for line in seen[0].splitlines() if line.strip().startswith(name + " ")]
        assert f"{value:.3f}" in line
    assert "does not prove it" in seen[0]


def test_an_attack_says_what_was_seen_beside_the_claim(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both attackers' advantage, and records read back with and without the noise; without privacy
    the line says so, and never a number."""
    small = ["--set", "model=logistic", "--set", "federation.rounds=1", "--shadows", "4"]
    seen: list[str] = []
    for extra in (["--set", SIGMA], ["--set", SIGMA, "--json"], ["--set", "privacy=none"]):
        arguments = ["privacy", "attack", QUICKSTART, *small, *extra]
        monkeypatch.setattr(sys, "argv", ["wardchain", *arguments])
        with pytest.raises(SystemExit) as ended:
            guarded(app)
        assert ended.value.code == 0
        seen.append(capsys.readouterr().out)

    report = json.loads(seen[1])
    assert f"{report['membership']['lira_advantage']:.3f}" in seen[0]
    assert f"epsilon {report['membership']['epsilon']:.3f}" in seen[0]
    alone, noisy = report["inversion"][:2]
    assert (alone["batch"], alone["sigma"], alone["read"]) == (1, 0.0, 1.0)
    assert (noisy["batch"], noisy["read"]) == (1, 0.0)
    assert "no privacy guarantee" in seen[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hospital", "7"], "--hospital: 7 is none of the 7 hospitals"),
        (
            ["--set", "privacy={kind: central, epsilon: 1}", "--set", "ledger=none", "--set",
             "federation.min_updates=7"],
            "privacy.kind: central does not let a hospital's own models out",
        ),
    ],
)  # fmt: skip
def test_an_attack_on_nothing_is_one_message(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    """Exit code 2 and one message."""
    monkeypatch.setattr(sys, "argv", ["wardchain", "privacy", "attack", QUICKSTART, *arguments])

    with pytest.raises(SystemExit) as ended:
        guarded(app)

    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "privacy=none"], "privacy.kind: nothing is claimed"),
        (["--set", SIGMA, "--hospital", "7"], "--hospital: 7 is none of the 7 hospitals"),
    ],
)
def test_an_audit_of_nothing_is_one_message(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    """Exit code 2 and one message."""
    monkeypatch.setattr(sys, "argv", ["wardchain", "audit", QUICKSTART, *arguments])

    with pytest.raises(SystemExit) as ended:
        guarded(app)

    assert ended.value.code == 2
    assert message in capsys.readouterr().err
