"""The task contract, rule by rule."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.digest import Tag, tagged_hash
from simulation.base.encoding import encode
from simulation.base.merkle import merkle_root
from simulation.contracts import privacy, task
from simulation.contracts.aggregation import MAX_WEIGHT, inputs_root
from simulation.contracts.commitments import holding
from simulation.contracts.evidence import evidence
from simulation.contracts.members import sequence_key
from simulation.ledger.genesis import Genesis
from simulation.ledger.runtime import Recorded
from simulation.ledger.state import Journal
from simulation.ledger.transaction import transaction_id

HOSPITALS, COORDINATOR = 4, 4
INITIAL, SALT = b"i" * 32, b"s" * 32


def update_root(hospital: int) -> bytes:
    return bytes([hospital]) * 32


DP = {
    "epsilon_e6": 1_000_000, "delta_e12": 10, "sigma_e6": 1, "clip_e6": 1, "sampling_e6": 1,
    "steps": 9, "sampler": "poisson", "accountant": "prv", "accountant_version": "1",
    "neighbours": "add-or-remove-one", "unit": "record",
}  # fmt: skip


# ---- the whole path -----------------------------------------------------------------------------


def test_a_round_from_open_to_close(bench) -> None:
    """Open, commit, seal, reveal, aggregate, close; and the next round cites the result."""
    codes = [bench.open(), bench.commit(0), bench.decline(1), bench.commit(2, dp=DP)]
    sealed = task.round(bench.copy, 1)
    codes += [bench.reveal(2), bench.reveal(0)]
    revealed = task.round(bench.copy, 1)
    codes.append(bench.aggregate((0, 2)))

    assert codes == ["ok"] * 7
    assert (sealed.status, revealed.status) == ("sealed", "revealed")
    closed = task.round(bench.copy, 1)
    assert closed.status == "closed"
    assert closed.base_root == INITIAL
    assert closed.eligible == (0, 1, 2)
    assert sorted(closed.commits) == [0, 2]
    assert closed.declined == {1: "wrong-base"}
    assert closed.commits[2].dp == DP
    assert (closed.commits[0].height, closed.aggregate.height) == (2, 7)
    assert closed.commits[0].commitment == bench.commitment(0)
    leaves = [encode([h, bench.commitment(h)]) for h in (0, 2)]
    assert sealed.commits_root == closed.commits_root == merkle_root(leaves)
    assert closed.aggregate.hospitals == (0, 2)
    assert closed.openings[2].salt == SALT
    assert closed.openings[2].holders == (0, 1)
    assert closed.withheld == ()
    assert task.status(bench.copy) == task.Status(1, False, closed.aggregate.out_root)
    assert bench.open(2) == "ok"
    assert task.round(bench.copy, 2).base_root == closed.aggregate.out_root


def test_an_aggregate_of_nothing_leaves_the_model_as_it_was(bench) -> None:
    """Nothing revealed = void round; then out_root must equal base_root."""
    bench.open()
    for hospital in (0, 1, 2):
        bench.decline(hospital)

    assert task.round(bench.copy, 1).status == "revealed", "nobody is waited for"
    assert bench.aggregate((), out_root=b"x" * 32) == "void-changes-model"
    assert bench.aggregate(()) == "ok"
    assert task.round(bench.copy, 1).status == "void"
    assert task.status(bench.copy) == task.Status(1, False, INITIAL)
    assert bench.open(2) == "ok"


def test_too_few_updates_make_a_round_void(make_bench) -> None:
    """Quorum of updates: the coordinator can neither use fewer nor call a full round void."""
    bench = make_bench(more={"min_updates": 2})
    bench.play("revealed", (1,))

    assert bench.aggregate((1,)) == "wrong-inputs"
    assert bench.aggregate(()) == "ok"
    bench.play("revealed", (0, 1), 2)
    assert bench.aggregate((), 2) == "wrong-inputs"
    assert bench.aggregate((0, 1), 2) == "ok"


def test_a_genesis_may_leave_the_first_model_open(make_bench) -> None:
    """Without an initial root the first round names its model; from then on it is fixed."""
    bench = make_bench(initial=None)
    assert task.initial_root(bench.copy) is None

    assert bench.open(base_root=b"z" * 32) == "ok"
    end(bench)
    assert bench.open(2, base_root=b"y" * 32) == "wrong-base"
    assert bench.open(2, base_root=b"z" * 32) == "ok"


def end(bench, number: int = 1) -> None:
    """End a round without a result."""
    for hospital in task.round(bench.copy, number).eligible:
        bench.decline(hospital, number)
    assert bench.aggregate((), number) == "ok"


def test_rounds_that_never_were_are_none(bench) -> None:
    """Reads of an empty ledger."""
    assert task.round(bench.copy, 1) is None
    assert task.commit_of(bench.copy, 1, 0) is None
    assert task.status(bench.copy) == task.Status(0, False, INITIAL)
    assert task.task_name(bench.copy) == "t"
    assert task.initial_root(bench.copy) == INITIAL


@pytest.mark.parametrize("change", [{"name": 3}, {"initial_root": b"x"}, {"initial_root": "x"}])
def test_a_genesis_without_a_task_is_refused(bench, change) -> None:
    """A chain's task has a name and a first model."""
    old = bench.genesis
    parameters = {"name": "t", "initial_root": None, **change}
    genesis = Genesis("t", old.members, old.replicas, old.quorum, parameters)

    with pytest.raises(ValueError, match="task: needs name"):
        task.require_parameters(genesis)


