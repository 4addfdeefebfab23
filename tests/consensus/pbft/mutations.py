"""Small mutations of every message type: view ± 1, number ± 1, another digest, empty proofs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from simulation.consensus.pbft import messages as m
from simulation.consensus.protocol import Batch
from simulation.consensus.signing import Signer

OTHER = bytes(range(32))


def other_batch(batch: Batch) -> Batch:
    """The same without its last request, a moment later."""
    return replace(batch, requests=batch.requests[:-1], time_us=batch.time_us + 1)


def mutants(message: Any) -> list[Any]:
    """All small mutations of a message; its signature, if it has one, covers none of them."""
    changes: list[dict[str, Any]] = []
    for name in ("view", "seq", "low", "executed", "first", "last"):
        value = getattr(message, name, None)
        if value is not None:
            changes += [{name: value - 1}, {name: value + 1}]
    for name in ("digest", "history", "state"):
        if isinstance(getattr(message, name, None), bytes):
            changes.append({name: OTHER})
    for name in ("stable", "prepared", "view_changes", "assignments", "commits", "proof"):
        value = getattr(message, name, None)
        if value:
            changes += [{name: ()}, {name: value[:-1]}, {name: value[:1] * len(value)}]
    match message:
        case m.PrePrepare(_, _, _, batch) if batch.requests:
            twin = other_batch(batch)
            changes += [{"batch": twin}, {"batch": twin, "digest": twin.digest}]
        case m.BatchBody(batch) | m.Committed(_, batch):
            changes.append({"batch": other_batch(batch)})
        case m.State(_, batches):
            changes += [{"batches": ()}, {"batches": tuple(map(other_batch, batches))}]
        case m.Status(_, active):
            changes.append({"active": not active})
        case _:
            pass
    made = [replace(message, **change) for change in changes]
    return [mutant for mutant in made if mutant != message]


def signed_anew(message: Any, signer: Signer) -> Any:
    """The same content under this signer's own signature."""
    match message:
        case m.PrePrepare(view, seq, digest, batch):
            statement = m.pre_prepare_statement(view, seq, digest)
            return m.PrePrepare(view, seq, digest, batch, signer.sign(statement))
        case m.Prepare(view, seq, digest):
            return m.prepare(signer, view, seq, digest)
        case m.Commit(view, seq, digest):
            return m.commit(signer, view, seq, digest)
        case m.Checkpoint(seq, history, state):
            return m.checkpoint(signer, seq, history, state)
        case m.ViewChange(view, low, stable, prepared):
            return m.view_change(signer, view, low, stable, prepared)
        case m.NewView(view, votes, assignments):
            pairs = tuple((a.seq, a.digest) for a in assignments)
            return m.new_view(signer, view, votes, pairs)
        case _:
            return message
