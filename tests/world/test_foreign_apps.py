"""Any user's own ClientApp and ServerApp run unchanged on the virtual clock, ledger included."""

from __future__ import annotations

import dataclasses

import pytest
from flwr.app import RecordDict

from simulation.nodes.params import NoLedger
from simulation.trace.events import Measured, RoundClosed, RoundOpened, UpdateChecked
from simulation.world import simulate

APPS = "tests.world.foreign_apps"


@pytest.fixture
def foreign(vary):
    def build(server: str = "server_app", client: str = "client_app"):
        return vary(server_app=f"{APPS}:{server}", client_app=f"{APPS}:{client}")

    return build


def only(outcome, kind):
    return [event for event in outcome.events if isinstance(event, kind)]


def test_a_users_own_apps_run_unchanged(foreign):
    """Their updates are committed, checked and aggregated like anybody's."""
    outcome = simulate(foreign(), 1)
    assert [e.outcome for e in only(outcome, RoundClosed)] == ["aggregated", "aggregated"]
    assert all(e.accepted for e in only(outcome, UpdateChecked))
    assert len(only(outcome, UpdateChecked)) == 2 * 4 * 4
    assert outcome.arrays["w"].shape == (2, 3)
    assert outcome.arrays["w"][0, 0] > 3, "two rounds of about 1.6 plus noise"


def test_global_generators_are_part_of_the_seed(foreign):
    """An app that uses numpy.random and random gives the same model for the same seed."""
    one, same, other = (simulate(foreign(), seed) for seed in (1, 1, 2))
    assert one.trace_digest == same.trace_digest
    assert one.arrays["w"][0, 0] != other.arrays["w"][0, 0]


def test_a_foreign_model_is_not_measured_with_the_configured_one(foreign):
    assert only(simulate(foreign(), 1), Measured) == []


def test_rounds_chain_although_nobody_knew_the_first_model(foreign):
    outcome = simulate(foreign(), 1)
    opened, closed = only(outcome, RoundOpened), only(outcome, RoundClosed)
    assert opened[1].base_root == closed[0].out_root


def test_an_app_that_keeps_its_result_leaves_its_last_round_open(foreign):
    outcome = simulate(foreign("secretive_server_app"), 1)
    assert len(only(outcome, RoundOpened)) == 1
    assert only(outcome, RoundClosed) == []


def test_push_and_pull_let_virtual_time_pass(foreign):
    """An app may push messages and poll; each empty poll moves the clock."""
    outcome = simulate(foreign("polling_server_app"), 1)
    assert outcome.virtual_us > 0
    without = simulate(dataclasses.replace(foreign("polling_server_app"), ledger=NoLedger()), 1)
    assert without.virtual_us > 0


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("no.such.module:app", "cannot import"),
        (f"{APPS}:missing", "no object 'missing'"),
        (f"{APPS}:server_app", "not a ClientApp"),
    ],
)
def test_a_wrong_reference_is_named(vary, reference, message):
    with pytest.raises(ValueError, match=message):
        simulate(vary(client_app=reference), 1)


def test_no_messages_give_no_replies_and_no_time(experiment):
    """``send_and_receive`` is also called with no messages: it returns at once."""
    from simulation.world import World, make_setting

    world = World(experiment, 1, make_setting(experiment, 1), None, (), {})
    assert list(world.grid.send_and_receive([])) == []
    assert list(world.grid.push_messages([])) == []
    assert list(world.grid.pull_messages(["unknown"])) == []
    assert world.env.now == 0
    world.grid.finish(RecordDict())