# ---- open ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"round": 0}, "wrong-round"),
        ({"round": 2}, "wrong-round"),
        ({"base_root": b"x" * 32}, "wrong-base"),
        ({"eligible": []}, "malformed"),
        ({"eligible": [1, 0]}, "malformed"),
        ({"eligible": [0, 0]}, "malformed"),
        ({"eligible": [0, 4]}, "not-a-hospital"),
        ({"eligible": [0, 77]}, "not-a-hospital"),
        ({"eligible": 0}, "malformed"),
        ({"eligible": "01"}, "malformed"),
        ({"eligible": [True]}, "malformed"),
        ({"more": 1}, "malformed"),
    ],
)
def test_what_opens_no_round(bench, change, code: str) -> None:
    """Accepted iff round = last closed + 1 and base_root is the last closed round's result."""
    assert bench.open(**change) == code
    assert task.status(bench.copy).round == 0


def test_one_round_at_a_time(bench) -> None:
    """The next round opens when the last one is closed."""
    bench.open()

    assert bench.open(2) == "round-still-open"
    assert bench.open(1) == "round-still-open"
    end(bench)
    assert bench.open(1) == "wrong-round"
    assert bench.open(3) == "wrong-round"
    assert bench.open(2) == "ok"


# ---- commit -------------------------------------------------------------------------------------


def test_the_first_commitment_wins(bench) -> None:
    """One per hospital and round; first wins."""
    bench.open()
    bench.commit(1)

    assert bench.commit(1) == "duplicate-commit"
    assert bench.commit(1, commitment=b"2" * 32) == "equivocation"
    assert task.commit_of(bench.copy, 1, 1).commitment == bench.commitment(1)


def test_who_is_not_eligible_cannot_commit(bench) -> None:
    """Eligible hospitals are named when the round opens."""
    bench.open()

    assert bench.commit(3) == "not-eligible"
    end(bench)
    bench.open(2, eligible=[1, 3])
    assert bench.commit(3, 2) == "ok"
    assert bench.commit(0, 2) == "not-eligible"


@pytest.mark.parametrize("number", [0, 2, 3])
def test_commitments_need_their_round(bench, number: int) -> None:
    """Round open."""
    assert bench.commit(0, 1) == "round-not-open"
    bench.open()
    assert bench.commit(0, number) == "round-not-open"
    end(bench)
    assert bench.commit(1, 1) == "round-not-open"


DP_DEFECTS = [
    {},
    {**DP, "more": 1},
    {k: v for k, v in DP.items() if k != "steps"},
    {**DP, "epsilon_e6": -1},
    {**DP, "steps": "9"},
    {**DP, "sampler": ""},
    {**DP, "sampler": "x" * 129},
    {**DP, "accountant": 1},
    {**DP, "delta_e12": None},
    {**DP, "unit": "ward"},
    [],
    1,
]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"base_root": b"x" * 32}, "wrong-base"),
        ({"commitment": b"x" * 31}, "malformed"),
        ({"commitment": "x" * 32}, "malformed"),
        ({"nbytes": -1}, "malformed"),
        ({"examples": None}, "malformed"),
        ({"round": "1"}, "malformed"),
        ({"more": 1}, "malformed"),
        ({"cid": "bafy0"}, "malformed"),
        *[({"dp": defect}, "malformed") for defect in DP_DEFECTS],
    ],
)
def test_what_is_no_commitment(bench, change, code: str) -> None:
    """Bodies have one shape, and base_root matches the round's."""
    bench.open()

    assert bench.commit(0, **change) == code
    assert task.commit_of(bench.copy, 1, 0) is None


