"""The same apps under Flower's own runtime: loaded the way Flower does, from pyproject.toml."""

from __future__ import annotations

import random
import tomllib
from pathlib import Path

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.app.metadata import Metadata
from flwr.cli.config_utils import load_and_validate
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.supercore.object_ref import load_app, validate

from simulation import __version__
from simulation.learning.globals import seeded_globals

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def settings():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["flwr"]["app"]


@pytest.mark.parametrize(("name", "kind"), [("clientapp", ClientApp), ("serverapp", ServerApp)])
def test_flower_finds_the_apps(settings, name, kind):
    reference = settings["components"][name]
    assert validate(reference, project_dir=ROOT) == (True, None)
    assert isinstance(load_app(reference, ImportError, ROOT), kind)


def test_flower_accepts_the_project_file():
    """Flower refuses an app whose project file lacks what it wants, such as a plain version."""
    config, _ = load_and_validate(ROOT / "pyproject.toml")
    assert config["project"]["version"] == __version__


def test_a_client_builds_its_task_from_the_run_config(settings, monkeypatch):
    """Nobody binds a setting there: the run config names configuration and seed."""
    monkeypatch.chdir(ROOT)
    app = load_app(settings["components"]["clientapp"], ImportError, ROOT)
    from simulation.flower_app import _from_run_config

    setting = _from_run_config(settings["config"])
    initial = ArrayRecord(_arrays(setting.initial))
    message = Message(
        metadata=Metadata(1, "1", 1, 7, "", "1", 0.0, 1e9, "train"),
        content=RecordDict({"arrays": initial, "config": ConfigRecord({"server-round": 1})}),
    )
    config = {"partition-id": 3, "num-partitions": setting.hospitals}
    context = Context(1, 7, config, RecordDict(), dict(settings["config"]))
    reply = app(message, context)
    assert reply.content["metrics"]["num-examples"] > 0
    assert reply.content["privacy"]["steps"] > 0
    assert list(context.state["privacy-history"]["steps"]) == [reply.content["privacy"]["steps"]]


def _arrays(arrays):
    from flwr.app import Array

    return {name: Array(array) for name, array in arrays.items()}


def test_global_generators_are_put_back():
    """Whoever draws next is not disturbed by the app that ran in between."""
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    expected = (random.random(), np.random.random())  # noqa: NPY002
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    with seeded_globals(99):
        inside = (random.random(), np.random.random())  # noqa: NPY002
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002
    with seeded_globals(99):
        assert (random.random(), np.random.random()) == inside  # noqa: NPY002
