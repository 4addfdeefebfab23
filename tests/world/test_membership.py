"""Members that join, leave, change keys and are revoked while a federation learns."""

from __future__ import annotations

import dataclasses

import pytest

from simulation.config.checks import contradictions
from simulation.consensus.pbft.params import PbftParams
from simulation.consensus.registry import PROTOCOLS
from simulation.contracts import task
from simulation.ledger.genesis import Genesis
from simulation.ledger.receipt import verify_receipt
from simulation.nodes.changes import JoinChange, LeaveChange, RevokeChange, RotateChange
from simulation.nodes.faults import BehaveFault, CrashFault, RecoverFault, WeatherFault
from simulation.runs.verify_ledger import audit
from simulation.runs.verify_rows import read_copy
from simulation.trace.events import EpochBegan, Reported
from simulation.world import World, make_setting, simulate

CHANGES = (
    RotateChange(round=2, hospital=1),
    JoinChange(round=2, hospital=5),
    LeaveChange(round=3, hospital=2),
    RevokeChange(round=4, hospital=0),
    JoinChange(round=4, hospital=2),
)


@pytest.fixture
def changing(experiment):
    """Six hospitals, five of them founders; the small task over four rounds."""

    def make(membership=CHANGES, consensus=None, **change):
        federation = dataclasses.replace(experiment.federation, rounds=4)
        return dataclasses.replace(
            experiment,
            hospitals=6,
            federation=federation,
            membership=membership,
            consensus=consensus or PbftParams(),
            **change,
        )

    return make


def play(experiment, seed: int = 1) -> World:
    world = World(experiment, seed, make_setting(experiment, seed), None, (), {})
    world.outcome = world.run()
    return world


def eligible(world: World) -> list[tuple[int, ...]]:
    copy = world.ledgers.services[-1].copy
    return [task.round(copy, number).eligible for number in range(1, 5)]


@pytest.mark.parametrize("kind", ["pbft", "raft", "sequencer"])
def test_members_change_between_rounds_under_every_protocol(changing, kind: str) -> None:
    """Join and leave between rounds with the replica set reconfigured at a height."""
    consensus = PROTOCOLS[kind].params()

    world = play(changing(consensus=consensus))

    assert eligible(world) == [
        (0, 1, 2, 3, 4), (0, 1, 2, 3, 4, 5), (0, 1, 3, 4, 5), (1, 2, 3, 4, 5),
    ]  # fmt: skip
    copy = world.ledgers.services[-1].copy
    voters = [epoch.voters.ids for epoch in copy.epochs]
    assert voters[0] == (0, 1, 2, 3, 4)
    assert voters[-1] == (1, 2, 3, 4, 5)
    for height in range(1, copy.height + 1):
        certificate, header = copy.certificate(height), copy.block(height).header
        assert certificate.fault(header, copy.voters_at(height)) is None
    assert [task.round(copy, number).status for number in range(1, 5)] == ["closed"] * 4


def test_a_run_with_changes_can_be_audited_and_proved(changing, tmp_path) -> None:
    """Everyone follows the key sets by height from the chain itself."""
    experiment = changing()
    ledger = dataclasses.replace(experiment.ledger, store="sqlite")

    simulate(dataclasses.replace(experiment, ledger=ledger), 1, tmp_path)

    genesis = Genesis.decode((tmp_path / "genesis.cbor").read_bytes())
    copies = [read_copy(path) for path in sorted((tmp_path / "ledger").iterdir())]
    assert list(audit(genesis, copies)) == []
    handovers = []
    for path in sorted(tmp_path.rglob("*.receipt")):
        receipt = verify_receipt(path.read_bytes(), genesis.voters.root)
        handovers.append(len(receipt.certified.handovers))
    assert {0, 3} <= set(handovers)