@pytest.mark.parametrize(("protected", "code"), [("record", "other-unit"), ("patient", "ok")])
def test_a_claim_protects_what_the_policy_says(make_bench, protected: str, code: str) -> None:
    """The unit is a field of the claim, record or patient; budgets of the two do not mix."""
    bench = make_bench(more={"privacy": {"unit": "breast:patient", "cap_e6": None}})
    bench.open()

    assert bench.commit(0, dp={**DP, "unit": protected}) == code


def test_every_spend_leaves_its_mechanism_on_the_ledger(make_bench) -> None:
    """Hospital, round, sigma, C, q, steps, delta, neighbours, unit, sampler, accountant, version,
    epsilon before and after; kept if the round aborts."""
    bench = make_bench(more={"min_updates": 2})
    key = privacy.entry_key("record", 0, "t", 1)
    bench.open()
    bench.commit(0, dp=DP)
    assert bench.copy.get(key) == {
        **DP, "hospital": 0, "round": 1, "before_e6": 0, "after_e6": 1_000_000,
        "status": "reserved",
    }  # fmt: skip
    bench.decline(1)
    bench.decline(2)
    bench.reveal(0)
    bench.aggregate(())
    assert task.round(bench.copy, 1).status == "void"
    bench.open(2)
    bench.commit(0, 2, dp={**DP, "epsilon_e6": 1_500_000})

    assert bench.copy.get(key)["status"] == "spent"
    second = bench.copy.get(privacy.entry_key("record", 0, "t", 2))
    assert (second["before_e6"], second["after_e6"]) == (1_000_000, 1_500_000)


# ---- reveal -------------------------------------------------------------------------------------


def sign(bench, signer: int, hospital: int, root: bytes, cid: str = "bafy0") -> bytes:
    return bench.keys[signer].sign(holding(bench.genesis.chain_id, "t", 1, hospital, root, cid))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"update_root": b"x" * 32}, "opening-mismatch"),
        ({"salt": b"x" * 32}, "opening-mismatch"),
        ({"salt": b"x"}, "malformed"),
        ({"update_root": b"x"}, "malformed"),
        ({"cid": ""}, "malformed"),
        ({"cid": "other"}, "bad-holding"),
        ({"more": 1}, "malformed"),
        ({"holdings": []}, "too-few-holders"),
        ({"holdings": [0]}, "malformed"),
        ({"holdings": [[0, b"x"]]}, "malformed"),
        ({"holdings": [[0, bytes(64)], [1, bytes(64)]]}, "bad-holding"),
        ({"holdings": [[1, bytes(64)], [0, bytes(64)]]}, "malformed"),
        ({"holdings": [[0, bytes(64)], [0, bytes(64)]]}, "malformed"),
        ({"holders": (0,)}, "too-few-holders"),
        ({"holders": (0, 4)}, "not-a-replica"),
        ({"round": 2}, "round-not-open"),
    ],
)
def test_what_reveals_nothing(bench, change, code: str) -> None:
    """The contract recomputes C from what it stored; f + 1 replicas hold the bytes."""
    bench.play("sealed")

    assert bench.reveal(0, **change) == code
    assert task.round(bench.copy, 1).openings == {}
    assert bench.reveal(0) == "ok", "an honest reveal is still possible"


def test_a_signature_for_other_bytes_vouches_for_nothing(bench) -> None:
    """A holder signs for this update of this hospital in this round."""
    bench.play("sealed")
    right = sign(bench, 0, 0, bytes(32))
    wrong = [sign(bench, 1, 2, bytes(32)), sign(bench, 1, 0, b"x" * 32)]

    for signature in wrong:
        assert bench.reveal(0, holdings=[[0, right], [1, signature]]) == "bad-holding"


def test_nothing_is_revealed_before_the_seal(bench) -> None:
    """Nothing is revealed before."""
    bench.open()
    bench.commit(0)

    assert bench.reveal(0) == "wrong-phase"
    bench.commit(1)
    assert bench.reveal(0) == "wrong-phase"
    bench.commit(2)
    assert bench.reveal(0) == "ok"
    assert bench.reveal(0) == "duplicate-reveal"


def test_after_the_seal_nobody_commits(bench) -> None:
    """The commit set is frozen."""
    bench.play("sealed")

    assert bench.commit(1) == "wrong-phase"
    assert bench.reveal(1) == "no-commit"


def test_a_copied_commitment_cannot_be_opened(bench) -> None:
    """Copycat of another's commitment: the hospital's id is inside."""
    bench.open()
    bench.commit(0)
    bench.commit(1, commitment=bench.commitment(0))
    bench.decline(2)
    bench.reveal(0)
    copied = [[h, sign(bench, h, 1, bytes(32))] for h in (0, 1)]

    code = bench.reveal(1, update_root=bytes(32), cid="bafy0", holdings=copied)

    assert code == "opening-mismatch"


