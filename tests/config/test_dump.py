"""A resolved configuration reads back to itself, and its hash says whether two mean the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.config.dump import config_hash, to_yaml
from simulation.config.experiment import Experiment
from simulation.config.load import load
from simulation.config.reader import read_text
from simulation.config.study import resolve

CONFIGS = Path(__file__).parents[2] / "configs"
BASE = "name: a\nhospitals: 4\ndata: breast_cancer\npartition: iid\nmodel: logistic\n"


def _resolved(text: str) -> Experiment:
    return resolve(read_text(text, "f.yaml")).experiment()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.stem)
def test_the_dump_reads_back_to_the_same(path: Path) -> None:
    """``config.yaml`` in a run directory runs the same experiment again."""
    experiment = load(path)

    assert _resolved(to_yaml(experiment)) == experiment


WORDS = ("yes", "1e-5", "null", "a: b", "", "~", " x", "010", "#", "true", "1_0", "line\nline")
NUMBERS = st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(st.text("abc_", min_size=1), NUMBERS | st.sampled_from(WORDS)))
def test_any_argument_survives_the_dump(arguments: dict[str, object]) -> None:
    """Words that look like numbers are quoted, numbers keep every digit."""
    base = _resolved(BASE)
    federation = replace(base.federation, strategy_args=arguments)
    experiment = replace(base, federation=federation)

    again = _resolved(to_yaml(experiment))

    assert again.federation.strategy_args == arguments
    assert {k: type(v) for k, v in again.federation.strategy_args.items()} == {
        k: type(v) for k, v in arguments.items()
    }


def test_the_hash_ignores_how_it_is_written_and_the_seeds(
    loaded: Callable[..., Experiment],
) -> None:
    """Equal exactly when two configurations mean the same; seeds are no part of it."""
    same = [
        _resolved(BASE),
        _resolved("model: {kind: logistic}\npartition: {kind: iid}\n" + BASE[: BASE.index("part")]),
        _resolved(BASE + "seeds: [1, 2, 3]\n"),
        _resolved(BASE + "training: {learning_rate: 0.1, batch_size: 32}\n"),
    ]

    assert len({config_hash(experiment) for experiment in same}) == 1
    assert config_hash(_resolved(BASE + "training: {batch_size: 31}\n")) != config_hash(same[0])
    assert config_hash(same[0]) == config_hash(_resolved(to_yaml(same[0])))
