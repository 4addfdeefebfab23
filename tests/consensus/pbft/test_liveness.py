"""Liveness (§4.5.2): replicas meet in one view, and stay long enough to get something done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulation.consensus.pbft import messages as m
from simulation.consensus.pbft.requests import MAX_DOUBLINGS
from tests.consensus.pbft.conftest import (
    EAGER,
    Bench,
    batch,
    new_view,
    request,
    view_change,
)

T_US = 10_000_000


def leaves(bench: Bench) -> m.ViewChange:
    """The request timer runs out."""
    bench.hears(2, m.RequestMessage(request(2, bench.core.view + 1)))
    (message,) = bench.fires("request").to_all(m.ViewChange)
    return message


def test_the_wait_for_a_new_view_begins_with_a_quorum(bench: Bench) -> None:
    """§4.5.2: the timer starts on 2f + 1 VIEW-CHANGEs, so that nobody starts the next one alone."""
    bench.hears(2, m.RequestMessage(request(2)))
    leaving = bench.fires("request")
    second = bench.hears(2, view_change(2, 1))

    assert ("view-change",) not in {**leaving.timers, **second.timers}

    bench = Bench(2)
    bench.hears(3, m.RequestMessage(request(3)))
    bench.fires("request")
    assert ("view-change",) not in bench.hears(0, view_change(0, 1)).timers
    assert bench.hears(3, view_change(3, 1)).timers[("view-change",)] == 2 * T_US


def stuck_in(view: int) -> Bench:
    """Replica 3 waits for the NEW-VIEW of a view, having executed nothing since view 0."""
    bench = Bench(3)
    for i in (0, 1, 2):
        bench.hears(i, view_change(i, view))
    assert (bench.core.view, bench.core.active) == (view, False)
    return bench


def test_without_a_new_view_in_time_the_next_primary_is_tried() -> None:
    """§4.5.2: if the timer expires first, the replica starts the view change for v + 2."""
    bench = stuck_in(1)

    effects = bench.fires("view-change")

    (message,) = effects.to_all(m.ViewChange)
    assert message.view == 2
    assert bench.core.leader == 2


@pytest.mark.parametrize("view", [1, 2, 4, 8, 9])
def test_the_wait_doubles_with_every_view(view: int) -> None:
    """§4.5.2: T, 2T, 4T …: sooner or later longer than the group needs."""
    bench = stuck_in(view)
    effects = bench.hears(0, view_change(0, view + 1)) + bench.hears(1, view_change(1, view + 1))
    effects += bench.hears(2, view_change(2, view + 1))

    assert effects.timers[("view-change",)] == T_US << (view + 1)


def test_the_doubling_has_an_end() -> None:
    """§4.5.2 with deviation 12: a bound, so that an attacker cannot make the waits endless."""
    bench = stuck_in(50)

    assert bench.core.timeout_us() == T_US << MAX_DOUBLINGS


def test_the_wait_is_short_again_after_progress() -> None:
    """§4.5.2: doubling is for views that achieve nothing; one that executes a request resets it."""
    bench = Bench(1)
    bench.enters(4)
    assert bench.core.timeout_us() == T_US << 4

    bench.decides(1, batch(request(3), view=4))

    assert bench.core.timeout_us() == T_US
    waiting = bench.hears(2, m.RequestMessage(request(2)))
    assert waiting.timers[("request",)] == T_US


def test_null_requests_are_no_progress() -> None:
    """§4.5.2: a primary that orders nothing does not win back the short wait."""
    bench = Bench(1)
    bench.enters(4)

    effects = bench.decides(1, batch(view=4))

    assert [b.requests for _, b in effects.decisions] == [()]
    assert bench.core.timeout_us() == T_US << 4


def test_f_plus_1_view_changes_are_joined(bench: Bench) -> None:
    """§4.5.2: f + 1 VIEW-CHANGEs for greater views hold an honest one: no need to wait."""
    one = bench.hears(2, view_change(2, 2))
    two = bench.hears(3, view_change(3, 2))

    assert one == []
    assert [v.view for v in two.to_all(m.ViewChange)] == [2]
    assert ("request",) not in two.timers


def test_the_smallest_of_their_views_is_joined() -> None:
    """§4.5.2: so that a liar among them cannot pull the group ahead as far as it likes."""
    bench = Bench(3)

    bench.hears(0, view_change(0, 1_000_000))
    effects = bench.hears(1, view_change(1, 2))

    assert [v.view for v in effects.to_all(m.ViewChange)] == [2]


@pytest.mark.parametrize(("n", "f"), [(4, 1), (7, 2), (10, 3)])
def test_f_faulty_replicas_cannot_force_a_view_change(n: int, f: int) -> None:
    """§4.5.2: at least f + 1 must ask, so the faulty alone can ask for ever in vain."""
    bench = Bench(1, n)
    liars = range(n - f, n)

    effects = [bench.hears(i, view_change(i, v)) for v in range(1, 30) for i in liars]

    assert all(e.kinds == [] for e in effects)
    assert (bench.core.view, bench.core.active) == (0, True)
    assert len(bench.hears(2, view_change(2, 1)).to_all(m.ViewChange)) == 1


def test_f_plus_1_are_joined_also_between_views(bench: Bench) -> None:
    """§4.5.2: a replica that waits for one view goes on to a later one that f + 1 are in."""
    leaves(bench)

    bench.hears(2, view_change(2, 3))
    effects = bench.hears(3, view_change(3, 3))

    assert [v.view for v in effects.to_all(m.ViewChange)] == [3]


def test_the_new_view_ends_the_wait() -> None:
    """§4.5.2: the timer stops when a valid NEW-VIEW arrives."""
    bench = stuck_in(1)

    effects = bench.hears(1, new_view(1, [view_change(i, 1) for i in (0, 1, 2)]))

    assert ("view-change",) in effects.cancelled
    assert bench.fires("view-change") == []
    assert bench.core.view == 1


def test_an_invalid_new_view_does_not_end_it() -> None:
    """§4.5.2: or a faulty primary could hold a view for ever."""
    bench = stuck_in(1)

    effects = bench.hears(1, new_view(1, [view_change(i, 1) for i in (0, 1)]))

    assert effects.cancelled == []
    assert bench.fires("view-change").sent(m.ViewChange) != []


def test_a_request_left_undone_is_watched_in_the_new_view() -> None:
    """§4.5.2: the timer runs again in the new view, so a second silent primary is left as well."""
    bench = Bench(3)
    bench.hears(3, m.RequestMessage(request(3)))
    for i in (0, 1, 2):
        bench.hears(i, view_change(i, 1))

    effects = bench.hears(1, new_view(1, [view_change(i, 1) for i in (0, 1, 2)]))

    assert effects.timers[("request",)] == 2 * T_US
    assert [v.view for v in bench.fires("request").to_all(m.ViewChange)] == [2]


def test_a_request_can_use_several_views_up() -> None:
    """§4.5.2: at most f faulty primaries in a row: after them comes an honest one."""
    bench = Bench(2, 7)
    bench.hears(3, m.RequestMessage(request(3)))
    bench.fires("request")
    for view in (1, 2):
        for i in (0, 3, 4, 5):
            effects = bench.hears(i, view_change(i, view))
        if view == 1:
            bench.fires("view-change")

    (message,) = effects.to_all(m.NewView)
    (proposal,) = effects.to_all(m.PrePrepare)
    assert message.view == 2
    assert proposal.batch.requests == (request(3),)


def test_a_view_change_is_repeated_until_the_view_starts(bench: Bench) -> None:
    """§4.5.2 with TOCS (retransmission): messages are resent, or one lost message is the end."""
    message = leaves(bench)

    bench.fires("retry")
    effects = bench.fires("retry")

    assert effects.to_all(m.ViewChange) == [message]
    assert ("retry",) in effects.timers


def test_a_primary_that_starts_a_view_answers_those_that_missed_it(bench: Bench) -> None:
    """§4.5.2: who asks for a view that runs already is shown its NEW-VIEW."""
    effects = bench.hears(2, view_change(2, 1)) + bench.hears(3, view_change(3, 1))
    (message,) = effects.to_all(m.NewView)

    assert bench.hears(0, view_change(0, 1)).to(0, m.NewView) == [message]


def test_a_later_view_change_still_counts_for_the_quorum() -> None:
    """§4.5.2 with deviation 10: a replica that has gone on has left the earlier view, too."""
    bench = Bench(3, 4, replace(EAGER, request_timeout_ms=10.0))
    bench.hears(3, m.RequestMessage(request(3)))
    bench.fires("request")

    bench.hears(0, view_change(0, 1))
    effects = bench.hears(1, view_change(1, 2))

    assert effects.timers[("view-change",)] == 20_000