def test_under_hash_only_a_copied_digest_passes(make_bench) -> None:
    """hash_only: unsalted digest without identity, no seal: the copycat succeeds."""
    bench = make_bench(more={"protocol": "hash_only"})
    bench.open()
    bench.commit(0, commitment=update_root(0))

    assert bench.commit(1, commitment=update_root(0), cid="bafy0") == "ok"
    twice = inputs_root([(0, 100, update_root(0)), (1, 100, update_root(0))])
    assert bench.aggregate((0, 1), inputs_root=twice) == "ok"
    assert bench.commit(2) == "round-not-open"


def test_under_hash_only_the_coordinator_may_leave_anybody_out(make_bench) -> None:
    """What the ablation lacks: the set of participants is not fixed."""
    bench = make_bench(more={"protocol": "hash_only"})
    bench.open()
    for hospital in (0, 1, 2):
        bench.commit(hospital, commitment=update_root(hospital))

    assert bench.aggregate((3,)) == "no-commit"
    assert bench.aggregate((0,)) == "ok"


def test_the_openings_of_one_round_open_no_other(bench) -> None:
    """Replay in another round: round and base root are inside."""
    bench.play("revealed")
    first = bench.commitment(0)
    bench.aggregate()
    bench.open(2)
    bench.commit(0, 2, commitment=first)
    bench.decline(1, 2)
    bench.decline(2, 2)

    assert bench.reveal(0, 2) == "opening-mismatch"


# ---- deadlines ----------------------------------------------------------------------------------

DEADLINES = {"commit_blocks": 3, "commit_us": 1000, "reveal_blocks": 2, "reveal_us": 500}


def tick(bench, action: str, sender: int = 3) -> str:
    return bench.do(sender, f"task.{action}", {"round": 1})


def test_a_seal_waits_for_time_and_height(make_bench) -> None:
    """At H_commit: by height and by header time; any member may tick, and a tick makes a block."""
    bench = make_bench(more={"deadlines": DEADLINES}, time_us=10)
    bench.open()
    bench.commit(0)

    assert tick(bench, "seal") == "too-early"
    bench.time_us = 10 + 990
    assert [tick(bench, "seal") for _ in range(3)] == ["too-early"] * 3, "height has passed"
    bench.time_us = 10 + 1000
    assert bench.commit(1) == "too-late"
    assert tick(bench, "seal") == "ok"
    assert tick(bench, "seal") == "wrong-phase"
    assert sorted(task.round(bench.copy, 1).commits) == [0]


def test_time_alone_seals_nothing(make_bench) -> None:
    """A primary with a fast clock cannot cut hospitals off: blocks have to pass, too."""
    bench = make_bench(more={"deadlines": DEADLINES})
    bench.open()
    bench.time_us = 10**9

    assert [tick(bench, "seal") for _ in range(3)] == ["too-early", "too-early", "ok"]


def test_a_missing_reveal_is_withheld_and_the_round_goes_on(make_bench) -> None:
    """At H_reveal a missing reveal is withheld; the round goes on without it."""
    bench = make_bench(more={"deadlines": DEADLINES})
    bench.play("sealed", (0, 2))
    bench.reveal(2)

    assert tick(bench, "close_reveal") == "too-early"
    bench.time_us = 10**6
    assert bench.reveal(0) == "too-late"
    assert tick(bench, "close_reveal", 0) == "ok"
    assert task.round(bench.copy, 1).withheld == (0,)
    assert bench.reveal(0) == "wrong-phase"
    assert bench.aggregate((0, 2)) == "wrong-inputs"
    assert bench.aggregate((2,)) == "ok"


def test_without_deadlines_no_tick_ends_anything(bench) -> None:
    """A task whose genesis sets no deadlines waits for everybody."""
    bench.time_us = 10**12
    bench.open()

    assert tick(bench, "seal") == "too-early"


# ---- quarantine ---------------------------------------------------------------------------------


