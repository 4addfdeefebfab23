"""The copycats' claim falls with a single copy on the wrong side."""

from __future__ import annotations

import pytest

from experiments import free_riders
from experiments.stem import Run


def riders(ledger, accepted, copies=4):
    labels = {"ledger": ledger, "copycats": "20 %"}
    rows = [
        {"round": 1, "scope": "round", "metric": "updates_accepted", "value": 8.0},
        {"round": 1, "scope": "pooled", "metric": "auroc", "value": 0.9},
    ]
    measured = {"tried": copies, "accepted": accepted, "copycats": []}
    return Run(labels, 1, None, rows, measured=measured)


@pytest.mark.parametrize(
    ("bare", "sealed", "holds"),
    [
        ((4, 4), (0, 4), True),
        ((3, 4), (0, 4), False),
        ((4, 4), (1, 4), False),
        ((0, 0), (0, 0), False),
    ],
)
def test_the_copycats_claim_needs_all_on_one_side_and_none_on_the_other(bare, sealed, holds):
    runs = [riders("hash_only", *bare), riders("commit_reveal", *sealed)]
    assert free_riders.verdict(free_riders.table(runs)).holds is holds
