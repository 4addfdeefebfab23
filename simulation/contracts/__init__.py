"""The rules of the ledger: pure functions of its state, one module per subject.

`default_contracts` is the set that a federation runs.
"""

from __future__ import annotations

from collections.abc import Mapping

from simulation.contracts.membership import MembershipContract
from simulation.contracts.privacy import PrivacyContract
from simulation.contracts.task import TaskContract
from simulation.ledger.runtime import Contract


def default_contracts() -> Mapping[str, Contract]:
    """The contracts of a federation by the first part of their transactions' kinds."""
    return {
        "membership": MembershipContract(),
        "privacy": PrivacyContract(),
        "task": TaskContract(),
    }
