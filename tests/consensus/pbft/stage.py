"""A group of PBFT replicas under the observer, with short timeouts and small windows."""

from __future__ import annotations

from typing import Any

from simulation.consensus.pbft.params import PbftParams
from simulation.consensus.pbft.replica import PbftReplica
from tests.consensus import stage

MS = stage.MS

QUICK = PbftParams(
    batch_max_age_ms=0.0,
    batch_max_requests=1,
    checkpoint_interval=4,
    window=8,
    request_timeout_ms=100.0,
    client_retry_ms=400.0,
    retransmit_ms=60.0,
    heartbeat_ms=200.0,
    transfer_batches=4,
)
"""A decision takes under 15 ms, a timeout 100 ms, a checkpoint every fourth decision."""


class Stage(stage.Stage):
    """n PBFT replicas, some of which may lie, from time 0."""

    def __init__(self, n: int = 4, params: PbftParams = QUICK, **setting: Any) -> None:
        super().__init__(params, n, **setting)

    def core(self, replica: int) -> PbftReplica:
        """The honest core of a replica, liar or not."""
        core = self.honest_core(replica)
        assert isinstance(core, PbftReplica)
        return core