def test_two_signed_commitments_are_evidence(bench) -> None:
    """A second, different signed commit is evidence -> quarantine until the end of the task."""
    bench.open()
    bench.commit(0)
    bench.commit(1)

    code = bench.commit(1, commitment=b"2" * 32)

    assert code == "equivocation"
    entry = evidence(bench.copy)[0]
    assert (entry.node, entry.kind, entry.round, entry.height) == (1, "equivocation", 1, 4)
    pair = [transaction_id(bench.copy.block(h).transactions[0]) for h in (3, 4)]
    assert [entry.proof["first"], entry.proof["second"]] == pair
    assert bench.commit(1, commitment=b"3" * 32) == "equivocation"
    assert len(evidence(bench.copy)) == 1, "one entry is enough"
    bench.commit(2)
    assert bench.reveal(1) == "quarantined"
    assert [bench.reveal(0), bench.reveal(2)] == ["ok", "ok"]
    assert task.round(bench.copy, 1).status == "revealed", "nobody waits for a quarantined one"
    bench.aggregate((0, 2))
    bench.open(2)
    assert bench.commit(1, 2) == "quarantined"


def test_equivocation_after_the_seal_is_evidence_too(bench) -> None:
    """The pair proves it whenever it comes."""
    bench.play("sealed")

    assert bench.commit(0, commitment=b"2" * 32) == "equivocation"
    assert bench.reveal(2) == "ok"
    assert task.round(bench.copy, 1).status == "revealed"
    assert task.round(bench.copy, 1).withheld == (0,)


# ---- aggregate ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"hospitals": [1]}, "wrong-inputs"),
        ({"hospitals": [0]}, "wrong-inputs"),
        ({"hospitals": []}, "wrong-inputs"),
        ({"hospitals": [0, 2, 77]}, "wrong-inputs"),
        ({"inputs_root": b"x" * 32}, "wrong-inputs"),
        ({"hospitals": [2, 0]}, "malformed"),
        ({"hospitals": [0, 0]}, "malformed"),
        ({"out_root": b"x"}, "malformed"),
        ({"out_cid": ""}, "malformed"),
        ({"out_cid": b"bafy"}, "malformed"),
        ({"more": 1}, "malformed"),
        ({"round": 2}, "round-not-open"),
    ],
)
def test_what_closes_no_round(bench, change, code: str) -> None:
    """An aggregate is over exactly the revealed updates, with the weights on the ledger."""
    bench.play("revealed")

    assert bench.aggregate(**change) == code
    assert task.round(bench.copy, 1).status == "revealed"
    assert bench.aggregate() == "ok"


def test_a_coordinator_that_leaves_an_update_out_is_named(bench) -> None:
    """Coordinator drops an update: rejected and named."""
    bench.play("revealed")

    assert bench.aggregate((0,)) == "wrong-inputs"
    entry = evidence(bench.copy)[0]
    assert (entry.node, entry.kind) == (COORDINATOR, "omission")
    assert list(entry.proof["omitted"]) == [2]


def test_one_aggregate_per_round(bench) -> None:
    """One per round."""
    bench.play("revealed")
    assert bench.aggregate() == "ok"

    assert bench.aggregate() == "round-not-open"
    assert bench.aggregate(()) == "round-not-open"


# ---- what replicas have computed ----------------------------------------------------------------

RESULT = bytes([101]) * 32
LIE = b"!" * 32


@pytest.fixture
def ruled(make_bench):
    bench = make_bench(more={"rule": {"kind": "fedavg"}})
    bench.play("revealed")
    return bench


def test_a_quorum_of_equal_results_closes_the_round(ruled) -> None:
    """Every replica recomputes; a quorum of them has to get the coordinator's result."""
    assert ruled.confirm(3, RESULT) == "ok", "replicas need not wait for the proposal"
    assert ruled.aggregate() == "ok"
    assert task.round(ruled.copy, 1).status == "proposed"
    assert ruled.confirm(0, RESULT) == "ok"
    assert ruled.open(2) == "round-still-open"
    assert ruled.confirm(0, RESULT) == "duplicate-confirm"
    assert ruled.confirm(1, RESULT) == "ok"
    assert task.round(ruled.copy, 1).status == "closed"
    assert ruled.confirm(2, RESULT) == "ok", "a late word changes nothing"
    assert task.status(ruled.copy).root == RESULT
    assert evidence(ruled.copy) == ()


def test_a_coordinator_that_scales_the_aggregate_is_rejected_and_named(ruled) -> None:
    """A coordinator that tampers is rejected and named; the honest result still closes."""
    ruled.aggregate(out_root=LIE)
    ruled.confirm(0, RESULT)
    assert task.round(ruled.copy, 1).status == "proposed", "one dissenter may be the liar"
    ruled.confirm(1, RESULT)

    assert task.round(ruled.copy, 1).status == "revealed"
    entry = evidence(ruled.copy)[0]
    assert (entry.node, entry.kind) == (COORDINATOR, "wrong-aggregate")
    assert entry.proof["proposed"] == LIE
    assert ruled.aggregate(out_root=LIE) == "wrong-aggregate", "refuted as it comes"
    ruled.confirm(2, RESULT)
    assert ruled.aggregate() == "ok"
    assert task.round(ruled.copy, 1).status == "closed"


