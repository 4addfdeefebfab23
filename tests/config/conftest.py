"""A small valid configuration, as text and as a file, and ways to load it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from simulation.config.errors import ConfigError
from simulation.config.experiment import Experiment
from simulation.config.load import load

MINIMAL = """\
name: small
hospitals: 7
data: breast_cancer
partition:
  kind: iid
model:
  kind: mlp
  hidden: [8]
privacy:
  kind: dp_sgd
  epsilon: 4
training:
  learning_rate: 1e-1
"""

Load = Callable[..., Experiment]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a configuration file and returns its path."""

    def writer(text: str = MINIMAL) -> Path:
        path = tmp_path / "small.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return writer


@pytest.fixture
def loaded(write: Callable[[str], Path]) -> Load:
    """Loads the small configuration, with ``--set`` texts as arguments and other text by name."""

    def loader(*overrides: str, text: str = MINIMAL) -> Experiment:
        return load(write(text), overrides)

    return loader


@pytest.fixture
def refusal(loaded: Load) -> Callable[..., str]:
    """The message with which the small configuration is refused."""

    def refused(*overrides: str, text: str = MINIMAL) -> str:
        with pytest.raises(ConfigError) as caught:
            loaded(*overrides, text=text)
        return str(caught.value)

    return refused
