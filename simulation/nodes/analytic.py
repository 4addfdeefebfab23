"""Closed forms beside the simulation: what must come out when little enough goes on.

Sources: Castro & Liskov, OSDI '99, §4 (counts and phases); the quorum model of three phases over a
matrix of delays is the usual one for leader-based Byzantine protocols; queueing after Pollaczek and
Khinchine.
"""

from __future__ import annotations

from collections.abc import Sequence

from simulation.base.units import BITS_PER_BYTE, US_PER_S
from simulation.consensus.quorum import byzantine_quorum

Delays = Sequence[Sequence[float]]
"""``delays[a][b]``: one-way delay from a to b; the diagonal is 0, as an own vote is free."""


def pbft_messages(n: int) -> dict[str, int]:
    """Messages of one decision without faults, by kind: ``2n(n − 1)`` together (§4.2)."""
    return {"pre-prepare": n - 1, "prepare": (n - 1) ** 2, "commit": n * (n - 1)}


def decision_times(delays: Delays, leader: int, quorum: int | None = None) -> list[float]:
    """When each replica decides what ``leader`` proposes at time 0, by three phases of quorums.

    A replica is prepared when a quorum of proposals and prepares has reached it, and decides when a
    quorum of commits has; its own vote counts at once. The unit is that of ``delays``.
    """
    n = len(delays)
    needed = byzantine_quorum(n).size if quorum is None else quorum
    sent = [float(delays[leader][i]) for i in range(n)]
    for _ in ("prepare", "commit"):
        sent = [
            sorted(sent[voter] + delays[voter][i] for voter in range(n))[needed - 1]
            for i in range(n)
        ]
    return sent


def client_latency(
    decided: Sequence[float], leader: int, to_client: Sequence[float], replies: int
) -> float:
    """Latency of an outside client: its request to the leader, then the k-th reply to arrive.

    ``to_client[i]`` is the one-way delay between replica i and the client, in both directions.
    """
    arrivals = sorted(at + back for at, back in zip(decided, to_client, strict=True))
    return to_client[leader] + arrivals[replies - 1]


def bandwidth_bound_per_s(rate_bps: float, n: int, request_bytes: float) -> float:
    """Requests per second when the primary's uplink is the bottleneck.

    It sends each request to n − 1 backups and one reply of the same size: ``rate / (n · size)``.
    """
    return rate_bps / (n * request_bytes * BITS_PER_BYTE)


def checks_per_decision(n: int) -> int:
    """Signatures that a backup checks per decision: a proposal, n − 2 prepares, n − 1 commits."""
    return 1 + (n - 2) + (n - 1)


def processor_bound_per_s(n: int, verify_us: float, sign_us: float) -> float:
    """Decisions per second when one core per replica checks all signatures and makes two."""
    return US_PER_S / (checks_per_decision(n) * verify_us + 2 * sign_us)


def md1_wait_us(rate_per_s: float, service_us: float) -> float:
    """Mean wait before service, for Poisson arrivals and a fixed service time (M/D/1).

    Raises:
        ValueError: when the queue would grow for ever.
    """
    load = rate_per_s * service_us / US_PER_S
    if load >= 1:
        raise ValueError(f"load {load:.2f} is not below 1: the queue grows for ever")
    return load * service_us / (2 * (1 - load))


def silent_primaries_us(count: int, timeout_us: float, delay_us: float, known_us: float) -> float:
    """Time from a request's submission to its decision behind ``count`` silent primaries in a row.

    All backups know the request at ``known_us``. The first timeout starts there; each of the others
    starts when a quorum of view changes for its view has arrived, one delay after they were sent,
    and is twice as long as the one before (§4.5.2). The last view change, the new view and the
    usual two phases of votes take one delay each.
    """
    timeouts = sum(timeout_us * 2**i for i in range(count))
    return known_us + timeouts + count * delay_us + 3 * delay_us
