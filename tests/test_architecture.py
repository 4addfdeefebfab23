"""The map of the code, held by tests: who imports whom, and what is written down in two places."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

import simulation

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_imports_keep_to_the_contracts() -> None:
    """Imports point down only, and every third-party engine stays in its module."""
    # In a process of its own: the linter keeps a console on the standard error of whichever test
    # imported it first, and takes the interpreter down when that is closed.
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_consensus_needs_the_standard_library_only() -> None:
    """A protocol is a state machine: standard library, and some small parts of the base."""
    graph = grimp.build_graph("simulation", include_external_packages=True, cache_dir=None)
    allowed = {f"simulation.base.{part}" for part in ("compiled", "digest", "ids", "units")}
    inside = {"simulation.consensus", *graph.find_descendants("simulation.consensus")}

    strangers = {
        (module, imported)
        for module in inside
        for imported in graph.find_modules_directly_imported_by(module) - inside - allowed
        if imported.split(".")[0] not in sys.stdlib_module_names
    }

    assert strangers == set()


@pytest.mark.parametrize("part", ["base", "consensus", "ledger", "contracts", "trace", "vault"])
def test_no_engine_is_behind_a_pure_part(part: str) -> None:
    """Not through other modules either: these parts work where no engine is installed."""
    graph = grimp.build_graph("simulation", include_external_packages=True, cache_dir=None)
    engines = {"torch", "opacus", "flwr", "sklearn", "pyarrow", "pydantic", "simpy"} & graph.modules

    chains = [
        graph.find_shortest_chain(f"simulation.{part}", engine, as_packages=True)
        for engine in sorted(engines)
    ]

    assert len(chains) >= 5
    assert set(chains) == {None}


def _requirements() -> Iterator[tuple[str, str]]:
    project = PROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for requirement in (line for group in groups for line in group):
        match = re.fullmatch(r"([A-Za-z0-9_-]+)(.*)", requirement)
        assert match is not None, requirement
        yield match[1].lower(), match[2]


def test_every_requirement_has_an_exact_version() -> None:
    """``constraints.txt`` pins every requirement to one version, without host or path."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]

    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", pin) for pin in pins)
    assert pins == sorted(pins)
    pinned = {pin.partition("==")[0].lower() for pin in pins}
    assert {name for name, _ in _requirements()} <= pinned


def test_flower_is_pinned_exactly() -> None:
    """Its private interfaces are used, so no other version will do."""
    assert dict(_requirements())["flwr"].startswith("==")


def test_the_version_is_the_same_everywhere() -> None:
    """Package, distribution and citation name one version."""
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")

    assert PROJECT["project"]["version"] == simulation.__version__
    assert f"\nversion: {simulation.__version__}\n" in citation


@pytest.mark.parametrize("folder", ["simulation", "experiments"])
def test_every_module_says_what_it_is(folder: str) -> None:
    """Module docstring: what, why, which source."""
    silent = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / folder).rglob("*.py"))
        if len(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "") < 20
    ]

    assert silent == []
