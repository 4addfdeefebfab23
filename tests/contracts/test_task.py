"""The task contract, rule by rule."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.digest import Tag, tagged_hash
from simulation.base.encoding import encode
from simulation.contracts import task
from simulation.contracts.membership import sequence_key
from simulation.ledger.genesis import Genesis

HOSPITALS, COORDINATOR = 4, 4
INITIAL, SALT = b"i" * 32, b"s" * 32
DP = {
    "epsilon_e6": 1_000_000, "sigma_e6": 1, "sampling_e6": 1, "steps": 9,
    "sampler": "poisson", "accountant": "prv",
}  # fmt: skip


# ---- the whole path -----------------------------------------------------------------------------


def test_a_round_from_open_to_close(bench) -> None:
    """One commitment per hospital and round, one aggregate, and the next round cites it."""
    codes = [bench.open(), bench.commit(0), bench.commit(2, dp=DP), bench.aggregate((0, 2))]

    assert codes == ["ok"] * 4
    closed = task.round(bench.copy, 1)
    assert closed.status == "closed"
    assert closed.base_root == INITIAL
    assert closed.eligible == (0, 1, 2)
    assert sorted(closed.commits) == [0, 2]
    assert closed.commits[2].dp == DP
    assert (closed.commits[0].height, closed.aggregate.height) == (2, 4)
    assert closed.commits[0].commitment == bench.commitment(0)
    assert [opening.hospital for opening in closed.aggregate.openings] == [0, 2]
    assert closed.aggregate.openings[1].salt == SALT
    assert task.status(bench.copy) == task.Status(1, False, closed.aggregate.out_root)
    assert bench.open(2) == "ok"
    assert task.round(bench.copy, 2).base_root == closed.aggregate.out_root


def test_an_aggregate_of_nothing_leaves_the_model_as_it_was(bench) -> None:
    """Empty openings = void round; then out_root must equal base_root."""
    bench.open()
    bench.commit(0)

    assert bench.aggregate((), out_root=b"x" * 32) == "void-changes-model"
    assert bench.aggregate(()) == "ok"
    assert task.round(bench.copy, 1).status == "void"
    assert task.status(bench.copy) == task.Status(1, False, INITIAL)
    assert bench.open(2) == "ok"


def test_a_genesis_may_leave_the_first_model_open(make_bench) -> None:
    """Without an initial root the first round names its model; from then on it is fixed."""
    bench = make_bench(initial=None)
    assert task.initial_root(bench.copy) is None

    assert bench.open(base_root=b"z" * 32) == "ok"
    assert bench.aggregate(()) == "ok"
    assert bench.open(2, base_root=b"y" * 32) == "wrong-base"
    assert bench.open(2, base_root=b"z" * 32) == "ok"


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
    bench.aggregate(())
    assert bench.open(1) == "wrong-round"
    assert bench.open(3) == "wrong-round"
    assert bench.open(2) == "ok"


# ---- commit -------------------------------------------------------------------------------------


def test_the_first_commitment_wins(bench) -> None:
    """One per hospital and round; first wins."""
    bench.open()
    bench.commit(1)

    assert bench.commit(1, commitment=b"2" * 32) == "duplicate-commit"
    assert bench.commit(1) == "duplicate-commit"
    assert task.commit_of(bench.copy, 1, 1).commitment == bench.commitment(1)


def test_who_is_not_eligible_cannot_commit(bench) -> None:
    """Eligible hospitals are named when the round opens."""
    bench.open()

    assert bench.commit(3) == "not-eligible"
    bench.aggregate(())
    bench.open(2, eligible=[3])
    assert bench.commit(3, 2) == "ok"
    assert bench.commit(0, 2) == "not-eligible"


@pytest.mark.parametrize("number", [0, 2, 3])
def test_commitments_need_their_round(bench, number: int) -> None:
    """Round open."""
    assert bench.commit(0, 1) == "round-not-open"
    bench.open()
    assert bench.commit(0, number) == "round-not-open"
    bench.aggregate(())
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
        *[({"dp": defect}, "malformed") for defect in DP_DEFECTS],
    ],
)
def test_what_is_no_commitment(bench, change, code: str) -> None:
    """Bodies have one shape, and base_root matches the round's."""
    bench.open()

    assert bench.commit(0, **change) == code
    assert task.commit_of(bench.copy, 1, 0) is None


