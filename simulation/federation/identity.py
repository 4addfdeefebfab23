"""How the nodes of a run are called in Flower's terms."""

from __future__ import annotations

from flwr.supercore.task_identity import TaskIdentity

from simulation.base.ids import NodeId

RUN_ID = 1
TASK_ID = 1
SERVER_NODE = 1
"""Flower's own number for the server side."""
_FIRST_HOSPITAL = 1000


def flower_node(hospital: NodeId) -> int:
    """The Flower node id of a hospital."""
    return _FIRST_HOSPITAL + hospital


def hospital_of(node_id: int) -> NodeId:
    """The hospital behind a Flower node id."""
    return node_id - _FIRST_HOSPITAL


def claim_server_identity() -> None:
    """Set what Flower's runtime sets in a server process; `Message(...)` raises without it."""
    TaskIdentity.run_id = RUN_ID
    TaskIdentity.node_id = SERVER_NODE
    TaskIdentity.task_id = TASK_ID
