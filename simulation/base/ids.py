"""Who is who on the wire.

Nodes are numbered from 0. Hospitals come first (0 .. H-1), the coordinator is node H. The replica
set of the consensus protocol is hospitals 0 .. n-1, so a replica's number is its hospital's number.
Hospitals from n on take no part in the votes and follow the certified headers.
"""

from __future__ import annotations

NodeId = int
HospitalId = int
ReplicaId = int


def hospital_name(hospital: HospitalId) -> str:
    """The name under which a hospital appears in files, tables and messages."""
    return f"hospital-{hospital:02d}"


def node_name(node: NodeId, hospitals: int) -> str:
    """The name of any node of a federation of ``hospitals`` hospitals."""
    return hospital_name(node) if node < hospitals else "coordinator"
