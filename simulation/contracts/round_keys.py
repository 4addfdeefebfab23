"""Where the task contract keeps what it knows of its rounds."""

from __future__ import annotations

from functools import lru_cache

from simulation.base.ids import HospitalId, ReplicaId

PARAMETERS_KEY = "task/parameters"
STATUS_KEY = "task/status"


@lru_cache(maxsize=1 << 12)
def round_key(number: int) -> str:
    """Where a round's status, base model and eligible hospitals are kept."""
    return f"task/round/{number}"


@lru_cache(maxsize=1 << 12)
def commit_key(number: int, hospital: HospitalId) -> str:
    """Where a hospital's commitment for a round is kept."""
    return f"task/round/{number}/commit/{hospital:03d}"


@lru_cache(maxsize=1 << 12)
def decline_key(number: int, hospital: HospitalId) -> str:
    """Where the reason is kept why a hospital sits a round out."""
    return f"task/round/{number}/decline/{hospital:03d}"


@lru_cache(maxsize=1 << 12)
def reveal_key(number: int, hospital: HospitalId) -> str:
    """Where a hospital's reveal is kept."""
    return f"task/round/{number}/reveal/{hospital:03d}"


@lru_cache(maxsize=1 << 12)
def aggregate_key(number: int) -> str:
    """Where the end of a round is kept."""
    return f"task/round/{number}/aggregate"


@lru_cache(maxsize=1 << 12)
def confirmation_key(number: int, replica: ReplicaId) -> str:
    """Where a replica's own result of a round is kept."""
    return f"task/round/{number}/confirm/{replica:03d}"
