"""``--set``: one value from the command line, typed as YAML, over whatever the file says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulation.config.experiment import Experiment
from simulation.consensus.sequencer.params import SequencerParams
from simulation.learning.params import LogisticParams
from simulation.network.latency import ConstantLatency


def test_a_value_is_yaml(loaded: Callable[..., Experiment]) -> None:
    """Lists, numbers, null, booleans and sections are written as in a file."""
    experiment = loaded(
        "model.hidden=[16, 4]",
        "training.learning_rate=5e-3",
        "consensus.replicas=null",
        "privacy.secure_rng=true",
        "federation.strategy_args={proximal_mu: 0.1}",
        "network.latency={kind: constant, delay_ms: 3}",
    )

    assert experiment.model.kind == "mlp"
    assert experiment.model.hidden == (16, 4)
    assert experiment.training.learning_rate == 0.005
    assert experiment.federation.strategy_args == {"proximal_mu": 0.1}
    assert experiment.network.latency == ConstantLatency(delay_ms=3.0)


def test_later_ones_win(loaded: Callable[..., Experiment]) -> None:
    """The last word counts."""
    assert loaded("hospitals=8", "hospitals=9").hospitals == 9


def test_a_section_is_replaced_as_a_whole(loaded: Callable[..., Experiment]) -> None:
    """``--set model=logistic`` leaves nothing of the file's section."""
    assert loaded("model=logistic").model == LogisticParams()


def test_a_section_that_the_file_leaves_out_can_be_set_into(
    loaded: Callable[..., Experiment],
) -> None:
    """Sections come into being as they are needed, also inside a short kind."""
    assert loaded("consensus.kind=sequencer", "consensus.replicas=1").consensus == (
        SequencerParams(replicas=1)
    )
    assert loaded("ledger=hash_only", "ledger.store=memory").ledger.kind == "hash_only"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hospitals", "malformed; write --set path.to.field=value"),
        ("=3", "malformed"),
        (".hospitals=3", "malformed"),
        ("a..b=3", "malformed"),
        ("a b=3", "malformed"),
        ("hospitals=", "has no value; write hospitals=null for none"),
        ("hospitals= ", "has no value"),
        ("model.hidden=[1", "not YAML"),
        ("hospitals.x=1", "hospitals is a value, not a section"),
        ("model.hidden.x=1", "model.hidden is a value, not a section"),
    ],
)
def test_a_malformed_one_is_refused(refusal: Callable[..., str], text: str, message: str) -> None:
    """Malformed ``--set``: one clear message that shows the right form."""
    found = refusal(text)

    assert found.startswith(f"--set {text}")
    assert message in found
    assert "\n" not in found
