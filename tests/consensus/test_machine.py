"""What `Machine` does for every protocol, seen on one that does nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from simulation.base.units import us_from_ms
from simulation.consensus.machine import BATCH_TIMER, CLIENT_TIMER, MAX_DOUBLINGS, Machine
from simulation.consensus.messages import RequestMessage
from simulation.consensus.protocol import (
    Broadcast,
    CancelTimer,
    Decide,
    Effect,
    Executed,
    Loaded,
    Propose,
    Receive,
    Request,
    Restarted,
    SetTimer,
    TimerFired,
    TimerKey,
)
from simulation.consensus.registry import build
from simulation.consensus.sequencer.params import SequencerParams

PATIENCE_MS = 50.0
OWN = Request(2, 1, b"payload")


class Probe(Machine[SequencerParams, RequestMessage]):
    """Waits for results and notes what it is told."""

    def __init__(self, **params: Any) -> None:
        super().__init__(2, 4, SequencerParams(**params))
        self.told: list[object] = []

    def receive(self, sender: int, message: RequestMessage, now_us: int) -> Sequence[Effect[Any]]:
        self.told.append((sender, message, now_us))
        return ()

    def on_propose(self, request: Request) -> None:
        if self.take_own(request):
            self.await_result(PATIENCE_MS)

    def on_timer(self, timer: TimerKey) -> None:
        self.told.append(timer)
        if timer == CLIENT_TIMER:
            self.ask_all(PATIENCE_MS)

    def on_restarted(self) -> None:
        self.told.append("restarted")


def test_every_input_reaches_its_method() -> None:
    probe = Probe()

    probe.step(Receive(3, RequestMessage(OWN)), 7)
    probe.step(Restarted(), 8)

    assert probe.told == [(3, RequestMessage(OWN), 7), "restarted"]
    assert probe.now_us == 8
    # Who does not care about the application or a journal need not say so.
    assert [*probe.step(Executed(1, bytes(32)), 9), *probe.step(Loaded(1, (), ("x",)), 9)] == []


def test_a_timer_that_does_not_run_does_nothing() -> None:
    """It has been cancelled, or it was lost in a crash, or never set."""
    probe = Probe()
    probe.step(TimerFired(("a",)), 0)
    probe.out = []
    probe.set_timer(("a",), 5)
    probe.cancel_timer(("a",))
    probe.cancel_timer(("a",))
    assert probe.out == [SetTimer(("a",), 5), CancelTimer(("a",))]
    probe.step(TimerFired(("a",)), 5)
    assert probe.told == []

    probe.set_timer(("a",), 5)
    probe.step(TimerFired(("a",)), 10)
    probe.step(TimerFired(("a",)), 15)
    assert probe.told == [("a",)]


def test_a_client_asks_all_with_growing_patience_until_it_has_its_result() -> None:
    """§4.1 of PBFT: retransmission; the patience doubles, within a bound."""
    probe = Probe()
    assert list(probe.step(Propose(OWN), 0)) == [SetTimer(CLIENT_TIMER, us_from_ms(PATIENCE_MS))]
    assert list(probe.step(Propose(OWN), 0)) == [], "known already"

    for tries in range(1, MAX_DOUBLINGS + 3):
        asked, again = probe.step(TimerFired(CLIENT_TIMER), tries)
        assert asked == Broadcast(RequestMessage(OWN))
        doubled = min(tries, MAX_DOUBLINGS)
        assert again == SetTimer(CLIENT_TIMER, us_from_ms(PATIENCE_MS) << doubled)

    probe.done.mark(OWN.key)
    probe.own.clear()
    assert list(probe.step(TimerFired(CLIENT_TIMER), 99)) == []
    assert list(probe.step(Propose(OWN), 99)) == [], "executed already"
    other = Request(2, 2, b"next")
    assert list(probe.step(Propose(other), 99)) == [
        SetTimer(CLIENT_TIMER, us_from_ms(PATIENCE_MS))
    ], "patient from the start"


@pytest.mark.parametrize(("age_ms", "waits_us"), [(0.0, None), (2.0, 2_000)])
def test_a_batch_that_is_not_due_is_waited_for_once(age_ms: float, waits_us: int | None) -> None:
    probe = Probe(batch_max_age_ms=age_ms)
    assert not probe.is_batch_due(), "nothing is queued"
    probe.batcher.add(OWN, 0)

    due = [probe.is_batch_due(), probe.is_batch_due()]

    assert due == [waits_us is None] * 2
    assert probe.out == ([] if waits_us is None else [SetTimer(BATCH_TIMER, waits_us)])


@pytest.mark.parametrize("back_us", [500, 60_000])
def test_an_orderer_that_was_down_orders_what_waited(back_us: int) -> None:
    """Its timer is gone: it orders at once what is due by now, and waits anew for the rest."""
    orderer = build(0, 4, SequencerParams(batch_max_age_ms=2.0))
    assert list(orderer.step(Propose(OWN), 0)) == [SetTimer(BATCH_TIMER, 2_000)]

    effects = list(orderer.step(Restarted(), back_us))
    if back_us < 2_000:
        assert effects == [SetTimer(BATCH_TIMER, 2_000 - back_us)]
        effects = list(orderer.step(TimerFired(BATCH_TIMER), 2_000))

    decided = [effect for effect in effects if isinstance(effect, Decide)]
    assert [each.batch.requests for each in decided] == [(OWN,)]
