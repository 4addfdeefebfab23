"""The end of a round: the coordinator's proposal, and the replicas that have computed it too.

The proposal has to name the inputs root over exactly the revealed updates, so nobody can be left
out or weighed differently. Where the task's rule works on integers, every replica computes the
result from the bytes that it holds and puts its root on the ledger. A quorum of equal roots closes
the round; more dissenting replicas than can be faulty reject the proposal, which names the
coordinator in evidence, and leave it to propose again.

Source: the project's protocol, sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Mapping

from simulation.base.encoding import Value
from simulation.contracts.aggregation import inputs_root
from simulation.contracts.committee import committee
from simulation.contracts.evidence import Evidence, accuse
from simulation.contracts.fields import digest, natural, require_keys, rows, text
from simulation.contracts.parameters import parameters
from simulation.contracts.phases import open_round, put_status, set_phase
from simulation.contracts.round_keys import aggregate_key, confirmation_key
from simulation.contracts.rounds import (
    CLOSED,
    OPEN,
    PROPOSED,
    REVEALED,
    SEALED,
    VOID,
    Aggregate,
    RoundState,
    Status,
    confirmations,
    read_round,
    round_status,
)
from simulation.ledger.runtime import Context, Recorded, Rejected
from simulation.ledger.state import Journal


def propose(state: Journal, context: Context, body: Mapping[str, Value]) -> None:
    """``task.aggregate``: ``{round, hospitals, inputs_root, out_root, out_cid}``.

    Of too few updates it is ``hospitals: []`` with the base model as result. A coordinator that
    leaves a revealed update out, or weighs one differently, is named.
    """
    require_keys(body, ("round", "hospitals", "inputs_root", "out_root", "out_cid"))
    number = natural(body["round"])
    hospitals = tuple(natural(hospital) for hospital in rows(body["hospitals"]))
    if list(hospitals) != sorted(set(hospitals)):
        raise Rejected("malformed")
    proposal = Aggregate(
        hospitals,
        digest(body["inputs_root"]),
        digest(body["out_root"]),
        text(body["out_cid"]),
        context.height,
        context.sender,
    )
    known = parameters(state)
    if known.protocol == "hash_only":
        _close_as_told(state, context, open_round(state, number, OPEN), proposal)
        return
    current = open_round(state, number, REVEALED)
    revealed = tuple(sorted(current.openings))
    used = revealed if len(revealed) >= known.least_updates else ()
    expected = inputs_root([row for row in current.inputs if row[0] in used])
    if hospitals != used or proposal.inputs_root != expected:
        missing = [h for h in used if h not in hospitals]
        proof: dict[str, Value] = {
            "expected": expected,
            "proposed": proposal.inputs_root,
            "transaction": context.transaction,
            "omitted": list(missing),
        }
        kind = "omission" if missing else "wrong-inputs"
        accuse(
            state, Evidence(context.sender, kind, number, context.height, proof), quarantine=False
        )
        raise Recorded("wrong-inputs")
    if not used and proposal.out_root != current.base_root:
        raise Rejected("void-changes-model")
    _put(state, number, proposal)
    if not used or known.rule is None:
        _end(state, context, current, proposal)
        return
    set_phase(state, context, current, PROPOSED)
    if not _decide(state, context, number):
        # Written down and already refuted: the transaction itself is told so.
        raise Recorded("wrong-aggregate")


def confirm(state: Journal, context: Context, body: Mapping[str, Value]) -> None:
    """``task.confirm``: ``{round, out_root}``, once per replica, from the end of the reveals on."""
    require_keys(body, ("round", "out_root"))
    number, out_root = natural(body["round"]), digest(body["out_root"])
    known = parameters(state)
    if known.rule is None:
        raise Rejected("no-rule")
    if context.sender not in committee(state).replicas:
        raise Rejected("not-a-replica")
    word = round_status(state, number)
    if word is None:
        raise Rejected("round-not-open")
    if word in (OPEN, SEALED, VOID):
        raise Rejected("wrong-phase")
    if state.get(confirmation_key(number, context.sender)) is not None:
        raise Rejected("duplicate-confirm")
    state.put(confirmation_key(number, context.sender), out_root)
    if word == PROPOSED:
        _decide(state, context, number)


def _decide(state: Journal, context: Context, number: int) -> bool:
    """Close the round or reject the proposal, once enough replicas have spoken.

    Returns whether the proposal still stands.
    """
    current, voting = read_round(state, number), committee(state)
    assert current is not None
    proposal = current.aggregate
    assert proposal is not None
    said = confirmations(state, number)
    agreeing = sum(root == proposal.out_root for root in said.values())
    if agreeing >= voting.quorum:
        _end(state, context, current, proposal)
        return True
    # Only as many as can be faulty may err; one more, and an honest replica disagrees.
    if len(said) - agreeing < voting.holders:
        return True
    proof: dict[str, Value] = {
        "proposed": proposal.out_root,
        "computed": [[replica, root] for replica, root in sorted(said.items())],
    }
    entry = Evidence(proposal.proposer, "wrong-aggregate", number, context.height, proof)
    accuse(state, entry, quarantine=False)
    state.put(aggregate_key(number), None)
    set_phase(state, context, current, REVEALED)
    return False


def _close_as_told(
    state: Journal, context: Context, current: RoundState, proposal: Aggregate
) -> None:
    """The ablation's end of a round: any commitments that the coordinator says it has used."""
    if any(hospital not in current.commits for hospital in proposal.hospitals):
        raise Rejected("no-commit")
    used = [row for row in current.inputs if row[0] in proposal.hospitals]
    if proposal.inputs_root != inputs_root(used):
        raise Rejected("wrong-inputs")
    if not used and proposal.out_root != current.base_root:
        raise Rejected("void-changes-model")
    _put(state, current.round, proposal)
    _end(state, context, current, proposal)


def _end(state: Journal, context: Context, current: RoundState, proposal: Aggregate) -> None:
    set_phase(state, context, current, CLOSED if proposal.hospitals else VOID)
    put_status(state, Status(current.round, False, proposal.out_root))


def _put(state: Journal, number: int, proposal: Aggregate) -> None:
    state.put(
        aggregate_key(number),
        {
            "hospitals": list(proposal.hospitals),
            "inputs_root": proposal.inputs_root,
            "out_root": proposal.out_root,
            "out_cid": proposal.out_cid,
            "height": proposal.height,
            "proposer": proposal.proposer,
        },
    )
