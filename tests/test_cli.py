"""The command: fast help, four exit codes, one message for wrong input, nothing half-written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from simulation.cli import app
from simulation.cli.exits import guarded

ROOT = Path(__file__).parents[1]
QUICKSTART = str(ROOT / "configs" / "quickstart.yaml")
HEART = str(ROOT / "configs" / "heart_disease.yaml")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture
def wardchain(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in this process."""

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["wardchain", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            guarded(app)
        captured = capsys.readouterr()
        return Ended(int(str(ended.value.code)), captured.out, captured.err)

    return run


HEAVY = ("torch", "opacus", "flwr", "sklearn", "scipy", "pandas", "pyarrow", "simpy", "matplotlib")


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["explain", "privacy"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    """``wardchain --help`` answers in well under a second: no heavy library is imported for it."""
    program = (
        "import sys; from simulation.cli import main\n"
        f"sys.argv = ['wardchain', *{arguments!r}]\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code, ended.code\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("LOADED []\n")


def test_the_command_is_installed_under_its_name() -> None:
    """Distribution and command are called ``wardchain``."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["name"] == "wardchain"
    assert project["scripts"] == {"wardchain": "simulation.cli:main"}


# ---- wrong input: exit code 2 -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["privacy.epsilom=1"], "privacy.epsilom: unknown; did you mean epsilon?"),
        (["hospitals=3"], "hospitals: 3 are too few: pbft needs at least 4 replicas (n = 3f + 1"),
        (["privacy.epsilon=-1"], "privacy.epsilon: must be > 0, got -1.0; use kind: none"),
        (["federation.strategy=FedAvrg"], "federation.strategy: unknown strategy 'FedAvrg'"),
        (["hospitals"], "--set hospitals: malformed; write --set path.to.field=value"),
        (["hospitals=[1"], "--set hospitals=[1"),
        (["hospitals=40"], "cannot give 40 hospitals"),
        (["privacy.delta=0.01"], "privacy.delta: 0.01 is too large for hospital-"),
        (["federation.strategy_args={mu: 1}"], "federation.strategy_args.mu: FedAvg has no such"),
        (["federation.server_app=nowhere:app"], "federation.server_app: cannot import 'nowhere'"),
    ],
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_wrong_configuration_is_one_message(
    wardchain: Command, tmp_path: Path, command: str, overrides: list[str], message: str
) -> None:
    """The path to the field and the remedy, exit code 2, no traceback, nothing written."""
    sets = [part for override in overrides for part in ("--set", override)]
    out = ["--out", str(tmp_path / "runs")] if command == "run" else []

    ended = wardchain(command, QUICKSTART, *sets, *out)

    assert ended.code == 2
    assert message in ended.err
    assert len(ended.err.splitlines()) == 1
    assert "Traceback" not in ended.err
    assert ended.out == ""
    assert list(tmp_path.iterdir()) == []


def _data_folder(tmp_path: Path) -> Path:
    """A data folder in which one heart file has had its missing values filled in."""
    from simulation.records.registry import source_of

    folder = tmp_path / "data"
    for file in source_of("heart_disease").files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("63.0,1.0,1.0,145.0,233.0,1.0,2.0,150.0,0.0,2.3,3.0,0.0,6.0,0\n")
    return folder


@pytest.mark.parametrize(
    ("altered", "message"),
    [(False, "which cannot be read (No such file"), (True, "is not the original file")],
)
def test_missing_and_altered_data_are_refused(
    wardchain: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    altered: bool,
    message: str,
) -> None:
    """The message names the file and how to get the original; exit code 2, nothing written."""
    folder = _data_folder(tmp_path) if altered else tmp_path / "data"
    monkeypatch.setenv("WARDCHAIN_DATA", str(folder))

    ended = wardchain("run", HEART, "--out", str(tmp_path / "runs"))

    assert ended.code == 2
    assert ended.err.startswith("error: data: ")
    assert message in ended.err
    assert "wardchain data fetch heart_disease" in ended.err
    assert not (tmp_path / "runs").exists()


def test_unwritable_output_is_refused_before_anything_runs(
    wardchain: Command, tmp_path: Path
) -> None:
    """Exit code 2, the folder that stands in the way, and not a byte written."""
    (tmp_path / "file").write_text("x")

    ended = wardchain("run", QUICKSTART, "--out", str(tmp_path / "file" / "runs"))

    assert ended.code == 2
    assert ended.err == (
        f"error: --out: {tmp_path / 'file'} is a file, not a folder; choose another with --out\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "absent.yaml"], "absent.yaml: cannot be read (No such file or directory)"),
        (["run"], "Missing argument 'CONFIG'"),
        (["fly"], "No such command 'fly'"),
        (["run", QUICKSTART, "--sed", "1"], "No such option '--sed'"),
        (["run", QUICKSTART, "--seed", "x"], "Invalid value for '--seed'"),
        (["run", QUICKSTART, "--seed", "-1"], "--seed: must be between 0"),
        (["verify", "absent"], "absent: no such directory"),
        (["verify", "."], "holds no finished run"),
        (["trace", "absent"], "absent: does not exist"),
        (["figures", "absent"], "absent: does not exist"),
        (["explain", "privacy.epsilom"], "did you mean privacy.epsilon?"),
        (["data", "fetch", "hart"], "data: unknown source 'hart'; choose one of synthetic"),
        (["data", "path", "hart"], "data: unknown source 'hart'"),
    ],
)
def test_wrong_arguments_are_one_message(
    wardchain: Command, arguments: list[str], message: str
) -> None:
    """Exit code 2 wherever the command line itself is wrong."""
    ended = wardchain(*arguments)

    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""


def test_a_fault_of_the_program_is_not_called_wrong_input(
    wardchain: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what is meant as wrong input is shown without its traceback."""

    def broken(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("simulation.config.load.load", broken)
    monkeypatch.setattr(sys, "argv", ["wardchain", "check", QUICKSTART])

    with pytest.raises(ValueError, match="a bug"):
        guarded(app)


# ---- reports ------------------------------------------------------------------------------------


def test_wrong_input_is_json_too(wardchain: Command) -> None:
    """With ``--json`` there is exactly one JSON object, also when there is nothing to report."""
    ended = wardchain("check", QUICKSTART, "--set", "hospitals=3", "--json")

    report = json.loads(ended.out)
    assert ended.code == report["exit_code"] == 2
    assert "hospitals: 3 are too few" in report["error"]
    assert "hospitals: 3 are too few" in ended.err


def test_check_resolves_and_estimates(wardchain: Command) -> None:
    """The resolved configuration, its hash, and what a run will take, from closed forms."""
    ended = wardchain("check", QUICKSTART, "--json", "--set", "privacy=none")

    report = json.loads(ended.out)
    estimate = report["estimate"]
    assert ended.code == 0
    assert report["config"]["consensus"]["window"] > 0
    assert len(report["config_hash"]) == 64
    assert (estimate["hospitals"], estimate["replicas"], estimate["rounds"]) == (7, 7, 10)
    assert estimate["messages_per_decision"] == 6 + 36 + 42
    assert estimate["model_bytes"] == 4 * estimate["parameters"]
    assert estimate["transactions"] == 10 * (1 + 7 + 7 + 1)
    assert estimate["steps"] == 10 * sum(plan["steps"] for plan in estimate["plans"])


def test_check_prints_yaml_that_runs(wardchain: Command, tmp_path: Path) -> None:
    """What ``check`` prints is a configuration: the estimate is in comments."""
    ended = wardchain("check", QUICKSTART, "--set", "privacy=none", "--set", "name=again")
    (tmp_path / "again.yaml").write_text(ended.out)

    again = wardchain("check", str(tmp_path / "again.yaml"))

    assert again.code == 0
    assert again.out == ended.out


def test_explain_tells_what_a_parameter_means(wardchain: Command) -> None:
    """The docstring, the type and the default."""
    ended = wardchain("explain", "privacy.delta")

    assert ended.code == 0
    assert "privacy.delta  (a number; default 1e-05)" in ended.out
    report = json.loads(wardchain("explain", "privacy.delta", "--json").out)
    assert report["sections"][0]["entries"][0]["default"] == "1e-05"


def test_explain_writes_the_documents(
    wardchain: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make docs` writes both files below ``configs/`` of the folder that it runs in."""
    monkeypatch.chdir(tmp_path)
    assert wardchain("explain", "--write").code == 2

    (tmp_path / "configs").mkdir()

    assert wardchain("explain", "--write").code == 0
    for name in ("README.md", "schema.json"):
        written = (tmp_path / "configs" / name).read_text()
        assert written == (ROOT / "configs" / name).read_text()


def test_data_lists_sources_and_says_where_they_are(
    wardchain: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``WARDCHAIN_DATA`` moves the folder; what is not there says how to fetch it."""
    monkeypatch.setenv("WARDCHAIN_DATA", str(tmp_path))

    listed = wardchain("data", "list")
    report = json.loads(wardchain("data", "list", "--json").out)

    assert "wardchain data fetch heart_disease" in listed.out
    assert report["folder"] == str(tmp_path)
    present = {row["kind"]: row["present"] for row in report["sources"]}
    assert present["breast_cancer"] is True
    assert present["heart_disease"] is False
    assert wardchain("data", "path").out.strip() == str(tmp_path)
    assert str(tmp_path) in wardchain("data", "path", "heart_disease").out


def test_a_reader_that_goes_away_is_no_error() -> None:
    """``wardchain explain | head`` ends quietly."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")

    done = subprocess.run(
        [bash, "-c", f"'{sys.executable}' -m simulation explain consensus | head -1"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )

    assert done.stdout == "consensus: pbft\n"
    assert done.stderr == ""