def test_a_lying_replica_neither_closes_nor_rejects(ruled) -> None:
    """f replicas may lie: their word alone decides nothing."""
    ruled.confirm(3, LIE)
    ruled.aggregate()
    for replica in (0, 1):
        ruled.confirm(replica, RESULT)
    assert task.round(ruled.copy, 1).status == "proposed"
    ruled.confirm(2, RESULT)
    assert task.round(ruled.copy, 1).status == "closed"
    assert evidence(ruled.copy) == ()


def test_who_has_no_word_on_the_result(make_bench, bench) -> None:
    """Replicas confirm, where the task has a rule, from the end of the reveals on."""
    bench.play("revealed")
    assert bench.confirm(0, RESULT) == "no-rule"
    ruled = make_bench(more={"rule": {"kind": "median"}})
    assert ruled.confirm(0, RESULT) == "round-not-open"
    ruled.play("sealed")
    assert ruled.confirm(0, RESULT) == "wrong-phase"
    assert ruled.confirm(COORDINATOR, RESULT) == "wrong-role"


def test_weights_cannot_overflow_the_integers(make_bench) -> None:
    """Range-checked, overflow impossible by construction: weights are limited at commit."""
    bench = make_bench(more={"rule": {"kind": "fedavg"}})
    bench.open()

    assert bench.commit(0, examples=MAX_WEIGHT // 3 + 1) == "weight-out-of-range"
    assert bench.commit(0, examples=0) == "weight-out-of-range"
    assert bench.commit(0, examples=MAX_WEIGHT // 3) == "ok"


@pytest.mark.parametrize(
    "more",
    [
        {"rule": "fedavg"},
        {"rule": {"kind": "mean"}},
        {"protocol": "none"},
        {"protocol": "hash_only", "rule": {"kind": "median"}},
        {"min_updates": 0},
        {"deadlines": {"commit_blocks": 1}},
        {"deadlines": {**DEADLINES, "commit_us": -1}},
        {"privacy": {"unit": "record"}},
    ],
)
def test_parameters_that_make_no_sense_are_refused(make_bench, more) -> None:
    """A chain's task says what everybody is held to, or there is no chain."""
    with pytest.raises(ValueError, match=r"task|rule"):
        make_bench(more=more)


# ---- privacy ------------------------------------------------------------------------------------

CAPPED = {"privacy": {"unit": "breast:record", "cap_e6": 2_000_000}}


def claim(epsilon: float) -> dict[str, object]:
    return {**DP, "epsilon_e6": round(epsilon * 1e6)}


def spent(bench, hospital: int = 0) -> tuple[int, int | None]:
    account = privacy.account(bench.copy, hospital)
    return account.spent_e6, account.reserved_e6


def test_privacy_is_reserved_at_commit_and_spent_at_the_seal(make_bench) -> None:
    """epsilon reserved at commit, spent at seal, whether or not it is revealed."""
    bench = make_bench(more=CAPPED)
    bench.open()
    bench.commit(0, dp=claim(0.5))
    assert spent(bench) == (0, 500_000)
    bench.decline(1)
    bench.decline(2)
    assert task.round(bench.copy, 1).status == "sealed"
    assert spent(bench) == (500_000, None)


def test_a_claim_above_the_cap_is_refused_visibly_and_the_round_goes_on(make_bench) -> None:
    """Refused at the cap; the refusal is on the ledger and the round goes on."""
    bench = make_bench(more=CAPPED)
    bench.open()

    assert bench.commit(0, dp=claim(2.1)) == "budget-exceeded"
    assert bench.commit(0, dp=claim(1.0)) == "declined"
    bench.decline(1)
    assert bench.commit(2, dp=claim(2.0)) == "ok", "the cap itself may be reached"
    found = task.round(bench.copy, 1)
    assert found.status == "sealed"
    assert found.declined[0] == "budget-exceeded"
    assert privacy.account(bench.copy, 0).exhausted
    assert spent(bench, 0) == (0, None)


def test_claims_never_fall_and_never_lack_under_a_cap(make_bench) -> None:
    """The claim is that of the whole history."""
    bench = make_bench(more=CAPPED)
    bench.open()
    assert bench.commit(0) == "no-privacy-claim"
    bench.commit(0, dp=claim(1.0))
    bench.decline(1)
    bench.decline(2)
    bench.reveal(0)
    bench.aggregate((0,))
    bench.open(2)

    assert bench.commit(0, 2, dp=claim(0.9)) == "privacy-falls"
    assert bench.commit(0, 2, dp=claim(1.4)) == "ok"
    assert spent(bench) == (1_000_000, 1_400_000)


def test_what_an_earlier_task_has_spent_counts(make_bench) -> None:
    """Keyed by hospital and data unit across tasks."""
    bench = make_bench(more=CAPPED)
    journal = Journal(bench.copy._state)
    privacy.reserve(journal, "first", 1, 0, claim(1.5))
    privacy.spend(journal, 0)

    privacy.reserve(journal, "second", 1, 0, claim(0.5))
    privacy.spend(journal, 0)

    account = privacy.account(journal, 0)
    assert (account.earlier_e6, account.spent_e6) == (1_500_000, 500_000)
    with pytest.raises(Recorded, match="budget-exceeded"):
        privacy.reserve(journal, "second", 2, 0, claim(0.500001))


# ---- commitments --------------------------------------------------------------------------------


def test_the_commitment_is_the_protocols_formula() -> None:
    """C = TH(commit, cbor([chain, task, round, base_root, hospital]) ‖ update_root ‖ salt)."""
    parts = (b"c" * 32, "t", 3, b"b" * 32, 2)

    digest = task.commitment(*parts, b"u" * 32, SALT)

    assert digest == tagged_hash(Tag.COMMIT, encode(list(parts)) + b"u" * 32 + SALT)


def test_every_part_is_in_the_commitment() -> None:
    """Nothing can be exchanged under a commitment."""
    parts = [b"c" * 32, "t", 3, b"b" * 32, 2, b"u" * 32, SALT]
    others = [b"C" * 32, "T", 4, b"B" * 32, 1, b"U" * 32, b"S" * 32]

    digests = {task.commitment(*parts)}
    for i, other in enumerate(others):
        digests.add(task.commitment(*parts[:i], other, *parts[i + 1 :]))

    assert len(digests) == 8


def test_parts_of_other_lengths_are_refused() -> None:
    """Fixed lengths, so that the parts cannot be shifted against one another."""
    for root, salt in ((b"u" * 31, SALT), (b"u" * 32, b""), (b"u" * 33, b"s" * 31)):
        with pytest.raises(ValueError, match="32 bytes"):
            task.commitment(b"c" * 32, "t", 3, b"b" * 32, 2, root, salt)


# ---- who may do what, when ----------------------------------------------------------------------

PHASES = ("before", "open", "sealed", "revealed", "closed")
KINDS = ("open", "commit", "decline", "seal", "reveal", "close_reveal", "aggregate", "confirm")
SENDERS = {"committed": 0, "eligible": 1, "outsider": 3, "coordinator": COORDINATOR, "stranger": 5}
ROLES = {
    "open": {"coordinator"},
    "aggregate": {"coordinator"},
    "seal": set(SENDERS) - {"stranger"},
    "close_reveal": set(SENDERS) - {"stranger"},
}
HOSPITALS_ONLY = {"committed", "eligible", "outsider"}
NOT_OPEN, WRONG = "round-not-open", "wrong-phase"
# By kind: what the right role is told in each phase; by sender where senders differ. Hospital 0 has
# committed when the round is open, hospital 1 has not, and sits the round out later.
TOLD = {
    "open": ["ok", *["round-still-open"] * 3, "wrong-round"],
    "commit": [
        NOT_OPEN,
        {"committed": "duplicate-commit", "eligible": "ok", "outsider": "not-eligible"},
        WRONG, WRONG, NOT_OPEN,
    ],
    "decline": [
        NOT_OPEN,
        {"committed": "already-answered", "eligible": "ok", "outsider": "not-eligible"},
        WRONG, WRONG, NOT_OPEN,
    ],
    "seal": [NOT_OPEN, "too-early", WRONG, WRONG, NOT_OPEN],
    "reveal": [
        NOT_OPEN, WRONG,
        {"committed": "ok", "eligible": "no-commit", "outsider": "no-commit"},
        WRONG, NOT_OPEN,
    ],
    "close_reveal": [NOT_OPEN, WRONG, "too-early", WRONG, NOT_OPEN],
    "aggregate": [NOT_OPEN, WRONG, WRONG, "ok", NOT_OPEN],
    "confirm": [NOT_OPEN, WRONG, WRONG, "ok", "ok"],
}  # fmt: skip


@pytest.mark.parametrize(("phase", "kind", "who"), list(itertools.product(PHASES, KINDS, SENDERS)))
def test_the_authorisation_matrix(make_bench, phase: str, kind: str, who: str) -> None:
    """Every role x every transaction x every state of the round: the rest is rejected."""
    bench = make_bench(more={"rule": {"kind": "fedavg"}})
    sender = SENDERS[who]
    if phase == "open":
        bench.open()
        bench.commit(0)
    elif phase != "before":
        bench.play("revealed" if phase == "closed" else phase)
    if phase == "closed":
        bench.aggregate()
        for replica in (0, 1, 2):
            bench.do(replica, "task.nothing", {})
        for replica in (2, 3, 0) if who == "eligible" else (1, 2, 4):
            if replica < 4:
                bench.confirm(replica, RESULT)
        if who != "eligible":
            bench.confirm(3 if who == "committed" else 0, RESULT)
        assert task.round(bench.copy, 1).status == "closed"
    hospital = min(sender, 3)
    bodies = {
        "open": bench.opening_body(1),
        "commit": bench.commit_body(hospital),
        "decline": {"round": 1, "reason": "x"},
        "seal": {"round": 1},
        "reveal": bench.reveal_body(hospital),
        "close_reveal": {"round": 1},
        "aggregate": bench.aggregate_body(),
        "confirm": {"round": 1, "out_root": RESULT},
    }
    before = bench.entries()

    code = bench.do(sender, f"task.{kind}", bodies[kind])

    told = TOLD[kind][PHASES.index(phase)]
    if who == "stranger":
        told = "not-member"
    elif who not in ROLES.get(kind, HOSPITALS_ONLY):
        told = "wrong-role"
    elif isinstance(told, dict):
        told = told[who]
    assert code == told
    if code != "ok":
        after = bench.entries()
        after.pop(sequence_key(sender), None)
        before.pop(sequence_key(sender), None)
        assert after == before


# ---- sequences of transactions ------------------------------------------------------------------

KINDS_OF_STEP = ("open", "commit", "decline", "reveal", "aggregate", "confirm", "seal", "rubbish")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(KINDS_OF_STEP),
        st.integers(0, 3),
        st.integers(0, 3),
        st.sampled_from([INITIAL, bytes([101]) * 32, bytes([102]) * 32]),
    ),
    max_size=24,
)
RULED = {"rule": {"kind": "fedavg"}, "deadlines": DEADLINES}


