"""Clients (§4.1): where requests go, when they are repeated, and that they run once."""

from __future__ import annotations

from dataclasses import replace

from simulation.consensus.pbft import messages as m
from simulation.consensus.protocol import Request
from tests.consensus.pbft.conftest import EAGER, Bench, batch, pre_prepare, request


def test_a_request_goes_to_the_primary(bench: Bench) -> None:
    """§4.1: a client sends its request to the replica that it believes to be primary."""
    wanted = request(1)

    effects = bench.proposes(wanted)

    assert effects.to(0, m.RequestMessage) == [m.RequestMessage(wanted)]
    assert effects.kinds == ["request"]


def test_a_request_of_the_primary_itself_is_proposed_at_once(primary: Bench) -> None:
    """§4.1, §4.2: at the primary, receiving a request starts the protocol for it."""
    effects = primary.proposes(request(0))

    (proposal,) = effects.to_all(m.PrePrepare)
    assert proposal.batch.requests == (request(0),)
    assert effects.kinds == ["pre-prepare"]


def test_a_backup_relays_a_request_to_the_primary_once(bench: Bench) -> None:
    """§4.1: a replica that is not primary passes a client's request on; repetitions it ignores."""
    message = m.RequestMessage(request(2))

    first, again = bench.hears(2, message), bench.hears(3, message)

    assert first.to(0, m.RequestMessage) == [message]
    assert again.kinds == []


def test_a_request_from_the_primary_is_not_sent_back(bench: Bench) -> None:
    """§4.1: the relay is for a primary that may not know the request; the sender knows it."""
    effects = bench.hears(0, m.RequestMessage(request(2)))

    assert effects.kinds == []
    assert (2, 1) in bench.core.waiting


def test_without_a_result_the_client_sends_to_all(bench: Bench) -> None:
    """§4.1: no reply soon enough: the client multicasts the request to all replicas."""
    wanted = request(1)
    started = bench.proposes(wanted)

    effects = bench.fires("client")

    assert started.timers[("client",)] == 4_000_000
    assert effects.to_all(m.RequestMessage) == [m.RequestMessage(wanted)]


def test_the_client_waits_twice_as_long_each_time(bench: Bench) -> None:
    """§4.1, TOCS (retransmission): the client backs off, so that a slow group is not flooded."""
    bench.proposes(request(1))

    delays = [bench.fires("client").timers[("client",)] for _ in range(4)]

    assert delays == [8_000_000, 16_000_000, 32_000_000, 64_000_000]


def test_the_client_stops_asking_once_it_has_its_result(bench: Bench) -> None:
    """§4.1: the result ends the waiting."""
    wanted = request(1)
    bench.proposes(wanted)

    effects = bench.decides(1, batch(wanted))

    assert effects.decisions == [(1, batch(wanted))]
    assert ("client",) in effects.cancelled
    assert bench.fires("client").kinds == []


def test_an_executed_request_is_not_ordered_again(primary: Bench) -> None:
    """§4.1: a request that was executed already is answered from memory, not executed again."""
    wanted = request(3)
    primary.hears(3, m.RequestMessage(wanted))
    (proposal,) = [e.pre_prepare for e in primary.core.log.values() if e.pre_prepare]
    primary.gets_prepares(1, proposal.digest, 1, 2)
    decided = primary.gets_commits(1, proposal.digest, 1, 2)

    again = primary.hears(3, m.RequestMessage(wanted))

    assert decided.decisions == [(1, proposal.batch)]
    assert again == []
    assert primary.core.next_seq == 2


def test_a_request_under_way_is_not_proposed_twice(primary: Bench) -> None:
    """§4.1: the primary takes up each request once, however many replicas relay it."""
    message = m.RequestMessage(request(3))

    effects = primary.hears(3, message) + primary.hears(1, message) + primary.hears(2, message)

    assert effects.kinds == ["pre-prepare"]


def test_a_request_ordered_twice_is_executed_once(bench: Bench) -> None:
    """§4.1: execution goes by client and timestamp; what ran before is left out of a batch."""
    old, new = request(2, 1), request(2, 2)
    bench.decides(1, batch(old))
    repeated = batch(old, new, time_us=5)

    effects = bench.decides(2, repeated)

    assert effects.decisions == [(2, replace(repeated, requests=(new,)))]


def test_one_timestamp_stands_for_one_operation(bench: Bench) -> None:
    """§4.1: timestamps tell a client's requests apart; a second operation under one is ignored."""
    bench.hears(2, m.RequestMessage(request(2, 1, b"pay 10")))

    effects = bench.hears(2, m.RequestMessage(request(2, 1, b"pay 1000")))

    assert effects.kinds == []
    assert bench.core.waiting[2, 1].payload == b"pay 10"


def test_a_client_may_be_no_replica(primary: Bench) -> None:
    """§2, §4.1: clients are not replicas; from them requests are taken, and nothing else."""
    outsider = 77
    vote = m.prepare(primary.core.signer, 0, 1, batch(request(1)).digest)

    taken = primary.hears(outsider, m.RequestMessage(request(outsider)))
    ignored = primary.hears(outsider, vote, m.FetchState(1, 1), m.Status(9, True, 9, 9))

    assert taken.kinds == ["pre-prepare"]
    assert ignored == []


def test_a_malformed_request_is_ignored(primary: Bench) -> None:
    """§4.1: a request must be one: numbers that have no encoding have no digest to agree on."""
    for odd in (Request(-1, 1, b""), Request(2**32, 1, b""), Request(1, -1, b"")):
        assert primary.hears(1, m.RequestMessage(odd)) == []
        assert primary.proposes(odd) == []


def test_a_client_may_have_many_requests_under_way(bench: Bench) -> None:
    """§4.1 with deviation 3: requests of one client may be decided out of timestamp order."""
    late, early = request(2, 5), request(2, 3)

    first, second = bench.decides(1, batch(late)), bench.decides(2, batch(early, time_us=1))

    assert [b.requests for _, b in first.decisions + second.decisions] == [(late,), (early,)]


def test_after_a_view_change_the_client_turns_to_the_new_primary(bench: Bench) -> None:
    """§4.1: a client keeps track of the view, and addresses the primary of that view."""
    wanted = request(1)
    bench.proposes(wanted)

    effects = bench.enters(2)

    assert effects.to(2, m.RequestMessage) == [m.RequestMessage(wanted)]
    assert bench.proposes(request(1, 2)).to(2, m.RequestMessage) != []


def test_a_request_learnt_from_a_proposal_is_watched(bench: Bench) -> None:
    """§4.1, §4.4: a backup waits for every request that it knows, however it came to know it."""
    effects = bench.hears(0, pre_prepare(1, batch(request(3))))

    assert (3, 1) in bench.core.waiting
    assert effects.timers[("request",)] == EAGER.request_timeout_ms * 1000
