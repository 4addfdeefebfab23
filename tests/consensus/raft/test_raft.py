"""Raft beside the paper: counts and times without faults, elections, commitment, catching up."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.base.ids import NodeId
from simulation.consensus.protocol import (
    Batch,
    Broadcast,
    Decide,
    Load,
    Receive,
    Request,
    Restarted,
    Send,
    TimerFired,
)
from simulation.consensus.raft.messages import AppendEntries, AppendReply, RequestVote, Vote
from simulation.consensus.raft.params import RaftParams
from simulation.consensus.raft.replica import RaftReplica, build

AT_ONCE = RaftParams(batch_max_age_ms=0.0)


def request(client: int, timestamp: int = 1) -> Request:
    return Request(NodeId(client), timestamp, b"x")


def entry(term: int, *requests: Request) -> Batch:
    return Batch(requests, 7, term, 0)


def take(core: RaftReplica, sender: int, message: Any, now_us: int = 0) -> list[Any]:
    """One message in; the messages that answer it out."""
    effects = core.step(Receive(NodeId(sender), message), now_us)
    return [e.message for e in effects if isinstance(e, (Send, Broadcast))]


def follower(*terms: int, term: int, commit: int = 0) -> RaftReplica:
    """Replica 1 of three, with a log of these terms, in this term under leader 0."""
    core = build(1, 3, AT_ONCE)
    entries = tuple(entry(t, request(2, k)) for k, t in enumerate(terms))
    take(core, 0, AppendEntries(term, 0, 0, entries, commit))
    return core


# ---- without faults -----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 10, 16, 31, 64])
def test_a_decision_that_stands_alone_takes_4_times_n_minus_1_messages(n: int, group: Any) -> None:
    """The entry and its answers, the commit index and its answers."""
    net = group(AT_ONCE, n)
    for k in range(5):
        net.propose(0, request(0, k), time_us=k * 10_000)

    net.run()

    assert all(len(decided) == 5 for decided in net.decided)
    assert net.sent["append-entries"] == 5 * 2 * (n - 1)
    assert net.sent["append-reply"] == 5 * 2 * (n - 1)
    assert set(net.sent) <= {"append-entries", "append-reply"}


@pytest.mark.parametrize("n", [2, 3, 4, 7, 16])
def test_in_a_pipeline_the_commit_index_travels_with_the_next_entries(n: int, group: Any) -> None:
    """D decisions under way together: 2(n − 1)(D + 1) messages."""
    net = group(RaftParams(batch_max_requests=1, batch_max_age_ms=0.0, pipeline=64), n)
    for k in range(40):
        net.propose(0, request(0, k), time_us=k * 100)

    net.run()

    assert all(len(decided) == 40 for decided in net.decided)
    assert net.sent["append-entries"] == net.sent["append-reply"] == 41 * (n - 1)


def test_with_equal_delays_the_leader_decides_at_2d_and_followers_at_3d(group: Any) -> None:
    """A request from a follower takes one delay more."""
    for proposer, first in ((0, 2), (2, 3)):
        net = group(AT_ONCE, 4, lambda *_: 7000)
        net.propose(proposer, request(proposer))
        net.run()
        assert net.decided_at == [[first * 7000], *([[(first + 1) * 7000]] * 3)]


def test_an_idle_group_falls_silent(group: Any) -> None:
    """Deviation 2: without work there are neither heartbeats nor elections."""
    net = group(AT_ONCE, 5)
    net.propose(3, request(3))

    net.run(until_us=10**12)

    assert net.now_us < 60_000_000
    assert not net._heap


# ---- elections (§5.2, §5.4.1) -------------------------------------------------------------------


def test_a_crashed_leader_is_replaced_and_its_entries_survive(group: Any) -> None:
    """§5.2: a new leader is elected; §8: it commits what its predecessor left with a no-op."""
    net = group(RaftParams(batch_max_age_ms=0.0, election_timeout_ms=300, heartbeat_ms=50), 5)
    net.propose(0, request(0))
    net.propose(1, request(1), time_us=0)
    net.run(until_us=2_500)  # both entries are stored by followers, none knows that it may commit
    net.down.add(0)
    net.propose(2, request(2), time_us=10_000)

    net.run()

    orders = net.orders()[1:]
    assert all(order == orders[0] for order in orders)
    assert sorted(r.client for r in orders[0]) == [0, 1, 2]
    assert {core.leader for core in net.cores[1:]} == {net.cores[1].leader} != {0}
    assert [r.what for reports in net.reports for r in reports].count("new-view") == 1


def test_timeouts_differ_between_replicas_and_terms_and_double() -> None:
    """§5.2: chosen from a fixed interval, T to 2T, to make split votes rare."""
    cores = [build(i, 8, RaftParams(election_timeout_ms=100, heartbeat_ms=10)) for i in range(8)]
    drawn = [core.election_timeout_us() for core in cores]
    assert all(100_000 <= us <= 200_000 for us in drawn)
    assert len(set(drawn)) == 8
    assert drawn == [build(i, 8, cores[0].params).election_timeout_us() for i in range(8)]
    cores[1].term = 1
    assert cores[1].election_timeout_us() != drawn[1]
    cores[2].failures = 3
    assert cores[2].election_timeout_us() == 8 * drawn[2]


def test_one_vote_in_each_term() -> None:
    """§5.2: each server votes for at most one candidate in a term, first come, first served."""
    core = build(1, 5, AT_ONCE)
    assert take(core, 2, RequestVote(3, 0, 0)) == [Vote(3, True)]
    assert take(core, 3, RequestVote(3, 9, 2)) == [Vote(3, False)]
    assert take(core, 2, RequestVote(3, 0, 0)) == [Vote(3, True)]
    assert take(core, 3, RequestVote(4, 0, 0)) == [Vote(4, True)]


def test_the_vote_outlives_the_memory() -> None:
    """Figure 2: currentTerm and votedFor are persistent."""
    core = build(1, 5, AT_ONCE)
    take(core, 2, RequestVote(3, 0, 0))
    again = build(1, 5, AT_ONCE)
    again.restore(core.durable())
    again.step(Restarted(), 0)
    assert take(again, 3, RequestVote(3, 9, 2)) == [Vote(3, False)]


@pytest.mark.parametrize(
    ("last_index", "last_term", "granted"),
    [(3, 2, True), (2, 2, False), (9, 1, False), (1, 3, True), (4, 2, True)],
)
def test_only_an_up_to_date_log_gets_the_vote(
    last_index: int, last_term: int, granted: bool
) -> None:
    """§5.4.1: the later term of the last entry wins; with equal terms the longer log."""
    core = follower(1, 2, 2, term=2)
    assert take(core, 2, RequestVote(5, last_index, last_term)) == [Vote(5, granted)]


# ---- replication (§5.3) -------------------------------------------------------------------------


def test_conflicting_entries_are_replaced() -> None:
    """§5.3: the follower deletes the conflicting entry and all that follow it."""
    core = follower(1, 1, 2, 2, term=2, commit=1)
    (reply,) = take(core, 2, AppendEntries(4, 2, 1, (entry(4, request(0, 9)),), 2))
    assert reply == AppendReply(4, True, 3, 2)
    assert [core.log.term_at(i) for i in range(1, 4)] == [1, 1, 4]
    assert core.log.last == 3


def test_a_refusal_skips_the_whole_conflicting_term() -> None:
    """§5.3: one AppendEntries for each conflicting term, rather than one for each entry."""
    core = follower(1, 2, 2, 2, term=2)
    (reply,) = take(core, 2, AppendEntries(5, 4, 4, (), 0))
    assert reply == AppendReply(5, False, 1, 0)


def test_a_leader_of_an_earlier_term_is_told_so() -> None:
    """§5.1: a request with a stale term number is rejected, and its sender steps down."""
    core = build(1, 3, AT_ONCE)
    take(core, 2, RequestVote(3, 0, 0))
    (reply,) = take(core, 0, AppendEntries(0, 0, 0, (entry(0, request(0)),), 0))
    assert (reply.term, reply.agrees) == (3, False)
    assert core.log.last == 0
    leader = build(0, 3, AT_ONCE)
    take(leader, 1, reply)
    assert (leader.role, leader.term) == ("follower", 3)


def test_early_entries_wait_for_those_they_follow() -> None:
    """Deviation 8: what overtakes in the network is kept by a follower in step."""
    core = follower(0, term=0)
    second, third = entry(0, request(0, 8)), entry(0, request(0, 9))
    assert take(core, 0, AppendEntries(0, 2, 0, (third,), 3)) == []
    assert take(core, 0, AppendEntries(0, 1, 0, (second,), 0)) == [AppendReply(0, True, 3, 3)]


# ---- commitment (§5.4.2) ------------------------------------------------------------------------


def test_entries_of_earlier_terms_are_not_committed_by_counting(group: Any) -> None:
    """§5.4.2, Figure 8: only an entry of the leader's own term is committed by counting copies."""
    core = build(1, 5, AT_ONCE)
    take(core, 0, AppendEntries(2, 0, 0, (entry(1, request(0)), entry(2, request(2))), 0))
    core.step(TimerFired(("election",)), 0)
    assert core.term == 3
    take(core, 2, Vote(3, True))
    take(core, 3, Vote(3, True))
    assert core.role == "leader"
    for peer in (2, 3, 4):
        take(core, peer, AppendReply(3, True, 2, 0))
    assert core.commit == 0
    effects = []
    for peer in (2, 3):
        effects += core.step(Receive(NodeId(peer), AppendReply(3, True, 3, 0)), 0)
    assert [e.seq for e in effects if isinstance(e, Decide)] == [1, 2, 3]


