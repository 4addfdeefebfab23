"""From a file to an `Experiment`: every problem is named with its place, its field and a remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from simulation.config.errors import ConfigError
from simulation.config.experiment import Experiment
from simulation.config.load import load, with_seeds
from simulation.config.locate import located
from simulation.learning.params import MlpParams
from simulation.nodes.params import CommitRevealLedger, NoLedger

CONFIG_FOLDER = Path(__file__).parents[2] / "configs"
CONFIGS = sorted(CONFIG_FOLDER.glob("*.yaml"))

MINIMAL = "name: small\nhospitals: 7\ndata: breast_cancer\npartition: iid\nmodel: logistic\n"


def test_what_is_left_out_has_its_default(loaded: Callable[..., Experiment]) -> None:
    """A configuration names what it changes; the rest are the parts' own defaults."""
    experiment = loaded()

    assert experiment.model == MlpParams(hidden=(8,))
    assert experiment.seeds == (42,)
    assert experiment.ledger == CommitRevealLedger()
    assert experiment.training.learning_rate == 0.1
    assert experiment.replicas == 7


def test_a_kind_may_stand_for_its_section(loaded: Callable[..., Experiment]) -> None:
    """``ledger: none`` is short for ``ledger: {kind: none}``."""
    assert loaded("ledger=none").ledger == NoLedger()
    assert loaded("ledger={kind: none}") == loaded("ledger=none")
    assert loaded("ledger=none").replicas == 0


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.learnig_rate=1", "training.learnig_rate: unknown; did you mean learning_rate?"),
        ("trainin.x=1", "trainin: unknown; did you mean training?"),
        ("privacy.epsilon=-1", "privacy.epsilon: must be > 0, got -1.0; use kind: none"),
        ("privacy.epsilon=0", "privacy.epsilon: must be > 0"),
        ("privacy.epsilon=.nan", "privacy.epsilon: must be a number or null, got NaN"),
        ("privacy.epsilon=.inf", "privacy.epsilon: must be a number or null, got Infinity"),
        ("privacy.delta='1e-5'", 'privacy.delta: must be a number, got "1e-5"'),
        ("privacy.secure_rng=yes", 'privacy.secure_rng: must be true or false, got "yes"'),
        ("hospitals=3", "hospitals: 3 are too few: pbft needs at least 4 replicas (n = 3f + 1"),
        ("hospitals=7.0", "hospitals: must be a whole number, got 7.0"),
        ("hospitals=true", "hospitals: must be a whole number, got true"),
        ("hospitals=0", "hospitals: must be between 1 and"),
        ("consensus.replicas=3", "consensus.replicas: PBFT needs n = 3f + 1 replicas"),
        ("consensus.replicas=9", "consensus.replicas: must be at most the number of hospitals (7)"),
        ("consensus.kind=pfbt", 'consensus.kind: unknown kind "pfbt"; did you mean pbft?'),
        ("federation.strategy=FedAvgg", "federation.strategy: unknown strategy 'FedAvgg'; choose"),
        ("federation.min_updates=8", "federation.min_updates: must be at most the number of"),
        ("federation.client_app=nowhere", "federation.client_app: write it as module:object"),
        ("model.hidden=[8, x]", 'model.hidden[1]: must be a whole number, got "x"'),
        ("model.hidden=8", "model.hidden: must be a list of whole numbers, got 8"),
        ("model.hidden=[]", "model.hidden: needs at least one layer"),
        ("model.activation=rleu", 'one of relu, tanh, gelu, got "rleu"; did you mean relu?'),
        ("model={hidden: [8]}", "model.kind: is missing; choose one of logistic, mlp"),
        (
            "model=[8]",
            "model: must be a section with kind: logistic | mlp | attention | module, got [8]",
        ),
        ("model=null", "model: is missing; add it: What the hospitals train together"),
        ("training=3", "training: must be a section of 'key: value' lines, got 3"),
        ("network.latency.low_ms=1", "network.latency.kind: is missing; choose one of constant"),
        ("seeds=[1, 1]", "seeds: one is listed twice"),
        ("seeds=[]", "seeds: is empty"),
        ("name=a b", "name: must be 1 to 64 letters, digits"),
        ("name=../../etc", "name: must be 1 to 64 letters, digits"),
    ],
)
def test_wrong_values_are_refused_with_field_and_remedy(
    refusal: Callable[..., str], override: str, message: str
) -> None:
    """One clear message with the path to the field and the remedy."""
    found = refusal(override)

    assert message in found
    assert found.startswith(f"--set {override}: ")