def perform(bench, what: str, hospital: int, number: int, root: bytes) -> None:
    match what:
        case "open":
            bench.open(number, base_root=root)
        case "commit":
            bench.commit(hospital, number)
        case "decline":
            bench.decline(hospital, number)
        case "reveal":
            bench.reveal(hospital, number)
        case "aggregate":
            current = task.round(bench.copy, number)
            bench.aggregate(tuple(sorted(current.openings)) if current else (), number)
        case "confirm":
            bench.confirm(hospital, root, number)
        case "seal":
            bench.time_us += 700
            bench.do(hospital, "task.seal", {"round": number})
        case _:
            bench.do(hospital, "task.commit", {"round": number, "commitment": root})


@given(STEPS)
def test_invariants_hold_after_any_sequence(make_bench, steps) -> None:
    """Rounds are numbered without gaps, each starts where the last ended, phases never go back."""
    bench = make_bench(more=RULED)
    order = ("open", "sealed", "revealed", "proposed", "closed", "void")
    bench.open()
    bench.commit(0)
    seen: dict[int, str] = {}

    for step in steps:
        perform(bench, *step)
        now = task.status(bench.copy)
        root = INITIAL
        for i in range(1, now.round + 1):
            state = task.round(bench.copy, i)
            assert state.base_root == root
            assert set(state.openings) <= set(state.commits) <= set(state.eligible)
            ended = state.status in ("closed", "void")
            assert not ended or state.aggregate is not None
            # Only a proposal that replicas refute takes a round a step back.
            back = seen.get(i) == "proposed" and state.status == "revealed"
            assert i not in seen or back or order.index(seen[i]) <= order.index(state.status)
            seen[i] = state.status
            root = state.aggregate.out_root if ended else root
        assert now.is_open == (seen[now.round] not in ("closed", "void"))
        assert task.round(bench.copy, now.round + 1) is None
        assert now.root == root


@given(STEPS)
def test_two_copies_that_execute_the_same_agree(make_bench, steps) -> None:
    """Equal roots on two replicas with different insertion orders of everything that may differ."""
    one, other = make_bench(more=RULED), make_bench(more=RULED)
    do = other.do
    # The second copy is handed its maps in the other order.
    other.do = lambda sender, kind, body: do(sender, kind, dict(reversed(body.items())))

    for bench in (one, other):
        for step in steps:
            perform(bench, *step)

    assert one.copy.tip.digest == other.copy.tip.digest
    assert one.entries() == other.entries()