# ---- catching up (§5.3, §7) ---------------------------------------------------------------------


def test_a_follower_far_behind_is_served_from_the_journal(group: Any) -> None:
    """Deviation 9: entries that left the leader's memory are read from its journal."""
    params = RaftParams(
        batch_max_requests=1, batch_max_age_ms=0.0, window=4, append_max_entries=3, heartbeat_ms=50
    )
    net = group(params, 3)
    loads: list[Load] = []
    perform = net.perform
    net.perform = lambda i, e: (loads.append(e) if isinstance(e, Load) else None, perform(i, e))
    net.down.add(2)
    for k in range(30):
        net.propose(0, request(0, k), time_us=k * 5_000)
    net.run(until_us=200_000)
    assert not net.decided[2]

    net.down.clear()
    net.at(200_000, 2, Restarted())
    net.run()

    assert net.orders()[2] == net.orders()[0]
    assert len(net.orders()[2]) == 30
    assert loads
    assert net.cores[0].footprint()["decided entries"][0] <= 4


def test_parameters_that_depose_every_leader_are_refused() -> None:
    """A heartbeat that is no shorter than the timeout."""
    with pytest.raises(ValueError, match="heartbeat_ms"):
        RaftParams(heartbeat_ms=10, election_timeout_ms=10)
