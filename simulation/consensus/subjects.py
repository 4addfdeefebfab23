"""What can be soaked: the registered protocols, each with the faults it claims to survive."""

from __future__ import annotations

from dataclasses import replace

from simulation.consensus.draw import Draw
from simulation.consensus.hotstuff import attacks as hotstuff_attacks
from simulation.consensus.hotstuff import observer as hotstuff_observer
from simulation.consensus.hotstuff import replica as hotstuff_replica
from simulation.consensus.hotstuff.params import HotStuffParams
from simulation.consensus.pbft import attacks as pbft_attacks
from simulation.consensus.pbft import observer as pbft_observer
from simulation.consensus.pbft import replica as pbft_replica
from simulation.consensus.pbft.params import PbftParams
from simulation.consensus.quorum import byzantine_faults, crash_faults
from simulation.consensus.raft import observer as raft_observer
from simulation.consensus.raft import replica as raft_replica
from simulation.consensus.raft.params import RaftParams
from simulation.consensus.soak import Subject


def draw_pbft(draw: Draw) -> PbftParams:
    """Small windows and short timeouts, so that every mechanism runs in a short schedule."""
    interval = draw.between(1, 6)
    return PbftParams(
        batch_max_requests=draw.between(1, 4),
        batch_max_age_ms=float(draw.between(0, 5)),
        pipeline=draw.between(1, 8),
        checkpoint_interval=interval,
        window=interval * draw.between(2, 4),
        # Now and then shorter than a round trip: then only doubling finds a value that works.
        request_timeout_ms=float(draw.between(2, 40) if draw.chance(150) else 250),
        client_retry_ms=float(draw.between(50, 300)),
        retransmit_ms=float(draw.between(50, 200)),
        heartbeat_ms=400.0,
        transfer_batches=draw.between(1, 8),
    )


def patient_pbft(params: PbftParams) -> PbftParams:
    """Timeouts far beyond any delay without faults."""
    return replace(
        params,
        request_timeout_ms=60_000.0,
        client_retry_ms=20_000.0,
        retransmit_ms=10_000.0,
        heartbeat_ms=0.0,
    )


def draw_hotstuff(draw: Draw) -> HotStuffParams:
    """Small windows and short timeouts, so that leaders change and replicas fall behind."""
    return HotStuffParams(
        batch_max_requests=draw.between(1, 4),
        batch_max_age_ms=float(draw.between(0, 5)),
        tenure=draw.between(4, 8),
        window=draw.between(4, 12),
        # Now and then shorter than a round trip: then only doubling finds a value that works.
        round_timeout_ms=float(draw.between(2, 40) if draw.chance(150) else 250),
        client_retry_ms=float(draw.between(50, 300)),
        retransmit_ms=float(draw.between(20, 200)),
        transfer_batches=draw.between(1, 8),
    )


def patient_hotstuff(params: HotStuffParams) -> HotStuffParams:
    """Timeouts far beyond any delay without faults."""
    return replace(
        params, round_timeout_ms=60_000.0, client_retry_ms=20_000.0, retransmit_ms=10_000.0
    )


def draw_raft(draw: Draw) -> RaftParams:
    """Small windows and short timeouts, so that leaders change and followers fall behind."""
    timeout_ms = draw.between(10, 60) if draw.chance(150) else draw.between(100, 400)
    return RaftParams(
        batch_max_requests=draw.between(1, 4),
        batch_max_age_ms=float(draw.between(0, 5)),
        pipeline=draw.between(1, 8),
        window=draw.between(1, 12),
        append_max_entries=draw.between(1, 6),
        # Now and then shorter than a round trip: then only doubling finds a value that works.
        election_timeout_ms=float(timeout_ms),
        heartbeat_ms=timeout_ms / draw.between(2, 4),
        client_retry_ms=float(draw.between(50, 300)),
    )


def patient_raft(params: RaftParams) -> RaftParams:
    """Timeouts far beyond any delay without faults."""
    return replace(
        params, election_timeout_ms=60_000.0, heartbeat_ms=10_000.0, client_retry_ms=20_000.0
    )


SUBJECTS: dict[str, Subject] = {
    "pbft": Subject(
        name="pbft",
        build=pbft_replica.build,
        observe=pbft_observer.observe,
        attacks=pbft_attacks.ATTACKS,
        tolerates=byzantine_faults,
        draw_params=draw_pbft,
        patient=patient_pbft,
        noise=("view-change", "request-timeout", "status", "committed", "equivocation"),
    ),
    "hotstuff": Subject(
        name="hotstuff",
        build=hotstuff_replica.build,
        observe=hotstuff_observer.observe,
        attacks=hotstuff_attacks.ATTACKS,
        tolerates=byzantine_faults,
        draw_params=draw_hotstuff,
        patient=patient_hotstuff,
        noise=("view-change", "new-view", "sync", "fetch-blocks", "equivocation", "bad-block"),
    ),
    "raft": Subject(
        name="raft",
        build=raft_replica.build,
        observe=raft_observer.observe,
        attacks={},
        tolerates=crash_faults,
        draw_params=draw_raft,
        patient=patient_raft,
        noise=("view-change", "request-vote", "vote"),
        sizes=(3, 4, 5, 6, 7, 8, 10, 13),
    ),
}
