"""How nodes and messages of a run are called in Flower's terms."""

from __future__ import annotations

from typing import Any, cast

from flwr.app import Context, Message, RecordDict
from flwr.app.metadata import Metadata
from flwr.supercore.task_identity import TaskIdentity

from simulation.base.ids import HospitalId

RUN_ID = 1
TASK_ID = 1
SERVER_NODE = 1
"""Flower's own number for the server side."""
_FIRST_HOSPITAL = 1000
_FOREVER_S = 1e9
"""Flower's time to live counts wall time, which means nothing here."""


def flower_node(hospital: HospitalId) -> int:
    """The Flower node id of a hospital."""
    return _FIRST_HOSPITAL + hospital


def hospital_of(node_id: int) -> HospitalId:
    """The hospital behind a Flower node id."""
    return node_id - _FIRST_HOSPITAL


def claim_server_identity() -> None:
    """Set what Flower's runtime sets in a server process; `Message(...)` raises without it."""
    TaskIdentity.run_id = RUN_ID
    TaskIdentity.node_id = SERVER_NODE
    TaskIdentity.task_id = TASK_ID


def hospital_context(hospital: HospitalId, hospitals: int) -> Context:
    """The context of a hospital's ClientApp; it lasts for the whole run."""
    node_config: dict[str, bool | float | int | str] = {
        "partition-id": hospital,
        "num-partitions": hospitals,
    }
    return Context(RUN_ID, flower_node(hospital), node_config, RecordDict(), {})


def server_context() -> Context:
    """The context of the ServerApp."""
    return Context(RUN_ID, SERVER_NODE, {}, RecordDict(), {})


def delivered(
    content: RecordDict,
    *,
    message_id: str,
    src: int,
    dst: int,
    category: str,
    group: str,
    reply_to: str = "",
) -> Message:
    """A message as its receiver sees it, with nothing in it that depends on the wall clock."""
    metadata = Metadata(
        run_id=RUN_ID,
        message_id=message_id,
        src_node_id=src,
        dst_node_id=dst,
        reply_to_message_id=reply_to,
        group_id=group,
        created_at=0.0,
        ttl=_FOREVER_S,
        message_type=category,
    )
    # The public constructors read the wall clock; this one is how Flower's own runtime builds what
    # has been received, and it has no overload for type checkers.
    return cast("Message", cast("Any", Message)(content=content, metadata=metadata))
