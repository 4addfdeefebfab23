"""A shard is read by its hospital alone: every other module is looked at, and a thief is caught."""

from __future__ import annotations

import ast
import dataclasses
import json
from pathlib import Path

import pytest
from flwr.app import Message
from flwr.clientapp import ClientApp

import simulation
from simulation.base.encoding import encode
from simulation.base.rng import Streams
from simulation.federation.setting import IsolationError, acting_for
from simulation.nodes.hospital import HospitalError
from simulation.records.load import load
from simulation.records.params import BreastCancerParams, IidParams
from simulation.records.shard import Federation, Shard
from simulation.world import make_setting, simulate
from tests.world.conftest import small_experiment

ROOT = Path(simulation.__file__).parent
PRIVATE = {f.name for f in dataclasses.fields(Shard)} - {"hospital", "features", "name"}
PRIVATE |= {"shard", "shards"}
OWN = ("records", "learning")
"""Parts that work inside a hospital: its records, and the training on them."""
RESEARCHER = {"world/measuring.py", "cli/audit.py", "cli/privacy_attack.py", "runs/privacy.py"}
"""Modules outside the modelled world: metrics and audits, which the privacy claim does not cover
and no hospital or coordinator calls."""
COUNTED = {"world/setting.py": {"train_y"}}
"""What is read only to count rows, where the parts are wired before anything runs."""


def outside() -> list[str]:
    names = [path.relative_to(ROOT).as_posix() for path in sorted(ROOT.rglob("*.py"))]
    return [n for n in names if n.split("/", maxsplit=1)[0] not in OWN and n not in RESEARCHER]


def reads(source: str) -> set[str]:
    """Names of a shard's private columns that a module reads, also by ``getattr`` and patterns."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(attr=name) if name in PRIVATE:
                found.add(name)
            case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=name), *_]):
                found |= {name} & PRIVATE
            case ast.MatchClass(kwd_attrs=names):
                found |= set(names) & PRIVATE
    return found


@pytest.mark.parametrize("module", outside())
def test_no_other_module_reads_a_shard(module: str) -> None:
    """A shard can be read by its hospital's process alone."""
    names = reads((ROOT / module).read_text(encoding="utf-8")) - COUNTED.get(module, set())
    assert not names, f"{module} reads {', '.join(sorted(names))}"


@pytest.mark.parametrize(
    "theft",
    [
        "x = trainer.shard.train_x",
        "getattr(rows, 'train_patient')",
        "match s:\n case S(test_y=y): 1",
    ],
)
def test_the_search_finds_a_theft(theft: str) -> None:
    """The check of the check."""
    assert reads(theft)


def test_a_hospital_is_refused_the_trainer_of_another() -> None:
    """While code acts for hospital 1, it gets hospital 1's records and nobody else's."""
    setting = make_setting(small_experiment(), 1)
    with acting_for(1):
        assert setting.trainer_of(1).hospital == 1
        for other in (0, 2, 3):
            with pytest.raises(IsolationError, match=r"hospital-01 asks for the records of hosp"):
                setting.trainer_of(other)
    assert setting.trainer_of(2).hospital == 2, "the researcher who measures is no hospital"


thief = ClientApp()
"""A ClientApp that, at hospital 2, helps itself to hospital 0's records."""


@thief.train()
def _steal(message: Message, context) -> Message:
    from simulation.federation.setting import setting_for

    own = int(context.node_config["partition-id"])
    setting_for({}, lambda _: None).trainer_of(0 if own == 2 else own)
    return Message(message.content, reply_to=message)


def test_a_thief_among_the_apps_is_stopped() -> None:
    """Through Flower, in a whole run: the run fails with the reason."""
    experiment = small_experiment()
    federation = dataclasses.replace(
        experiment.federation, client_app="tests.records.test_isolation:thief"
    )
    with pytest.raises(
        HospitalError, match=r"IsolationError: hospital-02 asks for the records of hospital-00"
    ):
        simulate(dataclasses.replace(experiment, federation=federation), 1)


def test_a_shard_has_no_form_in_which_it_could_be_sent(federation: Federation) -> None:
    """Neither the encoding of ledger and wire nor JSON takes it, and printing shows counts only."""
    with pytest.raises((TypeError, ValueError)):
        encode(federation[0])
    with pytest.raises(TypeError):
        json.dumps(federation[0])
    assert "array" not in repr(federation) + str(federation[0])


@pytest.fixture
def federation() -> Federation:
    return load(BreastCancerParams(), IidParams(), 3, Streams(1))
