"""``wardchain verify-receipt``: a hospital's proof, checked with the membership root alone."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest
from typer.testing import CliRunner

from simulation.cli import app
from simulation.config.errors import ConfigError
from simulation.config.experiment import Experiment
from simulation.federation.params import FederationParams
from simulation.learning.params import LogisticParams
from simulation.ledger.genesis import Genesis
from simulation.records.params import BreastCancerParams, IidParams
from simulation.world import simulate


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("receipts")
    experiment = Experiment(
        name="small",
        hospitals=4,
        data=BreastCancerParams(),
        partition=IidParams(),
        model=LogisticParams(),
        federation=FederationParams(rounds=2),
    )
    simulate(dataclasses.replace(experiment), 1, folder)
    return folder


def check(*arguments: str) -> tuple[int, dict]:
    result = CliRunner().invoke(
        app, ["verify-receipt", "--json", *arguments], standalone_mode=False
    )
    return result.return_value, json.loads(result.output)


def test_every_member_finds_its_receipts(run_dir):
    """Hospitals get receipts for their commit, their reveal and the aggregate."""
    names = sorted(
        p.relative_to(run_dir / "receipts").as_posix() for p in run_dir.rglob("*.receipt")
    )

    mine = [f"round-00{r}-{what}.receipt" for r in (1, 2) for what in ("commit", "reveal")]
    ends = [f"coordinator/round-00{r}-aggregate.receipt" for r in (1, 2)]
    assert names == sorted([*ends, *(f"hospital-0{h}/{name}" for h in range(4) for name in mine)])


def test_a_receipt_verifies_far_from_its_run(run_dir, tmp_path):
    """With nothing but the membership root."""
    root = Genesis.decode((run_dir / "genesis.cbor").read_bytes()).voters.root.hex()
    file = shutil.copy(run_dir / "receipts/hospital-02/round-002-reveal.receipt", tmp_path)

    code, report = check(str(file), "--root", root)

    assert (code, report["kind"], report["sender"], report["code"]) == (0, "task.reveal", 2, "ok")
    code, report = check(str(file), "--root", "00" * 32)
    assert code == 3
    assert "membership root" in report["problem"]


def test_a_changed_receipt_proves_nothing(run_dir, tmp_path):
    """Exit code 3, whatever bit was changed."""
    root = Genesis.decode((run_dir / "genesis.cbor").read_bytes()).voters.root.hex()
    data = (run_dir / "receipts/hospital-00/round-001-commit.receipt").read_bytes()
    file = tmp_path / "changed.receipt"

    for position in range(3, len(data), 97):
        file.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        assert check(str(file), "--root", root)[0] == 3


def test_inside_its_run_a_receipt_finds_the_root_itself(run_dir):
    """The run's genesis names the voters; the report says where the root came from."""
    code, report = check(str(run_dir / "receipts/coordinator/round-001-aggregate.receipt"))

    assert code == 0
    assert report["root_from"].endswith("genesis.cbor")


def prove(*arguments: str) -> tuple[int, dict]:
    result = CliRunner().invoke(app, ["prove", "--json", *arguments], standalone_mode=False)
    return result.return_value, json.loads(result.output)


def test_a_state_proof_verifies_far_from_its_run(run_dir, tmp_path):
    """What a key held, or that it held nothing, with nothing but the membership root."""
    root = Genesis.decode((run_dir / "genesis.cbor").read_bytes()).voters.root.hex()
    file = tmp_path / "a.proof"
    cases = {"task/round/1/commit/002": True, "task/round/3/commit/002": False}

    for key, present in cases.items():
        code, made = prove(str(run_dir), key, "--out", str(file))
        assert (code, made["present"]) == (0, present)
        code, report = check(str(file), "--root", root)
        assert (code, report["key"], report["present"]) == (0, key, present)
        assert report["value"] == made["value"]
    assert check(str(file), "--root", "00" * 32)[0] == 3


def test_an_older_state_can_be_proved(run_dir, tmp_path):
    """The state after any block, not only the last."""
    file = tmp_path / "a.proof"

    _, early = prove(str(run_dir), "task/round/1", "--height", "1", "--out", str(file))
    _, late = prove(str(run_dir), "task/round/1", "--out", str(file))

    assert (early["height"], early["value"]["status"]) == (1, "open")
    assert late["value"]["status"] == "closed"


def test_the_keys_can_be_listed(run_dir):
    """Whoever does not know the keys asks for them."""
    _, report = prove(str(run_dir), "--below", "task/round/1/reveal/")

    assert sorted(report["keys"]) == [f"task/round/1/reveal/00{h}" for h in range(4)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "task/status"], "no such directory"),
        (["RUN", "status"], "expected a path"),
        (["RUN", "task/status", "--height", "999"], "has heights 1 to"),
        (["RUN", "task/status", "--out", "/nowhere/x"], "--out /nowhere/x"),
        (["RUN/receipts", "task/status"], "holds no ledger files"),
    ],
)
def test_what_cannot_be_proved_is_said(run_dir, tmp_path, arguments, words: str):
    """A clear error for wrong input."""
    named = [argument.replace("RUN", str(run_dir)) for argument in arguments]

    result = CliRunner().invoke(app, ["prove", *named], standalone_mode=False)

    assert isinstance(result.exception, ConfigError)
    assert words in str(result.exception)