def test_a_problem_in_the_file_names_its_line(refusal: Callable[..., str]) -> None:
    """The place of a problem is the line where the field was written."""
    found = refusal(text=MINIMAL + "training:\n  batch_size: 0\n")

    assert found.endswith("small.yaml:7: training.batch_size: must be at least 1, got 0")


def test_all_problems_are_told_at_once(refusal: Callable[..., str]) -> None:
    """Nobody should have to start a program five times to find five mistakes."""
    found = refusal("training.batch_size=0", "training.foo=1", "hospitals=x", "model.hidden=[0]")

    assert [line.partition(": ")[2].partition(":")[0] for line in found.splitlines()] == [
        "hospitals",
        "model.hidden",
        "training.foo",
    ]


def test_a_missing_parameter_is_explained(refusal: Callable[..., str]) -> None:
    """What must be given says what it is."""
    found = refusal(text="name: small\nhospitals: 4\nmodel: logistic\n")

    assert "data: is missing; add it: Where the records come from" in found


def test_a_parameter_of_another_kind_says_so(refusal: Callable[..., str]) -> None:
    """Changing a kind leaves the old kind's parameters behind; the message says how to mend it."""
    found = refusal("privacy.kind=none")

    assert "privacy.epsilon: belongs to kind: dp_sgd, but kind is none" in found
    assert "--set privacy=none" in found


def test_privacy_is_promised_only_by_the_app_that_keeps_it(refusal: Callable[..., str]) -> None:
    """A user's own ClientApp does not carry out DP-SGD, so the configuration must not claim it."""
    found = refusal("federation.client_app=my:app")

    assert "privacy.kind: dp_sgd is carried out by the program's own ClientApp" in found


def test_seeds_can_be_replaced(loaded: Callable[..., Experiment]) -> None:
    """``--seed`` replaces the file's seeds and is judged like them."""
    assert with_seeds(loaded(), [1, 2]).seeds == (1, 2)
    with pytest.raises(ConfigError, match="--seed: must be between 0"):
        with_seeds(loaded(), [-1])


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_of_the_project_is_right(path: Path) -> None:
    """One claim, one stem: a configuration carries its file's name."""
    assert load(path).name == path.stem


def test_the_benchmark_follows_the_published_protocol() -> None:
    """Batch 4, 100 updates a round, 15 rounds, lr 0.001, seeds 42 to 46 (FLamby)."""
    experiment = load(CONFIG_FOLDER / "heart_disease.yaml")

    assert experiment.seeds == (42, 43, 44, 45, 46)
    assert (experiment.hospitals, experiment.federation.rounds) == (4, 15)
    training = experiment.training
    assert (training.batch_size, training.local_steps, training.learning_rate) == (4, 100, 0.001)
    assert (experiment.model.kind, experiment.privacy.kind) == ("logistic", "none")


def test_a_message_from_inside_gets_its_full_path(loaded: Callable[..., Experiment]) -> None:
    """Parts name their own field; where it sits is known to the configuration only."""
    experiment = loaded()

    assert located("delta: too large", experiment) == "privacy.delta: too large"
    assert located("strategy_args.x: no", experiment) == "federation.strategy_args.x: no"
    assert located("hospitals: too many", experiment) == "hospitals: too many"
    assert located("data: missing file: a", experiment) == "data: missing file: a"
    assert located("kind: ambiguous", experiment) == "kind: ambiguous"
    assert located("no field here", experiment) == "no field here"