def test_a_privacy_claim_may_name_its_delta(bench) -> None:
    """delta_e12 is optional."""
    bench.open()

    assert bench.commit(0, dp={**DP, "delta_e12": 10_000_000}) == "ok"
    assert task.commit_of(bench.copy, 1, 0).dp == {**DP, "delta_e12": 10_000_000}


# ---- aggregate ----------------------------------------------------------------------------------


def opening(hospital: int, **change: object) -> dict[str, object]:
    root = bytes([hospital]) * 32
    return {"hospital": hospital, "update_root": root, "salt": SALT, "cid": "bafy", **change}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"openings": [opening(1)]}, "no-commit"),
        ({"openings": [opening(0), opening(77)]}, "no-commit"),
        ({"openings": [opening(0, update_root=b"x" * 32)]}, "opening-mismatch"),
        ({"openings": [opening(0, salt=b"x" * 32)]}, "opening-mismatch"),
        ({"openings": [opening(0), opening(2, update_root=bytes(32))]}, "opening-mismatch"),
        ({"openings": [opening(2), opening(0)]}, "malformed"),
        ({"openings": [opening(0), opening(0)]}, "malformed"),
        ({"openings": [opening(0, salt=b"x")]}, "malformed"),
        ({"openings": [opening(0, update_root=b"x")]}, "malformed"),
        ({"openings": [opening(0, cid="")]}, "malformed"),
        ({"openings": [opening(0, more=1)]}, "malformed"),
        ({"openings": [0]}, "malformed"),
        ({"openings": {"0": opening(0)}}, "malformed"),
        ({"out_root": b"x"}, "malformed"),
        ({"out_cid": ""}, "malformed"),
        ({"out_cid": b"bafy"}, "malformed"),
        ({"more": 1}, "malformed"),
        ({"round": 2}, "round-not-open"),
    ],
)
def test_what_closes_no_round(bench, change, code: str) -> None:
    """Each opening is recomputed and must equal the commitment that this ledger stored."""
    bench.open()
    bench.commit(0)
    bench.commit(2)

    assert bench.aggregate(**change) == code
    assert task.round(bench.copy, 1).status == "open"


def test_one_aggregate_per_round(bench) -> None:
    """One per round."""
    bench.open()
    bench.commit(0)
    assert bench.aggregate((0,)) == "ok"

    assert bench.aggregate((0,)) == "round-not-open"
    assert bench.aggregate(()) == "round-not-open"


def test_a_copied_commitment_cannot_be_opened(bench) -> None:
    """Copycat of another's commitment: the hospital's id is inside."""
    bench.open()
    bench.commit(0)
    bench.commit(1, commitment=bench.commitment(0))

    copied = [opening(0), opening(1, update_root=bytes(32))]
    assert bench.aggregate(openings=copied) == "opening-mismatch"


def test_the_openings_of_one_round_open_no_other(bench) -> None:
    """Replay in another round: round and base root are inside."""
    bench.open()
    bench.commit(0)
    first = bench.commitment(0)
    bench.aggregate((0,))
    bench.open(2)
    bench.commit(0, 2, commitment=first)

    assert bench.aggregate((0,), 2) == "opening-mismatch"


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