def test_a_handover_that_its_voters_have_not_signed_proves_nothing(changing) -> None:
    """A stranger who knows the founders follows the key sets only as far as each was certified by
    the one before."""
    copy = play(changing()).ledgers.services[-1].copy
    found = copy.certified(copy.height)
    assert found.fault() is None
    assert len(found.handovers) == copy.epoch.number > 1

    for place, handover in enumerate(found.handovers):
        unsigned = tuple(bytes(64) for _ in handover.certificate.signatures)
        forged = dataclasses.replace(handover.certificate, signatures=unsigned)
        handovers = list(found.handovers)
        handovers[place] = dataclasses.replace(handover, certificate=forged)
        problem = dataclasses.replace(found, handovers=tuple(handovers)).fault()
        assert problem is not None, "the forged handover counts"
        assert problem.startswith(f"handover to epoch {place + 1}: ")


def test_a_departed_hospital_keeps_its_ledger_up_to_there(changing) -> None:
    """It is handed the block that ends its membership, certified, and nothing after it."""
    world = play(changing((LeaveChange(round=3, hospital=4),)))

    copies = [service.copy for service in world.ledgers.services]
    end = copies[-1].get("membership/former/004")["height"]
    assert copies[4].height == end < copies[-1].height
    assert copies[4].certificate(end) is not None


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3, 4))]
)
def test_a_change_during_a_view_change_splits_no_quorum(changing, seed: int) -> None:
    """Membership change during view change: no split quorum (scenario 25)."""
    # The primary of the first epoch falls silent, and crashes, as the change is under way.
    faults = (
        BehaveFault(node=0, at_round=1, behaviour=("silent",)),
        WeatherFault(at_round=1, loss=0.05),
    )
    changes = (JoinChange(round=2, hospital=5), LeaveChange(round=3, hospital=2))

    world = play(changing(changes, PbftParams(), faults=faults), seed)

    copies = [s.copy for s in world.ledgers.services if s.node.id not in (0, 2)]
    assert len({copy.tip.digest for copy in copies}) == 1
    assert copies[0].epoch.voters.ids == (0, 1, 3, 4, 5)
    assert "agreement" in world.outcome.invariants
    changed = [e for e in world.outcome.events if isinstance(e, (EpochBegan, Reported))]
    words = [e.what if isinstance(e, Reported) else f"epoch {e.epoch}" for e in changed]
    assert "new-view" in words[words.index("epoch 1") :], "views changed in later epochs, too"


@pytest.mark.parametrize("memory", [pytest.param("kept", marks=pytest.mark.slow), "lost"])
def test_who_sleeps_through_a_change_catches_up(changing, memory) -> None:
    """A replica that was down while its epoch ended is handed what is left of it, and votes on."""
    faults = (
        CrashFault(node=3, at_round=1, memory=memory),
        RecoverFault(node=3, at_round=3),
    )
    changes = (JoinChange(round=2, hospital=5), RotateChange(round=3, hospital=1))

    world = play(changing(changes, faults=faults))

    service = world.ledgers.services[3]
    assert service.copy.tip == world.ledgers.services[-1].copy.tip
    assert service.votes
    assert world.ledgers.hosts[3].group.epoch == service.copy.epoch.number


def test_the_same_seed_gives_the_same_run(changing) -> None:
    """Changes of membership leave a run as reproducible as it was."""
    changes = (RotateChange(round=2, hospital=1), JoinChange(round=2, hospital=5))
    first, second = play(changing(changes)), play(changing(changes))

    assert first.outcome.trace_digest == second.outcome.trace_digest


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ((JoinChange(round=2, hospital=9),), "there is none 9"),
        ((JoinChange(round=9, hospital=5),), "it never opens"),
        ((JoinChange(round=1, hospital=5),), "is a founder"),
        ((LeaveChange(round=2, hospital=1), RotateChange(round=3, hospital=1)), "no member"),
        ((LeaveChange(round=2, hospital=1), RotateChange(round=2, hospital=1)), "two changes"),
        (
            (
                LeaveChange(round=2, hospital=1),
                LeaveChange(round=2, hospital=2),
                LeaveChange(round=3, hospital=3),
            ),
            "leaves 3 replicas",
        ),
    ],
)
def test_changes_that_cannot_be_are_refused(changing, changes, words: str) -> None:
    """A clear error for bad input: what, where, what to do."""
    problems = list(contradictions(changing(changes)))

    assert any(words in problem.message for problem in problems), problems
    assert all(problem.path[0] == "membership" for problem in problems)
