"""Attacks that a run can inject, each a small file around honest code.

    learners/      what a hospital learns: its data, its training, the update that it brings
    members/       how a hospital treats the ledger: commitments, reveals, transactions
    vaults/        how a hospital's vault treats what it holds
    coordinator/   what the coordinator does with updates and aggregates

A kind of attack is a class of parameters and a line in `registry`. It acts through the places that
honest code offers to whoever strays (`simulation.nodes.conduct`, `simulation.learning.tampering`),
holds no key but its own node's, and says in the trace what it did in which round (event
``attacked``). Replicas that lie about the order are faults (``kind: behave``), not attacks.

The configuration reads these modules, so they import heavy libraries for their types only.

Source: the project's protocol, section 6 (attacks, and what must stop them).
"""