PHASES = ("before", "open", "committed", "closed")
KINDS = ("task.open", "task.commit", "task.aggregate")
SENDERS = {"eligible": 0, "not eligible": 3, "coordinator": COORDINATOR, "stranger": 5}
AUTHORISED = {
    ("before", "task.open", "coordinator"): "ok",
    ("before", "task.commit", "eligible"): "round-not-open",
    ("before", "task.commit", "not eligible"): "round-not-open",
    ("before", "task.aggregate", "coordinator"): "round-not-open",
    ("open", "task.open", "coordinator"): "round-still-open",
    ("open", "task.commit", "eligible"): "ok",
    ("open", "task.commit", "not eligible"): "not-eligible",
    ("open", "task.aggregate", "coordinator"): "no-commit",
    ("committed", "task.open", "coordinator"): "round-still-open",
    ("committed", "task.commit", "eligible"): "duplicate-commit",
    ("committed", "task.commit", "not eligible"): "not-eligible",
    ("committed", "task.aggregate", "coordinator"): "ok",
    ("closed", "task.open", "coordinator"): "wrong-round",
    ("closed", "task.commit", "eligible"): "round-not-open",
    ("closed", "task.commit", "not eligible"): "round-not-open",
    ("closed", "task.aggregate", "coordinator"): "round-not-open",
}


@pytest.mark.parametrize(("phase", "kind", "who"), list(itertools.product(PHASES, KINDS, SENDERS)))
def test_the_authorisation_matrix(bench, phase: str, kind: str, who: str) -> None:
    """Every role, every kind, every state of the round: what is not allowed is rejected."""
    if PHASES.index(phase) >= 1:
        bench.open()
    if PHASES.index(phase) >= 2:
        bench.commit(0)
    if PHASES.index(phase) >= 3:
        bench.aggregate((0,))
    bodies = {
        "task.open": bench.opening_body(1),
        "task.commit": bench.commit_body(min(SENDERS[who], 3)),
        "task.aggregate": bench.aggregate_body((0,)),
    }
    before = bench.entries()

    code = bench.do(SENDERS[who], kind, bodies[kind])

    default = "not-member" if who == "stranger" else "wrong-role"
    assert code == AUTHORISED.get((phase, kind, who), default)
    if code != "ok":
        after = bench.entries()
        after.pop(sequence_key(SENDERS[who]), None)
        before.pop(sequence_key(SENDERS[who]), None)
        assert after == before


# ---- sequences of transactions ------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["open", "commit", "aggregate"]),
        st.integers(0, 4),
        st.integers(0, 3),
        st.sampled_from([INITIAL, bytes([101]) * 32, bytes([102]) * 32]),
    ),
    max_size=14,
)


@given(STEPS)
def test_invariants_hold_after_any_sequence(make_bench, steps) -> None:
    """Rounds are numbered without gaps, each starts where the last ended, none reopens."""
    bench = make_bench()
    bench.open()
    bench.commit(0)
    seen: dict[int, str] = {}

    for what, hospital, number, base in steps:
        if what == "open":
            bench.open(number, base_root=base)
        elif what == "commit":
            bench.commit(min(hospital, 3), number)
        else:
            bench.aggregate(tuple(range(hospital))[:2], number)
        now = task.status(bench.copy)
        root = INITIAL
        for i in range(1, now.round + 1):
            state = task.round(bench.copy, i)
            assert state.base_root == root
            assert set(state.commits) <= set(state.eligible)
            assert (state.aggregate is None) == (state.status == "open")
            assert seen.get(i) in (None, "open", state.status)
            seen[i] = state.status
            root = state.aggregate.out_root if state.aggregate else root
        assert now.is_open == (seen[now.round] == "open")
        assert task.round(bench.copy, now.round + 1) is None
        assert now.root == root


@given(STEPS)
def test_two_copies_that_execute_the_same_agree(make_bench, steps) -> None:
    """The same history gives the same state, root by root."""
    one, other = make_bench(), make_bench()

    for bench in (one, other):
        for what, hospital, number, base in steps:
            body = bench.opening_body(number, base_root=base)
            # The second copy is handed its maps in the other order.
            ordered = dict(reversed(body.items())) if bench is other else body
            if what == "open":
                bench.do(COORDINATOR, "task.open", ordered)
            elif what == "commit":
                bench.commit(min(hospital, 3), number)
            else:
                bench.aggregate((0,), number)

    assert one.copy.tip.digest == other.copy.tip.digest
    assert one.entries() == other.entries()
